"""Where the mimics of a case are: a mask on the grid of the volume, and their boxes."""

import numpy as np

from cspine.domain import Box, Grid, LabelMap, MimicTruth, Vertebra, Volume
from cspine.phantom.features.traces import Trace
from cspine.phantom.mimic_images import image_region
from cspine.phantom.mimics import Mimic, MimicKind
from cspine.phantom.raster import Slab, over_slabs
from cspine.phantom.subject import Subject
from cspine.phantom.warp import Warp

_NEAR_VOXELS = 0.35
METAL_SHOWN_HU = 2900  # in slices with metal above this, streaks are seen


def trace_mask(trace: Trace, grid: Grid, warp: Warp, threads: int = 1) -> np.ndarray:
    """Return bool (slice, row, column): the voxels that a trace comes near, thin ones on coarse grids as well."""
    near = _NEAR_VOXELS * max(grid.spacing_mm)
    mask = np.zeros(grid.shape, dtype=bool)

    def work(slab: Slab) -> None:
        flat = mask[slab.slices].reshape(-1)
        for place in trace.places:
            for hits in slab.hits(place, near):
                flat[hits.flat] = True

    over_slabs(grid, warp, work, threads)
    return mask


def fillings_of(mimics: tuple[Mimic, ...], usual: float) -> float:
    """Return the share of the teeth that is metal: 6–40 % with dental metal, else the usual one."""
    shares = [0.06 + 0.34 * m.size for m in mimics if m.kind is MimicKind.DENTAL_METAL]
    return max([usual, *shares])


def line_masks(traces: tuple[Trace, ...], grid: Grid, warp: Warp) -> dict[int, np.ndarray]:
    """Return where lines beside cortices are to be drawn, by the number of the mimic: bool (slice, row, column)."""
    lines = [t for t in traces if t.kind is MimicKind.MACH_LINE and t.number is not None]
    return {t.number: trace_mask(t, grid, warp) for t in lines if t.number is not None}


def mimic_masks(
    mimics: tuple[Mimic, ...], subject: Subject, volume: Volume
) -> list[tuple[MimicKind, Vertebra, np.ndarray]]:
    """Return kind, level and mask, bool (slice, row, column), of every mimic but healed fractures.

    Those of the list come first, in their order, then those that come with the variants. Dental metal has a place only
    in slices that show it.
    """
    grid = volume.grid
    found: dict[int, np.ndarray] = {}
    others = []
    for trace in subject.traces:
        mask = trace_mask(trace, grid, subject.warp)
        if trace.number is None:
            others.append((trace.kind, trace.vertebra, mask))
        else:
            found[trace.number] = mask
    for number, mimic in enumerate(mimics):
        if mimic.kind in (MimicKind.SHOULDER_STREAK, MimicKind.MOTION_STEP):
            found[number] = image_region(mimic, grid, subject.centers_lps_mm)
        if mimic.kind is MimicKind.DENTAL_METAL:
            found[number] = found[number] & _slices_with_metal(volume)
    return [(m.kind, m.vertebra, found[k]) for k, m in enumerate(mimics) if k in found] + others


def _slices_with_metal(volume: Volume) -> np.ndarray:
    """Return bool (slice, 1, 1)."""
    return np.asarray((volume.hu > METAL_SHOWN_HU).any(axis=(1, 2), keepdims=True))


def mimic_truth(
    healed: tuple[LabelMap, tuple[MimicTruth, ...]], masks: list[tuple[MimicKind, Vertebra, np.ndarray]]
) -> tuple[LabelMap, tuple[MimicTruth, ...]]:
    """Return the map of all mimics (value k is the k-th) and what is true of each; healed fractures come first.

    Where two overlap the map keeps the first; the boxes are those of the whole masks.
    """
    truths, labels = list(healed[1]), healed[0].labels.copy()
    grid = healed[0].grid
    for kind, vertebra, mask in masks:
        box = Box.of_mask(mask)
        truths.append(MimicTruth(kind.value, vertebra, None if box is None else grid.box_to_world(box)))
        labels[mask & (labels == 0)] = len(truths)
    return LabelMap(grid, labels), tuple(truths)


__all__ = ["fillings_of", "line_masks", "mimic_masks", "mimic_truth", "trace_mask"]
