"""Bring vertebra meshes into their own frames: axes by their plane of symmetry and their endplates, origin in the body.

Input axes are LPS-like (x to a side, y to the back, z to the head) but tilted as the source left them.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from cspine.domain import ConfigError, Vertebra
from cspine.phantom.mesh import Surface, inside_of

_PITCH_MM = 0.8
_SLAB_MM = 3.2  # half thickness of the midsagittal slab, narrower than the distance of the uncinate processes
_ROUNDS = 3
# The line from the lower endplate to the tip of the dens leans back by this much against the own z axis.
_DENS_LEAN_DEG = 10.0
# Height of the origin of C2 above its lower endplate, relative to the endplate-to-tip height (UMTRI 2017: 33.3 mm).
_AXIS_ORIGIN_SHARE = 0.27

Parts = tuple[np.ndarray, np.ndarray]
"""(y, z) in mm of the front and the back part of a vertebra in its midsagittal plane, (N, 2) and (M, 2)."""


def turn_about_x(degrees: float) -> np.ndarray:
    """Return the 4×4 turn about the left axis; positive tips the head forward."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])


def shift(offset_mm: np.ndarray) -> np.ndarray:
    """Return the 4×4 translation."""
    matrix = np.eye(4)
    matrix[:3, 3] = offset_mm
    return matrix


def own_frame(surface: Surface, vertebra: Vertebra) -> np.ndarray:
    """Return the rigid 4×4 from a mesh's coordinates to the own frame of its vertebra.

    Raises
    ------
    ConfigError
        The midsagittal plane does not show the parts that the vertebra should have.
    """
    middle = (surface.vertices_mm.min(axis=0) + surface.vertices_mm.max(axis=0)) / 2
    return settled_frame(lambda total: _midsagittal_parts(surface.moved(total), vertebra), shift(-middle), vertebra)


def settled_frame(parts_in: Callable[[np.ndarray], Parts], start: np.ndarray, vertebra: Vertebra) -> np.ndarray:
    """Return the rigid 4×4 to the own frame of a vertebra whose plane of symmetry is x = 0 already.

    Parameters
    ----------
    parts_in
        Returns the midsagittal parts after a 4×4 map of the source's coordinates.
    start
        The first of these maps.
    """
    total = start
    locate = _axis_pose if vertebra == Vertebra.C2 else _atlas_pose if vertebra == Vertebra.C1 else _body_pose
    for _ in range(_ROUNDS):
        origin, tilt = locate(parts_in(total))
        total = turn_about_x(-tilt) @ shift(-np.array([0.0, *origin])) @ total
    origin, _ = locate(parts_in(total))
    frame: np.ndarray = shift(-np.array([0.0, *origin])) @ total
    return frame


def _midsagittal_parts(surface: Surface, vertebra: Vertebra) -> tuple[np.ndarray, np.ndarray]:
    """Return (y, z) in mm of the nodes of the front and the back part in the midsagittal slab, (N, 2) and (M, 2)."""
    low = surface.vertices_mm.min(axis=0) - 2 * _PITCH_MM
    low[0] = -_SLAB_MM + 0.01
    size = np.ceil((surface.vertices_mm.max(axis=0) + 2 * _PITCH_MM - low) / _PITCH_MM).astype(int) + 1
    # Lattice lines along x must see the whole surface on both sides of the slab.
    left = int(np.ceil((low[0] - surface.vertices_mm[:, 0].min()) / _PITCH_MM)) + 2
    low[0] -= left * _PITCH_MM
    inside = inside_of(surface, low, _PITCH_MM, (int(size[0]) + left, int(size[1]), int(size[2])))
    slab = inside[left : left + int(2 * _SLAB_MM / _PITCH_MM) + 1].mean(axis=0) > 0.5
    return front_and_back(slab, low[1:], _PITCH_MM, f"{vertebra.name}: the midsagittal plane of the mesh")


def front_and_back(plane: np.ndarray, low_mm: np.ndarray, pitch_mm: float, what: str) -> Parts:
    """Return the two largest parts of a midsagittal plane, bool (y, z) whose first node lies at `low_mm`.

    Raises
    ------
    ConfigError
        There is only one part, or none; `what` names the plane.
    """
    parts, count = ndimage.label(plane)
    sizes = ndimage.sum_labels(plane, parts, np.arange(1, count + 1))
    if count < 2:
        raise ConfigError(f"{what} shows {count} part(s), needs two")
    chosen = np.argsort(sizes)[-2:] + 1
    both = [np.argwhere(parts == k) * pitch_mm + low_mm for k in chosen]
    front, back = sorted(both, key=lambda part: float(part[:, 0].mean()))
    return front, back


def _body_pose(parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, float]:
    """Return the center (y, z) of a vertebral body and the tilt of its endplates in degrees."""
    y, top, bottom = _outline(parts[0])
    inner = (y > np.quantile(y, 0.15)) & (y < np.quantile(y, 0.85))
    slopes = [np.polyfit(y[inner], edge[inner], 1)[0] for edge in (top, bottom)]
    middle = np.array([(y[0] + y[-1]) / 2, ((top + bottom) / 2)[inner].mean()])
    return middle, float(np.degrees(np.arctan(np.mean(slopes))))


def _axis_pose(parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, float]:
    """Return the center (y, z) of the body of C2 below the dens, and its tilt in degrees."""
    front = parts[0]
    tip = front[front[:, 1] > front[:, 1].max() - 2].mean(axis=0)
    base = front[front[:, 1] < np.quantile(front[:, 1], 0.35)]
    y, _, bottom = _outline(base)
    foot = np.array([(y[0] + y[-1]) / 2, np.median(bottom)])
    along = tip - foot
    lean = np.degrees(np.arctan2(along[0], along[1]))
    return foot + _AXIS_ORIGIN_SHARE * along, float(_DENS_LEAN_DEG - lean)


def _atlas_pose(parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, float]:
    """Return the center (y, z) of the ring of C1 and the tilt of the line through its arches in degrees."""
    front, back = parts
    arch, tubercle = front.mean(axis=0), back.mean(axis=0)
    middle_y = (front[:, 0].min() + back[:, 0].max()) / 2
    return np.array([middle_y, (arch[1] + tubercle[1]) / 2]), float(
        np.degrees(np.arctan2(tubercle[1] - arch[1], tubercle[0] - arch[0]))
    )


def _outline(part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return y, highest and lowest z of a part, column by column."""
    y = np.unique(part[:, 0])
    top = np.array([part[part[:, 0] == value, 1].max() for value in y])
    bottom = np.array([part[part[:, 0] == value, 1].min() for value in y])
    return y, top, bottom
