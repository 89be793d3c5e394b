"""Where a vertebra of a scan lies: its own frame, as meshes have it, found from its outline and its neighbors."""

import numpy as np
from scipy import ndimage, optimize

from cspine.domain import ConfigError, LabelMap, Vertebra
from cspine.phantom.insertion.outline import Outline
from cspine.phantom.mesh_frames import Parts, front_and_back, settled_frame

_PITCH_MM = 1.0
_SLAB_MM = 3.0  # half thickness of the midsagittal slab
_HALF_MM = np.array([48.0, 62.0, 40.0])
_POINTS = 1500
_SIMPLEX = ((8.0, 0.0, 0.0), (0.0, 8.0, 0.0), (0.0, 0.0, 2.5))  # degrees, degrees, mm
_ROUNDS = 90
_MOST_APART_MM = 2.2
_DENS_MM = 20.0
_LARGEST_ARCH_MM2 = 190.0  # of the anterior arch of C1 in the midsagittal plane; more holds the dens as well
_MOST_TILTED_DEG = 32.0


def frame_of(outline: Outline, labels: LabelMap) -> np.ndarray:
    """Return the rigid 4×4 from the own frame of a vertebra to LPS mm.

    The spine's course gives a first upright, the best mirror plane left and right, the midsagittal outline of body
    and arch the origin and the tilt, as for meshes.

    Raises
    ------
    ConfigError
        The outline does not show the parts that the vertebra has.
    """
    voxels = np.argwhere(outline.own)
    rough = np.eye(4)
    rough[:3, :3] = _axes(labels, outline.vertebra)
    rough[:3, 3] = outline.grid.to_world(voxels).mean(axis=0)
    rough = rough @ _mirrored(outline, rough)

    def parts_in(total: np.ndarray) -> Parts:
        return _midsagittal(outline, rough @ np.linalg.inv(total))

    settled = settled_frame(parts_in, np.eye(4), outline.vertebra)
    frame: np.ndarray = rough @ np.linalg.inv(settled)
    _refuse_unlikely(outline, rough, frame)
    return frame


def _axes(labels: LabelMap, vertebra: Vertebra) -> np.ndarray:
    """Return rough own axes as columns: left, back and up."""
    centers = {}
    for level in range(max(1, vertebra - 1), vertebra + 2):
        found = np.argwhere(labels.labels[_every(labels)] == level)
        if len(found):
            centers[level] = labels.grid.to_world(found * np.array(_strides(labels))).mean(axis=0)
    ends = [centers[k] for k in sorted(centers)]
    up = ends[0] - ends[-1] if len(ends) > 1 else np.array([0.0, 0.0, 1.0])
    up = up / np.linalg.norm(up)
    back = np.array([0.0, 1.0, 0.0]) - up[1] * up
    back /= np.linalg.norm(back)
    return np.stack([np.cross(back, up), back, up], axis=1)


def _strides(labels: LabelMap) -> tuple[int, int, int]:
    z, y, x = (max(1, int(2.0 / s)) for s in labels.grid.spacing_mm)
    return z, y, x


def _every(labels: LabelMap) -> tuple[slice, slice, slice]:
    z, y, x = (slice(None, None, n) for n in _strides(labels))
    return z, y, x


def _lattice() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes (X, Y, Z, 3) of a lattice in an own frame, and the first of them."""
    axes = [np.arange(-h, h + _PITCH_MM / 2, _PITCH_MM) for h in _HALF_MM]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1), -_HALF_MM


def _sampled(outline: Outline, to_world: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Return bool: which nodes (…, 3) of an own frame lie in the vertebra."""
    world = nodes.reshape(-1, 3) @ to_world[:3, :3].T + to_world[:3, 3]
    index = outline.grid.to_index(world).T
    values = ndimage.map_coordinates(outline.own.astype(np.float32), index, order=1, prefilter=False)
    inside: np.ndarray = values.reshape(nodes.shape[:-1]) > 0.5
    return inside


def _mirrored(outline: Outline, to_world: np.ndarray) -> np.ndarray:
    """Return the 4×4 from a frame whose plane x = 0 mirrors the vertebra to a rough own frame."""
    nodes, low = _lattice()
    inside = _sampled(outline, to_world, nodes)
    away = ndimage.distance_transform_edt(~inside).astype(np.float32) * np.float32(_PITCH_MM)
    points = nodes[inside]
    points = points[:: max(1, len(points) // _POINTS)]

    def cost(given: np.ndarray) -> float:
        turned = _turn(given)
        local = (points - turned[:3, 3]) @ turned[:3, :3]
        mirrored = local * np.array([-1.0, 1.0, 1.0]) @ turned[:3, :3].T + turned[:3, 3]
        index = (mirrored - low) / _PITCH_MM
        far = ndimage.map_coordinates(away, index.T, order=1, mode="nearest", prefilter=False)
        return float(np.minimum(far, 6.0).mean())

    start = np.zeros((4, 3))
    start[1:] = _SIMPLEX
    best = optimize.minimize(
        cost, np.zeros(3), method="Nelder-Mead", options={"initial_simplex": start, "maxfev": _ROUNDS}
    )
    if best.fun > _MOST_APART_MM:
        raise ConfigError(
            f"insert a fracture: the mask of {outline.vertebra.name} is not symmetric: its halves are "
            f"{best.fun:.1f} mm apart, limit {_MOST_APART_MM} mm; correct the mask or choose another level"
        )
    return _turn(best.x)


def _turn(given: np.ndarray) -> np.ndarray:
    """Return the 4×4 of a turn about z and about y in degrees and an offset of the plane in mm."""
    yaw, roll = np.radians(given[:2])
    cz, sz, cy, sy = np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    matrix[:3, 3] = matrix[:3, 0] * given[2]
    return matrix


def _midsagittal(outline: Outline, to_world: np.ndarray) -> Parts:
    nodes, low = _lattice()
    slab = nodes[np.abs(nodes[:, 0, 0, 0]) < _SLAB_MM]
    plane = _sampled(outline, to_world, slab).mean(axis=0) > 0.5
    name = outline.vertebra.name
    return front_and_back(plane, low[1:], _PITCH_MM, f"insert a fracture: {name}: the midsagittal plane of its mask")


def _refuse_unlikely(outline: Outline, rough: np.ndarray, frame: np.ndarray) -> None:
    """Refuse a frame that the spine or the mask contradicts."""
    vertebra = outline.vertebra
    what = f"insert a fracture: the mask of {vertebra.name}"
    remedy = "correct the mask or choose another level"
    tilt = float(np.degrees(np.arccos(np.clip(rough[:3, 2] @ frame[:3, 2], -1, 1))))
    if tilt > _MOST_TILTED_DEG:
        limit = f"limit {_MOST_TILTED_DEG:g}°"
        raise ConfigError(f"{what} seems tilted by {tilt:.0f}° against its neighbors, {limit}; {remedy}")
    if vertebra is Vertebra.C1:
        area = float(len(_midsagittal(outline, frame)[0])) * _PITCH_MM**2
        if area > _LARGEST_ARCH_MM2:
            limit = f"limit {_LARGEST_ARCH_MM2:g} mm²"
            raise ConfigError(f"{what} shows {area:.0f} mm² of anterior arch, {limit}: it holds the dens; {remedy}")
        return
    if not _sampled(outline, frame, np.zeros((1, 3))).all():
        raise ConfigError(f"{what} has no bone where its body should be; {remedy}")
    if vertebra is Vertebra.C2:
        inverse = np.linalg.inv(frame)
        heights = outline.grid.to_world(np.argwhere(outline.own)) @ inverse[2, :3] + inverse[2, 3]
        top = float(heights.max())
        if top < _DENS_MM:
            raise ConfigError(f"{what} ends {top:.0f} mm above its body, needs {_DENS_MM:g}: no dens; {remedy}")


__all__ = ["frame_of"]
