"""Cut fractures into any CT that has vertebra masks, and tell where they are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from cspine.domain import (
    Box,
    ConfigError,
    FractureTruth,
    GroundTruth,
    LabelMap,
    MimicTruth,
    Vertebra,
    VertebraTruth,
    Volume,
)
from cspine.phantom.case import Case
from cspine.phantom.fractures import Fracture, PlacedFracture
from cspine.phantom.fractures.truth import fracture_truth, healed_truth
from cspine.phantom.insertion.look import ScanLook, look_of
from cspine.phantom.insertion.paint import edit_of, with_noise
from cspine.phantom.insertion.site import Site, check_insertable, site_of
from cspine.phantom.insertion.swell import Swell, swell_of
from cspine.phantom.warp import no_warp

_HU = (-1024, 32767)
_HALF = 0.5


def insert_fracture(
    volume: Volume,
    labels: LabelMap,
    spec: Fracture | Sequence[Fracture],
    rng: np.random.Generator,
    *,
    look: ScanLook | None = None,
    site: Site | None = None,
) -> Case:
    """Cut one or several fractures into vertebrae of a CT.

    The fracture engine of the phantom breaks the bone; gray values come from the scan, blurred and noisy as it is.
    Only a box round each broken vertebra changes. The rest of the spine stays where it is, so fragments move no
    further than it lets them, and what would carry the spine above moves alone. A fracture without gap, shift, turn,
    impaction and swelling (`Fracture.sham`) takes the same way and changes nothing.

    Parameters
    ----------
    volume
        Any orientation; int16 or float32 HU.
    labels
        Vertebrae on the same grid, a voxel's value being that of `Vertebra`; from `cspine detect`, from the
        segmentations of RSNA 2022, or of a phantom. Outlines may be off by a millimeter or two.
    rng
        Draws the noise in what is new; the fractures themselves follow from their seeds.
    look
        Blur and noise of the scan, when it has been measured already (`look_of`).
    site
        The vertebra, when it has been made ready already (`prepare_site` of this scan); saves most of the time where
        one scan gets many fractures, one after the other. Blur and noise are then the site's.

    Returns
    -------
    Case
        The new volume; the labels, with bone that has moved; truth of the vertebrae and of what was inserted, healed
        fractures as mimics; and their masks. A vertebra at the end of the volume is said to be seen in part by its
        size beside that of its neighbors.

    Raises
    ------
    ConfigError
        The grids differ; a vertebra is not labeled or not whole, or its mask does not look like one; a fracture of
        another bone, or one that needs the rest of the spine to move (subluxation, transdiscal).
    """
    fractures = (spec,) if isinstance(spec, Fracture) else tuple(spec)
    _check(volume, labels, fractures)
    axes = volume.grid.canonical_order()
    upright, outlined = volume.canonical(), labels.canonical()
    seen = site.look if site is not None else look or look_of(upright, outlined)
    operation = _Operation(upright, outlined, seen)
    for level, some in groupby(sorted(fractures, key=lambda f: f.vertebra), key=lambda f: f.vertebra):
        operation.perform(level, tuple(some), rng, site if site is not None and site.vertebra == level else None)
    return operation.case(volume, axes.undo)


def prepare_site(volume: Volume, labels: LabelMap, vertebra: Vertebra, look: ScanLook | None = None) -> Site:
    """Make a vertebra of a canonical volume ready for many fractures, one at a time (`insert_at`, `insert_fracture`).

    Raises
    ------
    ConfigError
        The vertebra is not labeled, not whole, or its mask does not look like one.
    """
    return site_of(volume, labels, vertebra, look or look_of(volume, labels))


@dataclass(frozen=True, eq=False)
class Inserted:
    """Fractures of one vertebra in a box of a canonical volume.

    Attributes
    ----------
    added_hu
        float32 (slice, row, column): what they add to the scan.
    gained, lost
        bool: voxels that the vertebra fills afterward and did not before, and the other way round.
    fractures, healed
        uint8: value k where the k-th of `truths` and `mimics` is.
    swells
        What swellings add, each in a box of its own.
    """

    box: Box
    added_hu: np.ndarray
    gained: np.ndarray
    lost: np.ndarray
    fractures: np.ndarray
    healed: np.ndarray
    truths: tuple[FractureTruth, ...]
    mimics: tuple[MimicTruth, ...]
    swells: tuple[Swell, ...] = ()


def insert_at(site: Site, fractures: Sequence[Fracture], rng: np.random.Generator) -> Inserted:
    """Cut fractures into a prepared vertebra; swelling, which reaches beyond its box, is left out."""
    return _inserted(site, [site.placed(fracture) for fracture in fractures], rng)


def _inserted(site: Site, placed: Sequence[PlacedFracture], rng: np.random.Generator) -> Inserted:
    edit = edit_of(site, placed)
    changed = np.abs(edit.bone) > _HALF
    fresh, truths = fracture_truth(placed, site.grid, no_warp())
    healed, mimics = healed_truth(placed, site.grid, no_warp())
    return Inserted(
        site.outline.box,
        with_noise(edit, site, rng),
        changed & (edit.bone > 0),
        changed & (edit.bone < 0),
        fresh.labels,
        healed.labels,
        truths,
        mimics,
    )


class _Operation:
    """A canonical scan while fractures are cut into it."""

    def __init__(self, volume: Volume, labels: LabelMap, look: ScanLook) -> None:
        self._volume, self._labels, self._look = volume, labels, look
        self._hu, self._new_labels = volume.hu.copy(), labels.labels.copy()
        self._fractures, self._mimics = (np.zeros(volume.grid.shape, np.uint8) for _ in range(2))
        self._truths: list[FractureTruth] = []
        self._alike: list[MimicTruth] = []

    def perform(
        self, level: Vertebra, fractures: Sequence[Fracture], rng: np.random.Generator, ready: Site | None
    ) -> None:
        """Cut all fractures of one vertebra."""
        site = ready or site_of(Volume(self._volume.grid, self._hu), self._labels, level, self._look)
        placed = [site.placed(fracture) for fracture in fractures]
        swellings = [p.swelling for p in placed if p.swelling is not None]
        swells = [swell_of(self._volume, self._labels, swelling, self._look) for swelling in swellings]
        done = replace(_inserted(site, placed, rng), swells=tuple(s for s in swells if s is not None))
        for swell in done.swells:
            self._add(swell.box, swell.added_hu)
        self._add(done.box, done.added_hu)
        self._note(level, done)

    def _add(self, box: Box, added_hu: np.ndarray) -> None:
        part = self._hu[box.slices]
        if part.dtype == np.int16:
            part[...] = np.clip(np.rint(part + added_hu), *_HU).astype(np.int16)
        else:
            part += added_hu

    def _note(self, level: Vertebra, done: Inserted) -> None:
        labels = self._new_labels[done.box.slices]
        labels[done.lost & (labels == level)] = 0
        labels[done.gained & (labels == 0)] = level
        for masks, found, before in (
            (self._fractures, done.fractures, len(self._truths)),
            (self._mimics, done.healed, len(self._alike)),
        ):
            part = masks[done.box.slices]
            new = (found > 0) & (part == 0)
            part[new] = found[new] + before
        self._truths += done.truths
        self._alike += done.mimics

    def case(self, original: Volume, undo: Callable[[np.ndarray], np.ndarray]) -> Case:
        """Return the result in the orientation of the original."""
        labels = LabelMap(self._labels.grid, self._new_labels)
        truth = GroundTruth(_vertebrae(labels), tuple(self._truths), tuple(self._alike))
        hu, new, fractures, mimics = (
            undo(array) for array in (self._hu, self._new_labels, self._fractures, self._mimics)
        )
        grid = original.grid
        return Case(Volume(grid, hu), LabelMap(grid, new), truth, LabelMap(grid, fractures), LabelMap(grid, mimics))


def _check(volume: Volume, labels: LabelMap, fractures: Sequence[Fracture]) -> None:
    if volume.grid.shape != labels.grid.shape or not np.allclose(volume.grid.affine, labels.grid.affine, atol=1e-3):
        raise ConfigError(
            f"insert a fracture: labels of shape {labels.grid.shape} do not lie on the grid of the volume, "
            f"{volume.grid.shape}; resample them"
        )
    if not fractures:
        raise ConfigError("insert a fracture: none is given")
    for fracture in fractures:
        check_insertable(fracture)


def _vertebrae(labels: LabelMap) -> tuple[VertebraTruth, ...]:
    """Return what is seen of every labeled vertebra; of one at the end of the volume by its size."""
    every = Box.of_mask(labels.labels > 0)
    if every is None:
        return ()
    part = labels.labels[every.slices]
    known = {int(v) for v in Vertebra}
    levels = [Vertebra(v) for v in np.flatnonzero(np.bincount(part.ravel(), minlength=256)).tolist() if v in known]
    boxes = {v: Box.of_mask(part == v) for v in levels}
    sizes = {v: int((part[b.slices] == v).sum()) for v, b in boxes.items() if b is not None}
    whole = {v for v, b in boxes.items() if b is not None and _is_inside(b.shifted(every.start_zyx), labels.grid.shape)}
    found = []
    for level, box in boxes.items():
        assert box is not None
        index = np.argwhere(part[box.slices] == level).mean(axis=0) + np.array(box.shifted(every.start_zyx).start_zyx)
        x, y, z = labels.grid.to_world(index).tolist()
        share = 1.0 if level in whole else _share(level, sizes, whole)
        found.append(VertebraTruth(level, (x, y, z), share))
    return tuple(found)


def _is_inside(box: Box, shape: Iterable[int]) -> bool:
    return all(a > 0 and b < n for a, b, n in zip(box.start_zyx, box.stop_zyx, shape, strict=True))


def _share(level: Vertebra, sizes: dict[Vertebra, int], whole: set[Vertebra]) -> float:
    nearest = min(whole, key=lambda v: abs(v - level), default=None)
    return 0.5 if nearest is None else float(np.clip(sizes[level] / sizes[nearest], 0.05, 0.95))


__all__ = ["Inserted", "insert_at", "insert_fracture", "prepare_site"]
