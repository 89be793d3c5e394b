"""Arteries and veins of the neck; the vertebral artery goes through the foramina of the bones that are there."""

import numpy as np
from scipy import ndimage

from cspine.domain import Vertebra
from cspine.phantom import soft_anatomy as anatomy
from cspine.phantom.skeleton import PlacedBone, Skeleton
from cspine.phantom.soft_anatomy import Tube, place_all
from cspine.phantom.spine_axis import SpineAxis
from cspine.phantom.tissue import Tissue

# Height above the vertebra's origin at which the foramen is looked for, and its usual place (left): u, v in mm.
_FORAMEN = {
    Vertebra.C1: (0.0, (26.0, 1.0)),
    Vertebra.C2: (-1.0, (17.0, 4.0)),
    Vertebra.C3: (-1.0, (14.0, 1.0)),
    Vertebra.C4: (-1.0, (14.5, 1.0)),
    Vertebra.C5: (-1.0, (15.0, 1.0)),
    Vertebra.C6: (-1.0, (15.5, 1.0)),
}
_SEARCH_MM = 7.0
_STEP_MM = 0.75
_LARGEST_HOLE_MM2 = 90.0


def vessel_tubes(axis: SpineAxis, rng: np.random.Generator) -> list[Tube]:
    """Return carotids, jugular veins and the aortic arch."""
    return [
        *place_all(anatomy.VEINS, axis, rng, from_front=True),
        *place_all(anatomy.ARTERIES, axis, rng, from_front=True),
    ]


def vertebral_arteries(skeleton: Skeleton, axis: SpineAxis, rng: np.random.Generator) -> list[Tube]:
    """Return both vertebral arteries from below C7 up to the foramen magnum; one is usually the larger."""
    bones = {b.bone.vertebra: b for b in skeleton.bones if b.bone.vertebra is not None}
    tubes = []
    for side in (1, -1):
        radius = rng.uniform(1.2, 2.3) * axis.scale
        loop = axis.point(np.array([0.05, 0.45]), side * np.array([5.0, 12.0]), np.array([-4.0, 6.0]))
        holes = [_foramen(v, bones.get(v), skeleton.frames[v], side) for v in _FORAMEN if v in skeleton.frames]
        below = axis.point(np.array([7.0, 7.8]), side * np.array([20.0, 24.0]), np.array([-22.0, -38.0]))
        behind = holes[0] + [-side * 5.0, 8.0, 5.0] if holes else loop[-1]
        path = np.concatenate([loop, behind[None], *[h[None] for h in holes], below])
        path = path[np.concatenate([[True], np.diff(np.minimum.accumulate(path[:, 2])) < 0])]
        rows = np.column_stack([path[:, 2], path[:, :2], np.full((len(path), 2), radius)])
        tubes.append(Tube(Tissue.ARTERY, rows))
    return tubes


def _foramen(vertebra: Vertebra, bone: PlacedBone | None, frame: np.ndarray, side: int) -> np.ndarray:
    """Return the body-frame place (3,) of the transverse foramen, measured where the bone encloses a hole."""
    height, usual = _FORAMEN[vertebra]
    place = np.array([side * usual[0], usual[1], height, 1.0])
    if bone is None:
        return np.asarray((frame @ place)[:3])
    offset = np.arange(-_SEARCH_MM, _SEARCH_MM + _STEP_MM / 2, _STEP_MM)
    y, x = np.meshgrid(offset + place[1], offset + place[0], indexing="ij")
    points = np.stack([x, y, np.full_like(x, height)], axis=-1).reshape(-1, 3).astype(np.float32)
    away = np.asarray(bone.bone.distance_mm(points)).reshape(x.shape)
    labels, count = ndimage.label(away > 0)
    rim = set(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]).tolist())
    holes = [k for k in range(1, count + 1) if k not in rim and (labels == k).sum() * _STEP_MM**2 < _LARGEST_HOLE_MM2]
    if holes:
        inside = labels == max(holes, key=lambda k: int((labels == k).sum()))
        place[:2] = x[inside].mean(), y[inside].mean()
    return np.asarray((bone.to_body @ place)[:3])


__all__ = ["vertebral_arteries", "vessel_tubes"]
