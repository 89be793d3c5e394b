"""What a break does to a solid: surfaces that open, and fragments that move, told without knowing whose bone it is.

Everything is in mm of one frame, that of the distance function which is broken. The same breaks cut a `Bone` of the
phantom or any other object with a signed distance, such as a vertebra's mask in a real scan.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cspine.phantom.fractures.surfaces import Places, Surface

_FADE = 0.4  # share of the reach over which a crack closes
_LEAST_STRENGTH = 0.25  # a break that is closed further than this is not part of the truth
_BLOOD_HU = 45.0


@dataclass(frozen=True, eq=False)
class Break:
    """A surface with a gap: what lies within half the gap of the surface is filled, what lies beside it hardened.

    Attributes
    ----------
    gap_mm
        Width where it is open.
    filler_hu
        What fills the gap.
    margin_hu, margin_mm
        What is added to bone at the surface, and over which distance it fades: compacted or sclerotic edges.
    center_mm, reach_mm
        The gap closes toward this distance from this point; without a point it is open everywhere.
    """

    surface: Surface
    gap_mm: float
    filler_hu: float = _BLOOD_HU
    margin_hu: float = 0.0
    margin_mm: float = 0.8
    center_mm: np.ndarray | None = None
    reach_mm: float = np.inf

    @property
    def shows(self) -> bool:
        """Whether it changes anything."""
        return self.gap_mm > 0 or self.margin_hu != 0

    @property
    def is_everywhere(self) -> bool:
        """Whether it is open all over its surface."""
        return self.center_mm is None or not np.isfinite(self.reach_mm)

    def strength_at(self, places: Places) -> np.ndarray:
        """Return float32 (N,), 0 … 1: how far it is open."""
        if self.is_everywhere:
            return np.ones(len(places), dtype=np.float32)
        away = np.linalg.norm(places.points_mm - np.asarray(self.center_mm, dtype=np.float32), axis=1)
        open_: np.ndarray = np.clip((self.reach_mm - away) / (_FADE * self.reach_mm), 0, 1)
        return open_.astype(np.float32)

    def gap_share(self, places: Places, width_mm: float) -> np.ndarray:
        """Return which share of a sample of that width the gap takes, float32 (N,)."""
        signed = places.signed_mm(self.surface)
        half, reach = self.strength_at(places) * np.float32(self.gap_mm / 2), np.float32(width_mm / 2)
        overlap = np.minimum(signed + reach, half) - np.maximum(signed - reach, -half)
        share: np.ndarray = np.clip(overlap / np.float32(width_mm), 0, 1)
        return share

    def hardening_hu(self, places: Places) -> np.ndarray:
        """Return what is added to the bone there, float32 (N,)."""
        if self.margin_hu == 0:
            return np.zeros(len(places), dtype=np.float32)
        strength = self.strength_at(places)
        beyond = np.abs(places.signed_mm(self.surface)) - strength * np.float32(self.gap_mm / 2)
        falloff = np.exp(-((np.maximum(beyond, 0) / np.float32(self.margin_mm)) ** 2))
        added: np.ndarray = np.float32(self.margin_hu) * strength * falloff
        return added

    def shows_at(self, places: Places, half_mm: float) -> np.ndarray:
        """Return bool (N,): whether the surface with its gap passes within half a sample."""
        if not self.shows:
            return np.zeros(len(places), dtype=bool)
        strength = self.strength_at(places)
        within = np.maximum(strength * np.float32(self.gap_mm / 2), np.float32(half_mm))
        near: np.ndarray = (np.abs(places.signed_mm(self.surface)) < within) & (strength > _LEAST_STRENGTH)
        return near


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a fragment.

    Attributes
    ----------
    sign
        +1 when the fragment lies where the surface is negative, −1 where it is positive.
    hinge
        The fragment hangs on there: bone bends, nothing opens, nothing is true of it.
    """

    cut: Break
    sign: int = 1
    hinge: bool = False

    def signed_mm(self, places: Places) -> np.ndarray:
        """Return float32 (N,), negative on the side of the fragment."""
        return places.signed_mm(self.cut.surface) * np.float32(self.sign)

    def half_gap_mm(self, places: Places) -> np.ndarray | np.float32:
        """Return half the gap: float32 (N,), or one value; none at a hinge."""
        if self.hinge or self.cut.gap_mm == 0:
            return np.float32(0)
        half = np.float32(self.cut.gap_mm / 2)
        return half if self.cut.is_everywhere else half * self.cut.strength_at(places)


@dataclass(frozen=True, eq=False)
class Fragment:
    """A piece of bone within its faces, moved rigidly.

    Attributes
    ----------
    move
        4×4: where it was → where it is.
    """

    faces: tuple[Face, ...]
    move: np.ndarray = field(default_factory=lambda: np.eye(4))

    @cached_property
    def back(self) -> np.ndarray:
        """4×4 float32: where it is → where it was."""
        return np.linalg.inv(self.move).astype(np.float32)

    @property
    def is_moved(self) -> bool:
        """Whether it left its place."""
        return not np.array_equal(self.move, np.eye(4))

    def sources(self, places: Places) -> Places:
        """Return where places of the moved fragment came from: the same object, if it did not move."""
        if not self.is_moved:
            return places
        return Places(places.points_mm @ self.back[:3, :3].T + self.back[:3, 3])

    def region_mm(self, places: Places) -> np.ndarray:
        """Return float32 (N,), negative within the faces before any moved or opened."""
        return _largest([face.signed_mm(places) for face in self.faces])

    def retreat_mm(self, places: Places, direction: float) -> np.ndarray:
        """Return the region when every face retreats by half its gap, inward (+1) or outward (−1)."""
        way = np.float32(direction)
        return _largest([f.signed_mm(places) + way * f.half_gap_mm(places) for f in self.faces])

    def face_shows(self, places: Places, half_mm: float) -> np.ndarray:
        """Return bool (N,): whether a broken face of the region passes within half a sample."""
        signed = [face.signed_mm(places) for face in self.faces]
        limits = [np.maximum(face.half_gap_mm(places), np.float32(half_mm)) for face in self.faces]
        near = np.zeros(len(places), dtype=bool)
        for face, height, limit in zip(self.faces, signed, limits, strict=True):
            if face.cut.shows and not face.hinge:
                near |= (np.abs(height) < limit) & (face.cut.strength_at(places) > _LEAST_STRENGTH)
        for height, limit in zip(signed, limits, strict=True):
            near &= height < limit
        return near

    def hardening_hu(self, places: Places) -> np.ndarray:
        """Return what is added to bone beside the broken faces, float32 (N,); little away from the fragment."""
        total = np.zeros(len(places), dtype=np.float32)
        for face in self.faces:
            if not face.hinge and face.cut.margin_hu:
                others = [f.signed_mm(places) for f in self.faces if f is not face]
                beside = np.maximum(_largest(others), 0) if others else np.float32(0)
                total += face.cut.hardening_hu(places) * np.exp(-beside)
        return total


@dataclass(frozen=True, eq=False)
class Breaks:
    """All that one fracture does to one solid.

    Attributes
    ----------
    cracks
        Surfaces that open without freeing a piece.
    fragments
        Pieces; of two that overlap the earlier one has the place.
    filler_hu
        What fills places that bone has left.
    """

    cracks: tuple[Break, ...] = ()
    fragments: tuple[Fragment, ...] = ()
    filler_hu: float = _BLOOD_HU

    @classmethod
    def joined(cls, parts: Iterable["Breaks"]) -> "Breaks":
        """Return several fractures of one solid as one."""
        every = tuple(parts)
        cracks = tuple(crack for part in every for crack in part.cracks)
        fragments = tuple(fragment for part in every for fragment in part.fragments)
        return cls(cracks, fragments, every[0].filler_hu)


def _largest(fields: list[np.ndarray]) -> np.ndarray:
    largest = fields[0]
    for other in fields[1:]:
        largest = np.maximum(largest, other)
    return largest


__all__ = ["Break", "Breaks", "Face", "Fragment"]
