"""The airway from nose to trachea, and what lies round it: mucosa, oesophagus, thyroid gland.

The pharynx hangs on the fronts of the vertebral bodies, the larynx on the frame of C4 as its cartilages do, the
trachea goes on from there; thyroid gland and oesophagus follow the trachea.
"""

from dataclasses import replace

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom import soft_anatomy as anatomy
from cspine.phantom.skeleton import Skeleton
from cspine.phantom.soft_anatomy import Tube, place_all
from cspine.phantom.spine_axis import SpineAxis
from cspine.phantom.tissue import Tissue

# In the frame of C4, mm at scale 1: z, y, half width, half depth. Vestibule, glottis (a slit), below it, cricoid.
_LARYNX = (
    (6.0, -32.0, 9.0, 4.0),
    (-2.0, -33.0, 8.0, 6.0),
    (-8.0, -33.0, 6.5, 8.5),
    (-14.0, -33.0, 3.0, 10.5),
    (-17.0, -33.0, 2.0, 11.0),
    (-20.0, -32.0, 4.5, 10.5),
    (-27.0, -28.5, 7.0, 9.5),
    (-34.0, -23.5, 8.2, 8.2),
    (-41.0, -23.5, 8.5, 8.5),
)
_VALLECULA = ((11.0, 7.0, -38.0, 3.5, 2.0), (4.0, 7.0, -38.5, 4.5, 2.2))
_PIRIFORM = ((-4.0, 14.0, -20.0, 2.5, 4.0), (-16.0, 13.0, -18.0, 2.0, 3.2), (-24.0, 12.0, -17.0, 1.0, 2.0))
# Thin plates in the airway: z, y, half width, half depth; epiglottis in the frame of C4.
_EPIGLOTTIS = ((17.0, -26.5, 5.0, 0.9), (8.0, -30.0, 8.0, 1.1), (-2.0, -36.0, 6.0, 1.4), (-9.0, -40.0, 3.0, 1.5))
_MUCOSA_MM = 2.2


def airway_tubes(skeleton: Skeleton, axis: SpineAxis, size: float, rng: np.random.Generator) -> list[Tube]:
    """Return pharynx, valleculae, piriform recesses, and larynx with trachea, in this order; the last is the trachea.

    Parameters
    ----------
    size
        Factor of diameters.
    """
    frame = larynx_frame(skeleton)
    tubes = place_all((anatomy.PHARYNX,), axis, rng, from_front=True, size=size)
    for pocket in (_VALLECULA, _PIRIFORM):
        for side in (1, -1):
            rows = np.array(pocket) * axis.scale
            points = np.column_stack([side * rows[:, 1], rows[:, 2], rows[:, 0]])
            tubes.append(Tube(Tissue.AIRWAY, _rows(frame, points, rows[:, 3:] * size * rng.uniform(0.6, 1.2))))
    larynx = np.array(_LARYNX) * axis.scale
    points = np.column_stack([np.zeros(len(larynx)), larynx[:, 1], larynx[:, 0]])
    upper = _rows(frame, points, larynx[:, 2:] * np.array([size, 0.5 + 0.5 * size]))
    (trachea,) = place_all((anatomy.TRACHEA,), axis, rng, from_front=True, size=size)
    lower = trachea.rows[trachea.rows[:, 0] < upper[-1, 0] - 12.0 * axis.scale]
    return [*tubes, Tube(Tissue.AIRWAY, np.concatenate([upper, lower]))]


def flaps(skeleton: Skeleton, axis: SpineAxis) -> list[Tube]:
    """Return what stands in the airway: the soft palate with the uvula, and the epiglottis."""
    plate = np.array(_EPIGLOTTIS) * axis.scale
    points = np.column_stack([np.zeros(len(plate)), plate[:, 1], plate[:, 0]])
    level = np.array([0.75, 1.2, 1.7, 2.0])
    v = axis.front(level) - np.array([19.0, 15.5, 13.5, 12.5]) * axis.scale
    palate = axis.point(level, level * 0, v)
    half = np.array([[12.0, 3.5], [11.0, 3.2], [6.0, 2.6], [2.5, 2.0]]) * axis.scale
    return [
        Tube(Tissue.MUCOSA, np.column_stack([palate[:, 2], palate[:, :2], half])),
        Tube(Tissue.MUCOSA, _rows(larynx_frame(skeleton), points, plate[:, 2:])),
    ]


def larynx_frame(skeleton: Skeleton) -> np.ndarray:
    """Return the frame in which the larynx is given: that of its cartilages, or of C4."""
    placed = {b.bone.name: b.to_body for b in skeleton.bones}
    frame = placed.get("cricoid", skeleton.frames[Vertebra.C4])
    rigid = frame.copy()
    rigid[:3, :3] /= np.linalg.norm(frame[:3, :3], axis=0)
    return rigid


def neighbors_of_trachea(trachea: Tube, axis: SpineAxis, rng: np.random.Generator) -> list[Tube]:
    """Return oesophagus and thyroid gland, which follow the airway from the cricoid down."""
    tubes = []
    for shape in anatomy.BESIDE_TRACHEA:
        knots = np.array(shape.knots)
        level = np.linspace(knots[0, 0], knots[-1, 0], 24)
        u, v, a, b = (np.interp(level, knots[:, 0], knots[:, k]) * axis.scale for k in range(1, 5))
        height = axis.point(level, u * 0, axis.front(level))[:, 2]
        inside = (height < trachea.rows[0, 0]) & (height > trachea.rows[-1, 0])
        if inside.sum() < 2:
            continue
        airway = trachea.at(height)
        for side in (1, -1) if shape.paired else (1,):
            grow = rng.uniform(0.8, 1.15)
            x = airway[:, 0] + side * (u + (airway[:, 2] if shape.paired else 0))
            y = airway[:, 1] + v + (0 if shape.paired else airway[:, 3] * np.sign(v))
            rows = np.column_stack([height, x, y, a * grow, b * grow])[inside]
            tubes.append(Tube(shape.tissue, rows, np.deg2rad(side * shape.turn_deg)))
    return tubes


def with_prevertebral(axis: SpineAxis, factor: float) -> SpineAxis:
    """Return an axis whose fronts lie farther forward by thicker prevertebral tissue."""
    usual = np.interp(axis.levels, [1, 4, 5.5, 7], [4.0, 5.0, 13.0, 14.0])
    return replace(axis, front_v_mm=axis.front_v_mm - (factor - 1) * usual * axis.scale)


def mucosa(tube: Tube) -> Tube:
    """Return the tube with the lining round it."""
    rows = tube.rows.copy()
    rows[:, 3:] += _MUCOSA_MM
    return Tube(Tissue.MUCOSA, rows, tube.turn_rad)


def _rows(frame: np.ndarray, points: np.ndarray, half: np.ndarray) -> np.ndarray:
    body = points @ frame[:3, :3].T + frame[:3, 3]
    return np.column_stack([body[:, 2], body[:, :2], half])


__all__ = ["airway_tubes", "flaps", "larynx_frame", "mucosa", "neighbors_of_trachea", "with_prevertebral"]
