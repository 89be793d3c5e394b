"""Write voxels as NIfTI: the frame is RAS there, and the first array axis runs along the columns."""

import gzip

import nibabel as nib
import numpy as np

from cspine.domain import AxisOrder, Grid, LabelMap

# NIfTI's RAS+ frame points to the patient's right and front as negative, LPS as positive.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_COLUMNS_FIRST = AxisOrder((2, 1, 0), (False, False, False))
# As the masks of RSNA 2022: rows run to the front, slices to the head.
_RSNA_MASK = AxisOrder((2, 1, 0), (False, True, True))


def nifti_bytes(grid: Grid, array: np.ndarray) -> bytes:
    """Return a ``.nii.gz`` of (slice, row, column) voxels on a grid; equal voxels make equal bytes."""
    return gzip.compress(_stored(grid, array, _COLUMNS_FIRST), compresslevel=4, mtime=0)


def plain_nifti_bytes(grid: Grid, array: np.ndarray) -> bytes:
    """Return a ``.nii`` of (slice, row, column) voxels on a grid: 352 bytes of header, then they in that order."""
    return _stored(grid, array, _COLUMNS_FIRST)


def rsna_mask_bytes(labels: LabelMap) -> bytes:
    """Return a ``.nii`` of labels as RSNA 2022 stores its masks.

    Read with nibabel, ``mask[:, ::-1, ::-1].transpose(2, 1, 0)`` lies on the slices sorted head to foot; the affine
    says the same.
    """
    canonical = labels.canonical()
    return _stored(canonical.grid, canonical.labels, _RSNA_MASK)


def _stored(grid: Grid, array: np.ndarray, axes: AxisOrder) -> bytes:
    image = nib.Nifti1Image(axes.apply(array), _LPS_TO_RAS @ grid.reordered(axes).affine)
    image.set_qform(image.affine, code=1)
    image.set_sform(image.affine, code=1)
    image.header.set_xyzt_units("mm")
    stored: bytes = image.to_bytes()
    return stored
