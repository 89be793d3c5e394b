"""The center of C1: the middle of its ring, read off the outline.

The first vertebra has no body. Its center lies in the open middle of a ring, where the image shows nothing of its own,
so that a network places it less surely than it outlines the two arches.
"""

import numpy as np

from cspine.domain import Grid

_MIDLINE_MM = 6.0  # half width of the strip in which the arches are looked for
_INNER_MM = 4.0  # nearer to the first guess than this is neither arch
_LENGTH_MM = (26.0, 56.0)  # front of the anterior arch to back of the posterior one


def ring_center(mask: np.ndarray, grid: Grid, guess_lps_mm: np.ndarray) -> np.ndarray:
    """Return the point (LPS mm) halfway between the front of the anterior and the back of the posterior arch.

    Parameters
    ----------
    mask
        bool (slice, row, column) of C1 on a canonical grid: rows run to the back, columns to the left.
    guess_lps_mm
        Where the network sees the center; returned when the outline shows no ring (a cleft or missing arch).
    """
    points = (grid.to_world(np.argwhere(mask)) - guess_lps_mm) @ grid.directions.T
    strip = points[np.abs(points[:, 2]) < _MIDLINE_MM]
    front, back = strip[strip[:, 1] < -_INNER_MM], strip[strip[:, 1] > _INNER_MM]
    if not len(front) or not len(back):
        return guess_lps_mm
    axis = back.mean(axis=0) - front.mean(axis=0)
    axis[2] = 0.0
    axis /= np.linalg.norm(axis)
    along = strip @ axis
    length = float(np.ptp(along))
    if not _LENGTH_MM[0] <= length <= _LENGTH_MM[1]:
        return guess_lps_mm
    middle = (front.mean(axis=0) + back.mean(axis=0)) / 2
    middle += axis * ((along.min() + along.max()) / 2 - middle @ axis)
    middle[2] = 0.0  # the network's guess is sure sideways
    return np.asarray(guess_lps_mm + middle @ grid.directions)
