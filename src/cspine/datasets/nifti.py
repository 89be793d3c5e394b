"""Write voxels as NIfTI: the frame is RAS there, and the first array axis runs along the columns."""

import gzip

import nibabel as nib
import numpy as np

from cspine.domain import Grid

# NIfTI's RAS+ frame points to the patient's right and front as negative, LPS as positive.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_REVERSED = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])


def nifti_bytes(grid: Grid, array: np.ndarray) -> bytes:
    """Return a ``.nii.gz`` of (slice, row, column) voxels on a grid; equal voxels make equal bytes."""
    image = nib.Nifti1Image(np.transpose(array), _LPS_TO_RAS @ grid.affine @ _REVERSED)
    image.set_qform(image.affine, code=1)
    image.set_sform(image.affine, code=1)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=4, mtime=0)
