"""A smooth curve through the vertebral frames, on which everything soft hangs.

A place in the neck is said as ``(level, u, v)``: `level` counts vertebrae from the head and may be fractional
(4.0 = middle of C4, 8.5 = between T1 and T2, 0 = about the foramen magnum), `u` and `v` are mm to the left and to
the back of the middle of the spinal canal. Body frame: LPS mm.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from cspine.domain import Vertebra
from cspine.phantom.skeleton import PlacedBone, Skeleton

# Middle of the canal and front of the body in the vertebra's own frame (mm toward the back), used where no bone
# can be measured; from the mean sizes of shared morphometry (UMTRI 2017, Parihar).
_CANAL_V = {1: 5.0, 2: 16.0, 3: 15.0, 4: 15.0, 5: 15.5, 6: 16.0, 7: 16.5, 8: 15.6, 9: 15.9, 10: 16.8, 11: 17.4}
_FRONT_V = {1: -19.0, 2: -7.5, 3: -7.5, 4: -7.5, 5: -7.8, 6: -8.2, 7: -8.5, 8: -7.5, 9: -8.5, 10: -9.5, 11: -10.2}
_THORACIC_CANAL_V = 18.4
_THORACIC_FRONT_V = -10.8
_CERVICAL_HALF_MM, _THORACIC_HALF_MM = (11.0, 7.8), (8.2, 8.3)  # half width and half depth of the canal
_LOWEST_MEASURED = Vertebra.T2  # below, thoracic vertebrae differ little, and measuring one means making it
_ABOVE_C1_MM = 17.0  # one level above C1 along its own axis
_BELOW_LAST_MM = 21.0


@dataclass(frozen=True, eq=False)
class SpineAxis:
    """Curves of one skeleton; all arrays run over `levels`.

    Attributes
    ----------
    levels
        (N,) ascending, from two levels above C1 to three below the last frame.
    canal_mm
        (N, 3) middle of the canal, body frame.
    right_to_left, front_to_back
        (N, 3) unit vectors of `u` and `v`.
    front_v_mm
        (N,) `v` of the front of the bodies, negative.
    canal_half_mm
        (N, 2) half width and half depth of the canal.
    scale
        Size relative to an average adult.
    """

    levels: np.ndarray
    canal_mm: np.ndarray
    right_to_left: np.ndarray
    front_to_back: np.ndarray
    front_v_mm: np.ndarray
    canal_half_mm: np.ndarray
    scale: float

    @classmethod
    def through(cls, skeleton: Skeleton) -> "SpineAxis":
        """Fit the curve; canals and front walls are measured on the bones where there are any."""
        frames = sorted(skeleton.frames.items())
        bones = {b.bone.vertebra: b for b in skeleton.bones if b.bone.vertebra is not None}
        measured = {v: b for v, b in bones.items() if v <= _LOWEST_MEASURED}
        placed = [bones[v].to_body if v in bones else f for v, f in frames]
        mm = np.array([np.linalg.norm(f[:3, 1]) for f in placed])
        sizes = [
            _measure(v, measured.get(v), bones.get(Vertebra.C2), skeleton.scale / s)
            for (v, _), s in zip(frames, mm, strict=True)
        ]
        own = np.array([[0.0, size.canal_v, 0.0, 1.0] for size in sizes])
        canal = np.array([(f @ p)[:3] for f, p in zip(placed, own, strict=True)])
        turns = np.array([f[:3, :2] / np.linalg.norm(f[:3, :2], axis=0) for f in placed])
        sections = np.array([[s.front_v - s.canal_v, s.half_width, s.half_depth] for s in sizes]) * mm[:, None]
        level = np.array([float(v) for v, _ in frames])
        return _resampled(level, canal, turns, sections, skeleton.scale)

    def point(self, level: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return body-frame points (N, 3) of places in the neck."""
        base = self._at(self.canal_mm, level)
        left, back = self._at(self.right_to_left, level), self._at(self.front_to_back, level)
        return np.asarray(base + left * np.asarray(u)[:, None] + back * np.asarray(v)[:, None])

    def front(self, level: np.ndarray) -> np.ndarray:
        """Return `v` (mm, negative) of the front of the vertebral bodies."""
        return np.asarray(np.interp(level, self.levels, self.front_v_mm))

    def canal_half(self, level: np.ndarray) -> np.ndarray:
        """Return half width and half depth (N, 2) of the canal in mm."""
        return self._at(self.canal_half_mm, level)

    def level_at(self, z_mm: np.ndarray) -> np.ndarray:
        """Return the level whose canal lies at body-frame height z."""
        return np.asarray(np.interp(-np.asarray(z_mm), -self.canal_mm[:, 2], self.levels))

    def _at(self, values: np.ndarray, level: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(level, self.levels, values[:, k]) for k in range(values.shape[1])], axis=1)


@dataclass(frozen=True)
class _Canal:
    """The canal and the body in front of it at the height of a vertebra's origin, in mm of its own frame."""

    canal_v: float
    front_v: float
    half_width: float
    half_depth: float


def _measure(vertebra: Vertebra, bone: PlacedBone | None, axis_bone: PlacedBone | None, scale: float) -> _Canal:
    """Return the canal of a bone, or of an average one; the dens narrows that of C1."""
    canal = _CANAL_V.get(int(vertebra), _THORACIC_CANAL_V) * scale
    front = _FRONT_V.get(int(vertebra), _THORACIC_FRONT_V) * scale
    wide, deep = _CERVICAL_HALF_MM if vertebra <= Vertebra.T2 else _THORACIC_HALF_MM
    half_width, half_depth = wide * scale, deep * scale
    if bone is None:
        return _Canal(canal, front, half_width, half_depth)
    v = np.arange(-30.0, 32.0, 0.5)
    away = _section(bone, np.zeros_like(v), v)
    if vertebra == Vertebra.C1 and axis_bone is not None:
        away = np.minimum(away, _section(axis_bone, np.zeros_like(v), v, bone.to_body))
    window = (v > canal - 7) & (v < canal + 7)
    open_v = _widest_gap(v[window], away[window])
    if open_v is not None:
        canal, half_depth = _gap_round(v, away, open_v)
        u = np.arange(0.0, 25.0, 0.5)
        solid = np.flatnonzero(_section(bone, u, np.full_like(u, canal)) < 0)
        half_width = float(np.clip(u[solid[0]], 8, 16)) if solid.size else half_width
    solid = np.flatnonzero((away < 0) & (v < canal))
    front = float(v[solid[0]]) if solid.size else front
    return _Canal(canal, front, half_width, float(np.clip(half_depth, 5, 12)))


def _section(bone: PlacedBone, u: np.ndarray, v: np.ndarray, frame: np.ndarray | None = None) -> np.ndarray:
    """Return the distance to a bone at (u, v, 0) of its own frame, or of another frame."""
    points = np.stack([u, v, np.zeros_like(u), np.ones_like(u)], axis=1)
    if frame is not None:
        points = points @ (np.linalg.inv(bone.to_body) @ frame).T
    return np.asarray((bone.usual or bone.bone).distance_mm(np.ascontiguousarray(points[:, :3], dtype=np.float32)))


def _widest_gap(v: np.ndarray, away: np.ndarray) -> float | None:
    """Return the place farthest from bone, or ``None`` when bone fills the window."""
    best = int(np.argmax(away))
    return float(v[best]) if away[best] > 2 else None


def _gap_round(v: np.ndarray, away: np.ndarray, middle: float) -> tuple[float, float]:
    """Return middle and half depth of the stretch free of bone round a place; at most 10 mm to each side."""
    solid = v[away < 0]
    before = solid[solid < middle]
    after = solid[solid > middle]
    low = max(before.max() if before.size else middle - 10, middle - 10)
    high = min(after.min() if after.size else middle + 10, middle + 10)
    return float((low + high) / 2), float((high - low) / 2)


def _resampled(
    level: np.ndarray, canal: np.ndarray, turns: np.ndarray, sections: np.ndarray, scale: float
) -> SpineAxis:
    """Lengthen the curve at both ends and sample it every tenth of a level."""
    up = np.cross(turns[0, :, 0], turns[0, :, 1])
    down = (canal[-1] - canal[-2]) / np.linalg.norm(canal[-1] - canal[-2])
    above, below = np.arange(-9.0, 1.0), np.arange(1.0, 9.0)
    top = canal[0] + (level[0] - above)[:, None] * up * _ABOVE_C1_MM * scale
    bottom = canal[-1] + below[:, None] * down * _BELOW_LAST_MM * scale
    knots = np.concatenate([above, level, level[-1] + below])
    pad = ((len(above), len(below)), (0, 0))
    fine = np.linspace(knots[0], knots[-1], round((knots[-1] - knots[0]) * 10) + 1)
    turn = PchipInterpolator(knots, np.pad(turns.reshape(len(level), 6), pad, mode="edge"))(fine).reshape(-1, 3, 2)
    turn /= np.linalg.norm(turn, axis=1, keepdims=True)
    width = np.stack([np.interp(fine, level, sections[:, k]) for k in range(3)], axis=1)
    curve = CubicSpline(knots, np.concatenate([top, canal, bottom]))(fine)
    return SpineAxis(fine, curve, turn[:, :, 0], turn[:, :, 1], width[:, 0], width[:, 1:], scale)
