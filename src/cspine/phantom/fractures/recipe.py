"""What every recipe needs: cuts of one fracture with its family, amounts and age, and what comes out."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.features.measure import Landmarks
from cspine.phantom.fractures.breaks import Break, Breaks, Face, Fragment
from cspine.phantom.fractures.fracture import Fracture
from cspine.phantom.fractures.kinds import FractureAge
from cspine.phantom.fractures.motion import motion
from cspine.phantom.fractures.severity import Amount
from cspine.phantom.fractures.surfaces import Vector, flat, sheet, tilted
from cspine.phantom.skeleton import Bone

_COMPACTION_HU, _COMPACTION_MM = 420.0, 0.8
# Filler (from, to), hardening of the edges and its width, by age. Fresh blood and fat; then edges are resorbed, callus
# grows into the gap, and at last a dense seam is left.
_FILLER_HU = {
    FractureAge.ACUTE: {"A": (20.0, 60.0), "B": (-20.0, 45.0)},
    FractureAge.SUBACUTE: {"A": (20.0, 60.0), "B": (-10.0, 60.0)},
    FractureAge.HEALING: {"A": (110.0, 260.0), "B": (90.0, 300.0)},
    FractureAge.HEALED: {"A": (420.0, 620.0), "B": (380.0, 650.0)},
}
_EDGES = {
    FractureAge.ACUTE: (0.0, 0.8),
    FractureAge.SUBACUTE: (-90.0, 0.9),
    FractureAge.HEALING: (120.0, 1.2),
    FractureAge.HEALED: (260.0, 1.6),
}
_STEP_MM = 1.0


@dataclass(frozen=True, eq=False)
class Plan:
    """What a fracture does to its bone and to the person; all in the bone's own frame.

    Attributes
    ----------
    carried
        4×4 motion of everything above the fractured vertebra, or ``None``.
    carries_itself
        Whether the fractured vertebra moves along.
    swelling_mm, front_mm
        Thickness of the swelling, and where it starts: the front wall (3,), ``None`` for other bones.
    """

    breaks: Breaks
    carried: np.ndarray | None = None
    carries_itself: bool = False
    swelling_mm: float = 0.0
    front_mm: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Cutter:
    """Makes the breaks of one fracture.

    Attributes
    ----------
    marks
        Of a vertebra, ``None`` for other bones.
    sign
        +1 for the left, −1 for the right.
    """

    fracture: Fracture
    bone: Bone
    marks: Landmarks | None
    amount: Amount
    sign: int
    rng: np.random.Generator

    @property
    def at(self) -> Landmarks:
        """The landmarks of a vertebra."""
        assert self.marks is not None
        return self.marks

    @property
    def is_free(self) -> bool:
        """Whether the break is complete, so that pieces can move."""
        return self.amount.length >= 1 or bool(self.fracture.shift_mm) or bool(self.fracture.turn_deg)

    @property
    def shift_mm(self) -> float:
        """How far pieces move."""
        return self.amount.shift_mm if self.is_free else 0.0

    @property
    def turn_deg(self) -> float:
        """How far pieces turn."""
        return self.amount.turn_deg if self.is_free else 0.0

    def about(self, low: float, high: float) -> float:
        """Draw a number."""
        return float(self.rng.uniform(low, high))

    def either(self, share: float) -> bool:
        """Draw whether something is so."""
        return bool(self.rng.random() < share)

    def cut(
        self,
        point_mm: Vector | np.ndarray,
        normal: Vector | np.ndarray,
        *,
        tilt_deg: float = 8.0,
        size_mm: float = 16.0,
        bend_per_mm: tuple[float, float] = (0.0, 0.0),
        only_there: bool = False,
        wide: float = 1.0,
    ) -> Break:
        """Return a break through a point.

        Parameters
        ----------
        tilt_deg
            Spread of the normal.
        size_mm
            Half the length of the break; an incomplete one starts at one end and closes on the way.
        only_there
            Whether it ends `size_mm` from the point, even when complete.
        wide
            Factor of the gap.
        """
        rough = self.about(0.3, 0.6) if self.fracture.family == "A" else self.about(0.45, 0.9)
        turned = tilted(self.rng, normal, tilt_deg)
        surface = sheet(self.rng, self.fracture.family, point_mm, turned, rough_mm=rough, bend_per_mm=bend_per_mm)
        center, reach = np.asarray(point_mm, dtype=np.float64), np.inf
        along = self.rng.normal(size=3)
        along -= (along @ turned) * turned
        if only_there:
            reach = 1.35 * size_mm * self.amount.length
        if not self.is_free:
            center = center + along / np.linalg.norm(along) * size_mm * (1 - self.amount.length)
            reach = 1.35 * size_mm * self.amount.length
        low, high = _FILLER_HU[self.fracture.age][self.fracture.family]
        edge_hu, edge_mm = _EDGES[self.fracture.age]
        if self.amount.impaction > 0:
            edge_hu, edge_mm = edge_hu + _COMPACTION_HU * self.amount.impaction, max(edge_mm, _COMPACTION_MM)
        if self.amount.gap_mm == 0 and self.amount.impaction == 0:
            edge_hu = 0.0
        return Break(surface, wide * self.amount.gap_mm, self.about(low, high), edge_hu, edge_mm, center, reach)

    def piece(self, faces: Iterable[Face], move: np.ndarray | None = None) -> Fragment:
        """Return a fragment, which stays where it is while the break is incomplete."""
        return Fragment(tuple(faces), move if move is not None and self.is_free else np.eye(4))

    def turned(
        self, pivot_mm: Vector | np.ndarray, axis: Vector, degrees: float, shift_mm: Vector | np.ndarray = (0, 0, 0)
    ) -> np.ndarray:
        """Return a motion for `piece`."""
        return motion(pivot_mm, axis, degrees, shift_mm)

    def plan(
        self,
        cracks: Iterable[Break] = (),
        pieces: Iterable[Fragment] = (),
        *,
        carried: np.ndarray | None = None,
        carries_itself: bool = False,
    ) -> Plan:
        """Put breaks together."""
        all_cracks, all_pieces = tuple(cracks), tuple(pieces)
        cuts = [*all_cracks, *(face.cut for piece in all_pieces for face in piece.faces if not face.hinge)]
        filler = float(np.mean([cut.filler_hu for cut in cuts]))
        moved = carried is not None and self.is_free and not np.allclose(carried, np.eye(4))
        front = None if self.marks is None else np.array([0.0, self.marks.front_y, 0.0])
        breaks = Breaks(all_cracks, all_pieces, filler)
        return Plan(breaks, carried if moved else None, carries_itself, self.amount.swelling_mm, front)


def within(point_mm: Vector | np.ndarray, outward: Vector | np.ndarray) -> Face:
    """Return a flat boundary of a piece where nothing breaks: it lies in the open, or bone bends there."""
    return Face(Break(flat(point_mm, outward), 0.0), 1, hinge=True)


def middle_of(bone: Bone, low_mm: Vector, high_mm: Vector, step_mm: float = _STEP_MM) -> np.ndarray:
    """Return the centroid (3,) of the bone in a box, or the middle of the box when there is none."""
    axes = [np.arange(a, b + step_mm / 2, step_mm) for a, b in zip(low_mm, high_mm, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = points[bone.distance_mm(points.astype(np.float32)) < 0]
    center: np.ndarray = inside.mean(axis=0) if len(inside) else (np.asarray(low_mm) + np.asarray(high_mm)) / 2
    return center


def first_bone(bone: Bone, start_mm: Vector, direction: Vector, reach_mm: float = 30.0) -> tuple[float, float]:
    """Return where a ray meets bone and where it leaves it again, in mm from its start; (reach, reach) when never."""
    way = np.arange(0.0, reach_mm, 0.25)
    line = np.asarray(start_mm) + way[:, None] * np.asarray(direction)
    inside = bone.distance_mm(line.astype(np.float32)) < 0
    if not inside.any():
        return reach_mm, reach_mm
    entry = int(np.argmax(inside))
    leaving = np.flatnonzero(~inside[entry:])
    return float(way[entry]), float(way[entry + leaving[0]]) if leaving.size else reach_mm


def is_low(level: Vertebra) -> bool:
    """Return whether the spinous process is one of those that clay shovelers break."""
    return level >= Vertebra.C6


__all__ = ["Cutter", "Plan", "first_bone", "is_low", "middle_of", "within"]
