"""Swelling in front of a vertebra of a scan: soft tissue gives way, bone and noise stay."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Box, LabelMap, Volume
from cspine.phantom.fractures.swelling import LEAST_MM, Swelling, swelling_box, swollen
from cspine.phantom.insertion.look import ScanLook
from cspine.phantom.insertion.smooth import signal_of, soft_tissue
from cspine.phantom.warp import no_warp

_DENSE_HU = 220.0
_RIM_MM = 1.6
_AIR_HU = -300.0


@dataclass(frozen=True, eq=False)
class Swell:
    """What a swelling adds to a scan, float32 HU (slice, row, column), in a box."""

    box: Box
    added_hu: np.ndarray


def swell_of(volume: Volume, labels: LabelMap, swelling: Swelling, look: ScanLook) -> Swell | None:
    """Work out a swelling in a canonical volume; ``None`` when it is too thin or outside."""
    box = swelling_box(volume.grid, swelling, no_warp()) if swelling.thickness_mm >= LEAST_MM else None
    if box is None:
        return None
    grid = volume.grid.crop(box)
    signal = signal_of(volume.hu[box.slices], grid, look).hu
    bone = (labels.labels[box.slices] > 0) | (signal > _DENSE_HU)
    size = tuple(2 * max(1, round(_RIM_MM / s)) + 1 for s in grid.spacing_mm)
    near = ndimage.maximum_filter(bone, size)
    # What lies behind bone is taken for soft tissue, or bone would be drawn out into what moves away from it.
    soft = np.where(near, soft_tissue(signal, ~near & (signal > _AIR_HU), grid), signal)
    free = ndimage.uniform_filter((~near).astype(np.float32), 3) * ~near
    return Swell(box, (swollen(soft, grid, [swelling], no_warp()) - soft) * free)


__all__ = ["Swell", "swell_of"]
