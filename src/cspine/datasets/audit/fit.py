"""Does a mask lie where the bone is? Asked of the voxels, not of the headers.

The mask is compared with bright voxels in its neighborhood: as it is, moved along it by a few slices, turned over.
Wherever it fits best is where it belongs.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Box, LabelMap, Volume

BONE_HU = 160
SHIFTS = (-3, -2, -1, 1, 2, 3)
# In-plane, voxels of the mask's neighborhood are compared at this spacing: enough for edges across the slices.
IN_PLANE_MM = 1.5
# A better place must be better by this much Dice: the edge of a good mask alone moves it less.
SHIFT_MARGIN, REVERSE_MARGIN = 0.01, 0.05
NEIGHBORHOOD_VOXELS = 3


@dataclass(frozen=True)
class MaskFit:
    """Dice of mask and bone.

    Attributes
    ----------
    straight, reversed
        As it is, and turned over in z.
    best, shift
        The best along the neck, and by how many slices (down is positive) the mask moves to it; 0 where nothing
        is better by the margin.
    """

    straight: float
    reversed: float
    best: float
    shift: int

    @property
    def reversed_fits_better(self) -> bool:
        """Whether the mask lies upside down."""
        return self.reversed > max(self.straight, self.best) + REVERSE_MARGIN


def fit_of(volume: Volume, labels: LabelMap) -> MaskFit:
    """Compare a mask with the bone of its volume, both canonical and on one grid."""
    steps = [max(1, int(IN_PLANE_MM / mm)) for mm in volume.grid.spacing_mm[1:]]
    mask = labels.labels[:, :: steps[0], :: steps[1]] > 0
    bone = volume.hu[:, :: steps[0], :: steps[1]] > BONE_HU
    straight = _dice(mask, bone, 0)
    moved = {shift: _dice(mask, bone, shift) for shift in SHIFTS}
    shift = max(moved, key=moved.__getitem__)
    better = moved[shift] > straight + SHIFT_MARGIN
    turned = _dice(mask[::-1], bone, 0)
    return MaskFit(straight, turned, moved[shift] if better else straight, shift if better else 0)


def _dice(mask: np.ndarray, bone: np.ndarray, shift: int) -> float:
    """Return the Dice of bone and the mask moved down by `shift` slices, within the moved mask's neighborhood."""
    count = mask.shape[0]
    if abs(shift) >= count:
        return 0.0
    source = slice(max(0, -shift), count - max(0, shift))
    target = slice(max(0, shift), count - max(0, -shift))
    moved = np.zeros_like(mask)
    moved[target] = mask[source]
    tight = Box.of_mask(moved)
    if tight is None:
        return 0.0
    grown = Box(
        tuple(n - NEIGHBORHOOD_VOXELS for n in tight.start_zyx),  # type: ignore[arg-type]  # three numbers
        tuple(n + NEIGHBORHOOD_VOXELS for n in tight.stop_zyx),  # type: ignore[arg-type]  # three numbers
    ).clipped(mask.shape)
    assert grown is not None  # it holds the mask
    held = moved[grown.slices]
    seen = bone[grown.slices] & ndimage.binary_dilation(held, iterations=NEIGHBORHOOD_VOXELS)
    both = int((seen & held).sum())
    return 2 * both / max(1, int(seen.sum()) + int(held.sum()))
