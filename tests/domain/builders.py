"""Grids of every orientation, and arrays whose values say where they are."""

from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cspine.domain import Grid

# All 48 ways to lay the three axes along the patient's: six permutations, eight flips, mirror images included.
ORIENTATIONS = [
    np.diag(signs)[list(order)].astype(float)
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]
spacings_mm = st.tuples(*[st.floats(0.2, 5.0) for _ in range(3)])
origins_lps_mm = st.tuples(*[st.floats(-500.0, 500.0) for _ in range(3)])
shapes = st.tuples(*[st.integers(2, 12) for _ in range(3)])
rotations = st.tuples(*[st.floats(-180.0, 180.0) for _ in range(3)]).map(
    lambda angles: Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
)
orientations = st.sampled_from(ORIENTATIONS)


@st.composite
def grids(draw: st.DrawFn, oblique: bool = True) -> Grid:
    """Draw a grid: anisotropic, in any of the 48 orientations, turned by any angle unless `oblique` is false."""
    directions = draw(orientations)
    if oblique:
        directions = directions @ draw(rotations)
    return Grid.from_axes(draw(shapes), draw(spacings_mm), draw(origins_lps_mm), directions, frame_uid="1.2.3")


def all_indices(grid: Grid) -> np.ndarray:
    """Return (N, 3) every voxel index of a grid, in C order."""
    return np.indices(grid.shape).reshape(3, -1).T


def ramp(grid: Grid, slope_lps: tuple[float, float, float] = (0.7, -1.3, 2.1)) -> np.ndarray:
    """Return float32 voxels that hold a linear function of their world point."""
    values = grid.to_world(all_indices(grid)) @ np.asarray(slope_lps)
    return values.reshape(grid.shape).astype(np.float32)


def blob(grid: Grid, center_lps_mm: np.ndarray, width_mm: float) -> np.ndarray:
    """Return float32 voxels of a Gaussian bump at a world point."""
    offset = grid.to_world(all_indices(grid)) - center_lps_mm
    return np.exp(-(offset**2).sum(axis=1) / (2 * width_mm**2)).reshape(grid.shape).astype(np.float32)


def centroid_lps_mm(grid: Grid, weight: np.ndarray) -> np.ndarray:
    """Return the world point of the center of mass."""
    world = grid.to_world(all_indices(grid))
    return (world * weight.reshape(-1, 1)).sum(axis=0) / weight.sum()
