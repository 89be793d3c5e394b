"""Breaks of bones that are no vertebra, which the RSNA labels do not count: occipital condyle, first rib, clavicle."""

import numpy as np

from cspine.phantom.fractures.breaks import Face
from cspine.phantom.fractures.recipe import Cutter, Plan, middle_of, within

_LATTICE_MM = 2.5
_NEARBY_MM = 14.0


def occipital_condyle(c: Cutter) -> Plan:
    """Pull off the inner lower part of one condyle, as the alar ligament does (Anderson–Montesano III)."""
    s = float(c.sign)
    ends = np.array([(s * 6.0, -14.0, -4.0), (s * 24.0, 12.0, 12.0)])
    points = _inside(c, ends.min(axis=0), ends.max(axis=0), 1.0)
    bottom = float(points[:, 2].min())
    tip = points[points[:, 2] < bottom + 4.0].mean(axis=0)
    cut = c.cut(tip + np.array([0.5 * s, 0.0, 2.5]), (-0.75 * s, 0.0, -0.66), size_mm=9.0)
    faces = (
        Face(cut, -1),
        within((0.0, 0.0, bottom + 11.0), (0.0, 0.0, 1.0)),
        within((s * 4.0, 0.0, 0.0), (-s, 0.0, 0.0)),
        within((0.0, tip[1] - 11.0, 0.0), (0.0, -1.0, 0.0)),
        within((0.0, tip[1] + 11.0, 0.0), (0.0, 1.0, 0.0)),
    )
    off = c.turned(tip, (0, 1, 0), -s * 0.6 * c.turn_deg, c.shift_mm * np.array([-0.8 * s, 0.0, 0.1]))
    return c.plan((), (c.piece(faces, off),))


def first_rib(c: Cutter) -> Plan:
    """Crack across the first rib where it bends forward, behind the groove of the artery."""
    points = _inside(c, c.bone.bounds_mm[0], c.bone.bounds_mm[1], _LATTICE_MM)
    lateral = points[np.abs(points[:, 0]) > np.quantile(np.abs(points[:, 0]), 0.8)]
    place, along = _shaft(points, lateral[int(c.rng.integers(len(lateral)))])
    return c.plan((c.cut(place, along, tilt_deg=12.0, size_mm=14.0, only_there=True),))


def clavicle(c: Cutter) -> Plan:
    """Break the clavicle in its middle third; the outer piece sinks and slides inward."""
    s = float(c.sign)
    points = _inside(c, c.bone.bounds_mm[0], c.bone.bounds_mm[1], _LATTICE_MM)
    x = np.quantile(s * points[:, 0], c.about(0.4, 0.6))
    near = points[np.abs(s * points[:, 0] - x) < 4.0]
    place, along = _shaft(points, near.mean(axis=0))
    cut = c.cut(place, along * np.sign(along[0]) * s, tilt_deg=14.0, size_mm=12.0)
    sinks = c.shift_mm * np.array([-0.5 * s, 0.2, -1.0])
    return c.plan((), (c.piece((Face(cut, -1),), c.turned(place, (0, 1, 0), s * 0.5 * c.turn_deg, sinks)),))


def _inside(c: Cutter, low_mm: np.ndarray, high_mm: np.ndarray, step_mm: float) -> np.ndarray:
    """Return lattice points (N, 3) of the bone in a box; the middle of the box when there are none."""
    axes = [np.arange(a, b + step_mm / 2, step_mm) for a, b in zip(low_mm, high_mm, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = points[c.bone.distance_mm(points.astype(np.float32)) < 0]
    return inside if len(inside) else middle_of(c.bone, tuple(low_mm), tuple(high_mm))[None]


def _shaft(points: np.ndarray, near_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of a long bone near a point, and its direction there."""
    part = points[np.linalg.norm(points - near_mm, axis=1) < _NEARBY_MM]
    middle = part.mean(axis=0)
    _, _, axes = np.linalg.svd(part - middle, full_matrices=False)
    return middle, axes[0]


__all__ = ["clavicle", "first_rib", "occipital_condyle"]
