"""A result lies on the images that it is about: voxel for voxel, in the order in which they are stored."""

from itertools import product

import numpy as np

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis, Grid, RenderError

LIMIT_MM = 0.5


def check_on_source(analysis: Analysis, source: LoadedSeries) -> None:
    """Check that labels and fracture map are on the grid of the source's volume.

    Raises
    ------
    RenderError
        Another shape, or a corner voxel is further than `LIMIT_MM` from where it is in the source.
    """
    _check("label map", analysis.labels.grid, source)
    if analysis.fracture_map is not None:
        _check("fracture map", analysis.fracture_map.grid, source)


def _check(what: str, grid: Grid, source: LoadedSeries) -> None:
    wanted = source.volume.grid
    if grid.shape != wanted.shape:
        raise RenderError(f"{source.name}: the {what} has shape {grid.shape}, the volume {wanted.shape}")
    corners = np.array(list(product(*((0, length - 1) for length in wanted.shape))))
    off = float(np.linalg.norm(grid.to_world(corners) - wanted.to_world(corners), axis=1).max())
    if off > LIMIT_MM:
        raise RenderError(
            f"{source.name}: the {what} lies up to {off:.1f} mm off the volume; limit {LIMIT_MM} mm. It must be in the "
            "axis order of the volume that was analyzed"
        )
