"""What a phantom is: one frozen specification, from which everything follows byte for byte."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from cspine.domain import ConfigError, Vertebra
from cspine.phantom.anatomy import LOWEST_BONE, MEAN_SCALE, PROCEDURAL, is_evaluation_only
from cspine.phantom.body import Body, sample_body
from cspine.phantom.density import BoneDensity, sample_density
from cspine.phantom.fractures import Fracture
from cspine.phantom.mimics import Mimic, sample_mimics
from cspine.phantom.posture import Posture, sample_posture
from cspine.phantom.scanner import Scanner, sample_scanner
from cspine.phantom.variants import Variants, sample_variants

_MOST_FRACTURES = 255  # they are told apart by a byte
_MOST_MIMICS = 100


class Field(StrEnum):
    """Which part of the neck a scan shows."""

    WHOLE = "whole"
    NO_SKULL = "no-skull"
    NO_T1 = "no-t1"
    LOWER_NECK = "lower-neck"
    FEW_LEVELS = "few-levels"


@dataclass(frozen=True)
class Coverage:
    """First and last slice, and the middle of the image.

    Attributes
    ----------
    kind
        In words, for tables of results.
    top, top_mm
        The first slice lies `top_mm` above the center of vertebra `top` (negative: below it).
    bottom, bottom_mm
        The last slice lies `bottom_mm` below the center of vertebra `bottom`.
    offset_mm
        Middle of the image relative to the mean center of the vertebrae in view, (x, y) in LPS mm.
    """

    kind: Field = Field.WHOLE
    top: Vertebra = Vertebra.C1
    top_mm: float = 40.0
    bottom: Vertebra = Vertebra.T2
    bottom_mm: float = 10.0
    offset_mm: tuple[float, float] = (0.0, -12.0)

    def __post_init__(self) -> None:
        if self.bottom > LOWEST_BONE:
            raise ConfigError(
                f"coverage ends at {self.bottom.name}, but bones end at {LOWEST_BONE.name}: choose higher"
            )
        if self.bottom < self.top:
            raise ConfigError(f"coverage from {self.top.name} down to {self.bottom.name} is upside down: swap them")


@dataclass(frozen=True)
class PhantomSpec:
    """One phantom; equal specifications make equal bytes.

    Attributes
    ----------
    seed
        Everything random that the other fields do not fix: sizes of bones, texture, noise.
    anatomy
        ``"procedural"``, or a folder of meshes C1 … C7.
    age
        In years.
    scale
        Size relative to an average adult; women are 0.96, men 1.04 on average.
    degeneration
        0 … 1: narrow discs, osteophytes.
    warp_mm
        Root mean square of the smooth deformation.
    fillings
        Share of the teeth that is metal.
    variants
        What is unusual about the bones; by default nothing.
    fractures
        At levels that the coverage shows.
    mimics
        What looks like a fracture and is none.
    """

    seed: int
    anatomy: str = PROCEDURAL
    female: bool = True
    age: float = 50.0
    scale: float = MEAN_SCALE[True]
    posture: Posture = field(default_factory=Posture)
    density: BoneDensity = field(default_factory=BoneDensity)
    degeneration: float = 0.2
    warp_mm: float = 1.0
    fillings: float = 0.0
    body: Body = field(default_factory=Body)
    scanner: Scanner = field(default_factory=Scanner)
    coverage: Coverage = field(default_factory=Coverage)
    variants: Variants = field(default_factory=Variants)
    fractures: tuple[Fracture, ...] = ()
    mimics: tuple[Mimic, ...] = ()

    def __post_init__(self) -> None:
        limits = (
            ("scale", self.scale, 0.75, 1.3),
            ("degeneration", self.degeneration, 0, 1),
            ("warp_mm", self.warp_mm, 0, 3),
            ("fillings", self.fillings, 0, 0.5),
        )
        for name, value, low, high in limits:
            if not low <= value <= high:
                raise ConfigError(f"phantom {self.seed}: {name} is {value}, must be {low} … {high}")
        if self.anatomy != PROCEDURAL and not Path(self.anatomy).is_dir():
            raise ConfigError(f"phantom {self.seed}: anatomy {self.anatomy!r} is neither {PROCEDURAL!r} nor a folder")
        top, bottom = self.coverage.top, self.coverage.bottom
        for fracture in self.fractures:
            if not top <= fracture.vertebra <= bottom:
                raise ConfigError(
                    f"phantom {self.seed}: {fracture.name} lies outside the coverage, which runs from {top.name} "
                    f"to {bottom.name}: cover the level or leave the fracture out"
                )
        if len(self.fractures) > _MOST_FRACTURES:
            raise ConfigError(f"phantom {self.seed}: {len(self.fractures)} fractures, at most {_MOST_FRACTURES}")

        for mimic in self.mimics:
            mimic.check_age(self.age)
        if len(self.mimics) > _MOST_MIMICS:
            raise ConfigError(f"phantom {self.seed}: {len(self.mimics)} mimics, at most {_MOST_MIMICS}")

    @property
    def family(self) -> str:
        """``"A"`` may train, ``"B"`` only evaluates: when the scanner or any fracture is of family B."""
        return max(self.scanner.family, *(fracture.family for fracture in self.fractures), "A")


def check_training_allowed(spec: PhantomSpec) -> None:
    """Refuse what must only ever be used for evaluation.

    Raises
    ------
    ConfigError
        The anatomy is for evaluation only, or the scanner or a fracture is of family B.
    """
    if is_evaluation_only(spec.anatomy):
        raise ConfigError(f"phantom {spec.seed}: anatomy {spec.anatomy!r} is for evaluation only and must not train")
    if spec.family != "A":
        raise ConfigError(f"phantom {spec.seed}: family {spec.family} is for evaluation only; train on family A")


def training_allowed(spec: PhantomSpec) -> bool:
    """Return whether a phantom may train a network."""
    return not is_evaluation_only(spec.anatomy) and spec.family == "A"


def sample_spec(
    rng: np.random.Generator, *, anatomy: str = PROCEDURAL, family: str = "A", field: Field | None = None
) -> PhantomSpec:
    """Draw a patient and a scan as an emergency department sees them.

    Bones are of usual shape, so that equal seeds go on giving equal bytes: `with_variants` and `with_mimics` add
    what is not.

    Parameters
    ----------
    field
        Which part of the neck to show, or ``None`` to draw that too.
    """
    seed = int(rng.integers(2**62))
    body = sample_body(rng)
    female = body.sex == "female"
    age = float(np.clip(rng.normal(54, 21), 18, 95))
    worn = (age - 25) / 90
    return PhantomSpec(
        seed=seed,
        anatomy=anatomy,
        female=female,
        age=age,
        scale=float(np.clip(MEAN_SCALE[female] * rng.normal(1, 0.045), 0.82, 1.2)),
        posture=sample_posture(rng),
        density=sample_density(rng, age),
        degeneration=float(np.clip(rng.normal(worn, 0.2), 0, 1)),
        warp_mm=float(rng.uniform(0.3, 1.6)),
        fillings=float(rng.uniform(0.03, 0.2)) if rng.random() < 0.45 else 0.0,
        body=body,
        scanner=sample_scanner(rng, family),
        coverage=sample_coverage(rng, field),
    )


def with_variants(spec: PhantomSpec) -> PhantomSpec:
    """Return the specification with variants and wear as common as in adults of its age, drawn from its own seed."""
    rng = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(_VARIANTS_STREAM,)))
    return replace(spec, variants=sample_variants(rng, spec.age))


def with_mimics(spec: PhantomSpec) -> PhantomSpec:
    """Return the specification with mimics about as common as in adults of its age, drawn from its own seed."""
    rng = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(_MIMICS_STREAM,)))
    return replace(spec, mimics=sample_mimics(rng, spec.age))


_VARIANTS_STREAM, _MIMICS_STREAM = 21, 22  # beside the streams of `case`
_RISE_MM, _VERTEX_MM = (25.0, 85.0), 165.0
_CHEST_ABOVE_MM = 5.7
_FIELD_ODDS = {
    Field.WHOLE: 0.55,
    Field.NO_SKULL: 0.12,
    Field.NO_T1: 0.13,
    Field.LOWER_NECK: 0.1,
    Field.FEW_LEVELS: 0.1,
}


def sample_coverage(rng: np.random.Generator, field: Field | None = None) -> Coverage:
    """Draw a field: mostly skull base to upper thorax, sometimes without an anchor at one end or both."""
    kind = field or list(_FIELD_ODDS)[int(rng.choice(len(_FIELD_ODDS), p=list(_FIELD_ODDS.values())))]
    if kind is Field.FEW_LEVELS:
        first = int(rng.integers(Vertebra.C1, Vertebra.C6 + 1))
        last = min(first + int(rng.integers(1, 4)), int(Vertebra.T2))
        ends = (Vertebra(first), rng.uniform(-6, 12), Vertebra(last), rng.uniform(-6, 12))
    else:
        top = {Field.NO_SKULL: (Vertebra.C1, Vertebra.C3), Field.LOWER_NECK: (Vertebra.C3, Vertebra.C6)}.get(kind)
        bottom = (Vertebra.C4, Vertebra.C7) if kind is Field.NO_T1 else (Vertebra.T1, Vertebra.T4)
        first, rise = (Vertebra.C1, rng.uniform(*_RISE_MM)) if top is None else (_between(rng, top), rng.uniform(-8, 5))
        ends = (Vertebra(first), rise, _between(rng, bottom), rng.uniform(-8, 8))
        if kind is Field.WHOLE:
            ends = (ends[0], _with_head(float(ends[1])), *_with_chest(ends[2], float(ends[3])))
        if kind is Field.WHOLE and ends[2] == Vertebra.T1:
            ends = (ends[0], ends[1], ends[2], rng.uniform(10, 18))
    offset = (float(rng.normal(0, 6)), float(rng.normal(-10, 10)))
    return Coverage(kind, ends[0], float(ends[1]), ends[2], float(ends[3]), offset)


def _with_head(rise_mm: float) -> float:
    """Let every sixth scan of a neck go on into the head, as much as to the vertex."""
    low, high, most = *_RISE_MM, _VERTEX_MM
    start = high - (high - low) / 6
    return rise_mm if rise_mm < start else start + (rise_mm - start) * (most - start) / (high - start)


def _with_chest(bottom: Vertebra, below_mm: float) -> tuple[Vertebra, float]:
    """Let every seventh scan of a neck go on down the chest."""
    return (Vertebra(min(bottom + 4, LOWEST_BONE)), below_mm) if below_mm > _CHEST_ABOVE_MM else (bottom, below_mm)


def _between(rng: np.random.Generator, ends: tuple[Vertebra, Vertebra]) -> Vertebra:
    return Vertebra(int(rng.integers(ends[0], ends[1] + 1)))
