"""A bone with breaks: still a bone, and for every place the pieces that share it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.fractures.breaks import Breaks, Fragment
from cspine.phantom.fractures.surfaces import Places
from cspine.phantom.skeleton import Bone


@dataclass(frozen=True, eq=False)
class Share:
    """What one piece of bone contributes to some places.

    Attributes
    ----------
    which
        (M,) numbers of the places.
    source_mm
        float32 (M, 3) where this bone lay before it broke.
    distance_mm
        float32 (M,) signed distance to the unbroken surface at the source.
    cover
        float32 (M,), 0 … 1: the share of the sample that it fills.
    harder_hu
        float32 (M,) that compaction or sclerosis adds.
    """

    which: np.ndarray
    source_mm: np.ndarray
    distance_mm: np.ndarray
    cover: np.ndarray
    harder_hu: np.ndarray


@dataclass(frozen=True, eq=False)
class _Piece:
    """Places as one piece of bone sees them: where they lay before it moved, and how far from the unbroken surface."""

    source: Places
    distance_mm: np.ndarray


@dataclass(frozen=True, eq=False)
class BrokenBone:
    """A bone with all its breaks.

    As a `Bone` it is the union of its pieces with thin gaps closed: what a label of the bone covers.
    """

    bone: Bone
    breaks: Breaks

    @property
    def name(self) -> str:
        """Name of the bone."""
        return self.bone.name

    @property
    def vertebra(self) -> Vertebra | None:
        """The vertebra that it is, or ``None``."""
        return self.bone.vertebra

    @cached_property
    def bounds_mm(self) -> np.ndarray:
        """Bounds of the bone before and after its fragments moved."""
        low, high = self.bone.bounds_mm
        corners = np.array([[(low, high)[b >> i & 1][i] for i in range(3)] for b in range(8)])
        moves = [np.eye(4), *(f.move for f in self.breaks.fragments)]
        places = np.concatenate([corners @ move[:3, :3].T + move[:3, 3] for move in moves])
        return np.stack([places.min(axis=0), places.max(axis=0)])

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the signed distance to the union of the pieces, float32 (N,)."""
        return self._union(self._moved(Places(points_mm)))

    def _moved(self, places: Places) -> list["_Piece"]:
        """Return places as the whole bone and then every fragment see them."""
        whole = _Piece(places, self.bone.distance_mm(places.points_mm))
        return [whole, *(self._seen_by(fragment, whole) for fragment in self.breaks.fragments)]

    def _seen_by(self, fragment: Fragment, whole: "_Piece") -> "_Piece":
        if not fragment.is_moved:
            return whole
        source = fragment.sources(whole.source)
        return _Piece(source, self.bone.distance_mm(source.points_mm))

    def _union(self, pieces: list["_Piece"]) -> np.ndarray:
        """Return the distance to the union of the pieces, float32 (N,)."""
        whole, fragments = pieces[0], self.breaks.fragments
        nearest = whole.distance_mm.copy()
        for fragment in fragments:
            np.maximum(nearest, -fragment.region_mm(whole.source), out=nearest)
        for number, (fragment, piece) in enumerate(zip(fragments, pieces[1:], strict=True)):
            region = fragment.region_mm(piece.source)
            for earlier in fragments[:number]:
                np.maximum(region, -earlier.region_mm(piece.source), out=region)
            np.minimum(nearest, np.maximum(piece.distance_mm, region), out=nearest)
        return nearest

    def envelope_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return a distance, float32 (N,), below which lies all that is, or was, within a piece."""
        places = Places(points_mm)
        nearest = self.bone.distance_mm(places.points_mm)
        for fragment in self.breaks.fragments:
            if fragment.is_moved:
                np.minimum(nearest, self.bone.distance_mm(fragment.sources(places).points_mm), out=nearest)
        return nearest

    def shares(self, points_mm: np.ndarray, width_mm: float) -> Iterator[Share]:
        """Yield what the main piece and every fragment contribute to samples of a width at points (N, 3).

        Without a move the covers of a place sum to 1 less the gap's share; pieces that were pushed into each other
        sum to more.
        """
        places = Places(points_mm)
        yield from self._share(places, width_mm, None, self.breaks.fragments)
        for number, fragment in enumerate(self.breaks.fragments):
            yield from self._share(places, width_mm, fragment, self.breaks.fragments[:number])

    def _share(
        self, places: Places, width_mm: float, fragment: Fragment | None, others: tuple[Fragment, ...]
    ) -> Iterator[Share]:
        source = places if fragment is None else fragment.sources(places)
        distance = self.bone.distance_mm(source.points_mm)
        which = np.flatnonzero(distance < width_mm / 2)
        source, distance = source.some(which), distance[which]
        width = np.float32(width_mm)
        cover = np.clip(0.5 - distance / width, 0, 1)
        if fragment is not None:
            cover *= np.clip(0.5 - fragment.retreat_mm(source, 1.0) / width, 0, 1)
        for other in others:
            cover *= np.clip(0.5 + other.retreat_mm(source, -1.0) / width, 0, 1)
        kept = np.flatnonzero(cover > 0)
        if kept.size == 0:
            return
        which, source, distance, cover = which[kept], source.some(kept), distance[kept], cover[kept]
        harder = np.zeros(len(which), dtype=np.float32)
        for crack in self.breaks.cracks:
            cover *= 1 - crack.gap_share(source, width_mm)
            harder += crack.hardening_hu(source)
        for piece in self.breaks.fragments:
            harder += piece.hardening_hu(source)
        yield Share(which, source.points_mm, distance, cover.astype(np.float32), harder)

    def gap_filling(self, points_mm: np.ndarray, width_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Return how much of each sample was bone (N,), and the HU (N,) of what fills it where bone has left."""
        places = Places(points_mm)
        was = np.clip(0.5 - self.bone.distance_mm(places.points_mm) / np.float32(width_mm), 0, 1)
        filler = np.full(len(places), self.breaks.filler_hu, dtype=np.float32)
        for crack in self.breaks.cracks:
            share = crack.gap_share(places, width_mm)
            filler += np.clip(4 * share, 0, 1) * np.float32(crack.filler_hu - self.breaks.filler_hu)
        return was, filler

    def shows_at(self, points_mm: np.ndarray, half_mm: float) -> np.ndarray:
        """Return bool (N,): where the fracture is.

        True where a break, with its gap, runs through bone within half a sample, at its old and at its new place, and
        where bone has left or entered by more than half a sample.
        """
        pieces = self._moved(Places(points_mm))
        places, before = pieces[0].source, pieces[0].distance_mm
        was, shows = before < 0, np.zeros(len(places), dtype=bool)
        for crack in self.breaks.cracks:
            shows |= was & crack.shows_at(places, half_mm)
        for fragment, piece in zip(self.breaks.fragments, pieces[1:], strict=True):
            shows |= (piece.distance_mm < 0) & fragment.face_shows(piece.source, half_mm)
            if fragment.is_moved:
                shows |= was & fragment.face_shows(places, half_mm)
        if any(fragment.is_moved for fragment in self.breaks.fragments):
            after, clear = self._union(pieces), np.float32(half_mm)
            shows |= ((before < -clear) & (after > clear)) | ((before > clear) & (after < -clear))
        return shows


@dataclass(frozen=True, eq=False)
class Envelope:
    """The room that a broken bone takes or took, as a bone: where a renderer has to look."""

    broken: BrokenBone

    @property
    def name(self) -> str:
        """Name of the bone."""
        return self.broken.name

    @property
    def vertebra(self) -> Vertebra | None:
        """The vertebra that it is, or ``None``."""
        return self.broken.vertebra

    @property
    def bounds_mm(self) -> np.ndarray:
        """Bounds of the bone before and after."""
        return self.broken.bounds_mm

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the distance, float32 (N,), of points (N, 3) in the own frame."""
        return self.broken.envelope_mm(points_mm)


__all__ = ["BrokenBone", "Envelope", "Share"]
