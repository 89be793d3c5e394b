"""What the gallery shows: one small scan for every type and severity, as specifications."""

from collections.abc import Iterator
from dataclasses import dataclass

from cspine.domain import ConfigError, Vertebra
from cspine.phantom import (
    BONE_KERNELS,
    PROCEDURAL,
    RULES,
    Body,
    Coverage,
    Field,
    Fracture,
    FractureType,
    Fusion,
    FusionKind,
    Immobilizer,
    Mimic,
    MimicKind,
    PhantomSpec,
    Scanner,
    Side,
    Table,
    Variants,
    levels_of,
    open_until,
    types_at,
)

FRACTURE, MIMIC = "fracture", "mimic"
SEVERITIES = (1, 3, 5)
_PIXEL_MM, _SLICE_MM = 0.66, 0.7
_ADULT_YEARS = 45.0


@dataclass(frozen=True)
class Room:
    """How much of the neck a cell shows.

    Attributes
    ----------
    field_mm
        Width and depth.
    above_mm, below_mm
        From the center of the vertebra.
    offset_mm
        Middle of the field from the center of the vertebra, (x, y) in LPS mm.
    """

    field_mm: float = 86.0
    above_mm: float = 17.0
    below_mm: float = 17.0
    offset_mm: tuple[float, float] = (0.0, 8.0)


_ROOMS: dict[str, Room] = {
    FractureType.SKULL_BASE: Room(above_mm=30.0, below_mm=8.0),
    FractureType.FIRST_RIB: Room(150.0, 24.0, 40.0, (0.0, -10.0)),
    FractureType.CLAVICLE: Room(190.0, 30.0, 36.0, (60.0, -34.0)),
    FractureType.SPINOUS_PROCESS: Room(offset_mm=(0.0, 18.0), below_mm=24.0),
    FractureType.TRANSDISCAL: Room(above_mm=14.0, below_mm=26.0),
    MimicKind.OSSICLE: Room(offset_mm=(0.0, 18.0)),
    MimicKind.OSSIFIED_NUCHAL_LIGAMENT: Room(offset_mm=(0.0, 20.0), below_mm=22.0),
    MimicKind.OSSIFIED_ANTERIOR_LIGAMENT: Room(below_mm=24.0),
    MimicKind.PLATE_AND_SCREWS: Room(below_mm=28.0),
    MimicKind.POSTERIOR_SCREWS: Room(below_mm=28.0),
    MimicKind.DENTAL_METAL: Room(170.0, 20.0, 20.0, (0.0, -34.0)),
    MimicKind.SHOULDER_STREAK: Room(110.0),
}
_OF_LEVELS: dict[Vertebra, Room] = {Vertebra.C2: Room(above_mm=30.0, below_mm=17.0)}


@dataclass(frozen=True)
class Cell:
    """One picture of the gallery.

    Attributes
    ----------
    group
        ``"fracture"`` or ``"mimic"``.
    """

    group: str
    name: str
    vertebra: Vertebra
    severity: int
    spec: PhantomSpec


@dataclass(frozen=True)
class GalleryPlan:
    """What to show.

    Attributes
    ----------
    only
        Types, or ``TYPE@LEVEL``; empty for all, each at its commonest level.
    anatomy
        ``"procedural"``, or a folder of meshes.
    seed
        Of the person, of the fractures and of the mimics.
    """

    only: tuple[str, ...] = ()
    anatomy: str = PROCEDURAL
    seed: int = 11
    severities: tuple[int, ...] = SEVERITIES

    def __post_init__(self) -> None:
        known = [*FractureType, *MimicKind]
        for text in self.only:
            word, _, level = text.partition("@")
            if word not in known:
                raise ConfigError(f"{text!r}: no such fracture type or mimic; known are {', '.join(known)}")
            if level and level not in Vertebra.__members__:
                raise ConfigError(f"{text!r}: unknown level {level!r}; write TYPE or TYPE@LEVEL")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, must not be negative")


def cells_of(plan: GalleryPlan) -> tuple[Cell, ...]:
    """Return the cells of a plan, fractures first, each type with its severities in a row.

    Raises
    ------
    ConfigError
        A type does not exist at the level asked for.
    """
    return tuple(cell for group, name, level in _rows(plan) for cell in _row(plan, group, name, level))


def usual_level(kind: FractureType) -> Vertebra:
    """Return the level at which a type is commonest, or its only one."""
    levels = RULES[kind].levels
    return max(levels, key=lambda level: types_at(level).get(kind, 0.0) * (1.0 if level.is_cervical else 0.5))


def _rows(plan: GalleryPlan) -> Iterator[tuple[str, str, Vertebra]]:
    asked = {text.partition("@")[0]: text.partition("@")[2] for text in plan.only}
    for kind in FractureType:
        if not asked or kind in asked:
            level = asked.get(kind, "")
            yield FRACTURE, kind.value, Vertebra[level] if level else usual_level(kind)
    for mimic in MimicKind:
        if not asked or mimic in asked:
            level, levels = asked.get(mimic, ""), levels_of(mimic)
            yield MIMIC, mimic.value, Vertebra[level] if level else levels[len(levels) // 2]


def _row(plan: GalleryPlan, group: str, name: str, level: Vertebra) -> Iterator[Cell]:
    for severity in plan.severities:
        yield Cell(group, name, level, severity, _spec(plan, group, name, level, severity=severity))


def _spec(plan: GalleryPlan, group: str, name: str, level: Vertebra, *, severity: int) -> PhantomSpec:
    fractures: tuple[Fracture, ...] = ()
    mimics: tuple[Mimic, ...] = ()
    variants = Variants()
    age = _ADULT_YEARS
    if group == FRACTURE:
        side = Side.LEFT if name == FractureType.CLAVICLE else None  # its room is on the left
        fractures = (Fracture(FractureType(name), level, severity, seed=plan.seed, side=side),)
        if name == FractureType.TRANSDISCAL:
            variants = Variants(fusions=(Fusion(FusionKind.SPONDYLITIS, Vertebra.C3, Vertebra.T1),))
    else:
        mimics = (Mimic(MimicKind(name), level, severity, plan.seed),)
        if name == MimicKind.GROWTH_PLATE:
            age = min(open_until(level), 14.0) - 2.0
    room = _ROOMS.get(name) or _OF_LEVELS.get(level, Room())
    pixels = round(room.field_mm / _PIXEL_MM)
    return PhantomSpec(
        seed=plan.seed,
        anatomy=plan.anatomy,
        age=age,
        warp_mm=0.5,
        body=Body(table=Table.NONE, immobilizer=Immobilizer.NONE),
        scanner=Scanner(
            field_of_view_mm=room.field_mm,
            matrix=(pixels, pixels),
            spacing_mm=_SLICE_MM,
            thickness_mm=_SLICE_MM,
            kernel=BONE_KERNELS[0],
            noise_hu=26.0,
        ),
        coverage=Coverage(Field.FEW_LEVELS, level, room.above_mm, level, room.below_mm, room.offset_mm),
        variants=variants,
        fractures=fractures,
        mimics=mimics,
    )


__all__ = ["FRACTURE", "MIMIC", "SEVERITIES", "Cell", "GalleryPlan", "cells_of", "usual_level"]
