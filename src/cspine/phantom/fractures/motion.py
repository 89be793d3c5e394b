"""Rigid motions as 4×4 matrices in one frame."""

import numpy as np
from scipy.spatial.transform import Rotation

from cspine.phantom.fractures.surfaces import Vector


def motion(
    pivot_mm: np.ndarray | Vector, axis: np.ndarray | Vector, degrees: float, shift_mm: np.ndarray | Vector = (0, 0, 0)
) -> np.ndarray:
    """Return the turn about an axis through a pivot, followed by a shift.

    About +x (left) a positive turn tips forward, about +y a positive one brings the left down, about +z a positive
    one brings the left to the back.
    """
    unit = np.asarray(axis, dtype=np.float64)
    unit = unit / np.linalg.norm(unit)
    pivot = np.asarray(pivot_mm, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * unit).as_matrix()
    matrix[:3, 3] = pivot - matrix[:3, :3] @ pivot + np.asarray(shift_mm, dtype=np.float64)
    return matrix


def part_of(move: np.ndarray, share: float) -> np.ndarray:
    """Return a share, 0 … 1, of a motion."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(Rotation.from_matrix(move[:3, :3]).as_rotvec() * share).as_matrix()
    matrix[:3, 3] = move[:3, 3] * share
    return matrix


__all__ = ["motion", "part_of"]
