"""The skin of the phantom as a signed distance, and plain geometry on the axes of a canonical grid."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Grid, Vertebra
from cspine.phantom.skeleton import PlacedBone, Skeleton
from cspine.phantom.soft_anatomy import NECK_OUTLINE, SHOULDER_OUTLINE, Tube
from cspine.phantom.spine_axis import SpineAxis

_SEED_REACH_MM = 14.0  # a seed claims nothing farther off
_BLEND_MM = 14.0  # how softly head, neck and shoulders grow together
# Head, then face, chin and nose in the frame of the skull, mm at scale 1: center and half axes.
_HEAD = ((0.0, -5.0, 72.0), (76.0, 94.0, 83.0))
_FACES = (
    ((0.0, -48.0, 0.0), (67.0, 54.0, 62.0)),
    ((0.0, -78.0, -36.0), (30.0, 27.0, 24.0)),
    ((0.0, -98.0, 18.0), (14.0, 18.0, 20.0)),
)


@dataclass(frozen=True, eq=False)
class Axes:
    """Body-frame coordinates of the slices, rows and columns of a canonical grid.

    Attributes
    ----------
    z, y, x
        Of slices (falling), rows and columns (rising), in mm.
    """

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @classmethod
    def of(cls, grid: Grid) -> "Axes":
        """Read the axes of a grid whose directions are canonical."""
        n = max(grid.shape)
        along = [grid.to_world(np.arange(n)[:, None] * np.eye(3)[a])[: grid.shape[a], 2 - a] for a in range(3)]
        return cls(along[0], along[1], along[2])

    @property
    def open(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coordinates x, y, z that broadcast to (slice, row, column), float32."""
        return (
            self.x[None, None, :].astype(np.float32),
            self.y[None, :, None].astype(np.float32),
            self.z[:, None, None].astype(np.float32),
        )


@dataclass(frozen=True, eq=False)
class Ripple:
    """A smooth random field that does not depend on the grid: a sum of waves.

    Attributes
    ----------
    waves
        (N, 5): wave vector x, y, z in rad/mm, phase, amplitude.
    """

    waves: np.ndarray

    @classmethod
    def sample(cls, rng: np.random.Generator, length_mm: float, std: float, count: int = 10) -> "Ripple":
        """Draw a field of about this wavelength and standard deviation."""
        direction = rng.standard_normal((count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        wave = direction * (2 * np.pi / length_mm) * rng.uniform(0.5, 1.5, (count, 1))
        amplitude = np.full((count, 1), std * np.sqrt(2 / count))
        return cls(np.hstack([wave, rng.uniform(0, 2 * np.pi, (count, 1)), amplitude]))

    def on(self, axes: Axes) -> np.ndarray:
        """Return the field, float32 (slice, row, column)."""
        out = np.zeros((axes.z.size, axes.y.size, axes.x.size), dtype=np.float32)
        for kx, ky, kz, phase, amplitude in self.waves:
            part = amplitude * np.exp(1j * (kz * axes.z + phase))
            plane = np.exp(1j * ky * axes.y)[:, None] * np.exp(1j * kx * axes.x)[None, :]
            stacked = np.concatenate([plane.real.ravel()[None], -plane.imag.ravel()[None]]).astype(np.float32)
            out += (np.stack([part.real, part.imag], axis=1).astype(np.float32) @ stacked).reshape(out.shape)
        return out


def ellipsoid_mm(axes: Axes, frame: np.ndarray, center: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Return about the signed distance (slice, row, column) to an ellipsoid given in another frame."""
    back = np.linalg.inv(frame)
    x, y, z = axes.open
    inner = outer = np.zeros((), dtype=np.float32)
    for k in range(3):
        own = back[k, 0] * x + back[k, 1] * y + back[k, 2] * z + np.float32(back[k, 3] - center[k])
        unit = own.astype(np.float32) / np.float32(radii[k])
        inner = inner + unit * unit
        outer = outer + unit * unit / np.float32(radii[k] ** 2)
    return _ellipse_distance(inner, outer)


def tube_mm(axes: Axes, rows: np.ndarray, turn_rad: np.ndarray | float = 0.0) -> np.ndarray:
    """Return about the distance in the axial plane to ellipses x, y, half width, half depth given per slice."""
    x, y, _ = axes.open
    cx, cy, a, b = (rows[:, k].astype(np.float32)[:, None, None] for k in range(4))
    cos, sin = np.float32(np.cos(turn_rad)), np.float32(np.sin(turn_rad))
    across, along = (x - cx) * cos + (y - cy) * sin, (y - cy) * cos - (x - cx) * sin
    p, q = (across / a) ** 2, (along / b) ** 2
    return _ellipse_distance(p + q, p / a**2 + q / b**2)


def _ellipse_distance(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Return k0 (k0 − 1) / k1, exact on the surface and near it (first order)."""
    k0 = np.sqrt(inner)
    return np.asarray(k0 * (k0 - 1) / np.sqrt(np.maximum(outer, 1e-12)))


def _soft_min(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    h = np.maximum(blend - np.abs(a - b), 0) / np.float32(blend)
    return np.asarray(np.minimum(a, b) - h * h * np.float32(blend / 4))


@dataclass(frozen=True)
class Build:
    """How the outline of a body differs from the average.

    Attributes
    ----------
    girth_mm
        Added all round the neck and shoulders.
    shoulder_drop
        Levels by which the shoulders lie lower.
    arms_up
        Arms raised beside the head instead of along the trunk.
    """

    girth_mm: float
    shoulder_drop: float
    arms_up: bool


def skin_distance_mm(axes: Axes, axis: SpineAxis, head_frame: np.ndarray, build: Build, bumps: Ripple) -> np.ndarray:
    """Return float32 (slice, row, column): mm from the skin, negative inside, good to a few mm away from it."""
    level = axis.level_at(axes.z)
    outline = tube_mm(axes, _neck_rows(axis, level, build.girth_mm))
    outline = _soft_min(outline, _shoulders(axes, axis, level, build), _BLEND_MM)
    for center, radii in (_HEAD, *_FACES):
        scaled = tuple(c * axis.scale for c in center), tuple(r * axis.scale + 0.3 * build.girth_mm for r in radii)
        outline = _soft_min(outline, ellipsoid_mm(axes, head_frame, *scaled), _BLEND_MM)
    outline = outline + bumps.on(axes)
    back = table_y_mm(axis, head_frame, build)
    flat = axes.y[None, :, None].astype(np.float32) - np.float32(back)
    return np.asarray(np.maximum(outline, flat), dtype=np.float32)


def head_frame(skeleton: Skeleton) -> np.ndarray:
    """Return the rigid frame of the skull: that of the placed skull, or of C1."""
    skulls = [b.to_body for b in skeleton.bones if b.bone.name.startswith("skull")]
    frame = (skulls[0] if skulls else skeleton.frames[Vertebra.C1]).copy()
    frame[:3, :3] /= np.linalg.norm(frame[:3, :3], axis=0)
    return frame


def over_bones(skin_mm: np.ndarray, axes: Axes, skeleton: Skeleton, cover_mm: float) -> np.ndarray:
    """Lift the skin where a bone other than a vertebra comes nearer to it than `cover_mm`; same form as `skin_mm`."""
    step = float(np.min([np.abs(a[1] - a[0]) if a.size > 1 else 1.0 for a in (axes.z, axes.y, axes.x)]))
    solid = np.zeros(skin_mm.shape, dtype=bool)
    for placed in skeleton.bones:
        if placed.bone.vertebra is None:
            _mark(solid, axes, placed, 0.5 * step)
    if not solid.any():
        return skin_mm
    steps = [float(np.abs(a[1] - a[0])) if a.size > 1 else 1.0 for a in (axes.z, axes.y, axes.x)]
    away = ndimage.distance_transform_edt(~solid, sampling=steps) - 0.5 * step
    return _soft_min(skin_mm, (away - cover_mm).astype(np.float32), 6.0)


def _mark(solid: np.ndarray, axes: Axes, placed: PlacedBone, margin_mm: float) -> None:
    """Set `solid` (in place) where a bone comes within a margin of a voxel's center."""
    corners = np.array([[placed.bone.bounds_mm[b >> i & 1, i] for i in range(3)] for b in range(8)])
    body = corners @ placed.to_body[:3, :3].T + placed.to_body[:3, 3]
    near = [
        np.flatnonzero((a >= body[:, k].min() - margin_mm) & (a <= body[:, k].max() + margin_mm))
        for a, k in ((axes.z, 2), (axes.y, 1), (axes.x, 0))
    ]
    if any(n.size == 0 for n in near):
        return
    z, y, x = np.meshgrid(*(a[n] for a, n in zip((axes.z, axes.y, axes.x), near, strict=True)), indexing="ij")
    back = np.linalg.inv(placed.to_body)
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3) @ back[:3, :3].T + back[:3, 3]
    scale = float(np.linalg.norm(placed.to_body[:3, 0]))
    hit = np.asarray(placed.bone.distance_mm(points.astype(np.float32))) * scale < margin_mm
    solid[np.ix_(*near)] |= hit.reshape(z.shape)


def table_y_mm(axis: SpineAxis, head_frame: np.ndarray, build: Build) -> float:
    """Return body-frame y of the support on which the head and the upper back lie, a little flattened."""
    s = axis.scale
    head = (head_frame @ np.array([0, (_HEAD[0][1] + _HEAD[1][1]) * s, _HEAD[0][2] * s, 1]))[1]
    level = np.arange(9.0, min(14.0, axis.levels[-1] - 2), 0.5)
    rows = _neck_rows(axis, level, build.girth_mm)
    return float(max(head, (rows[:, 1] + rows[:, 3]).max())) - 4.0


def _neck_rows(axis: SpineAxis, level: np.ndarray, girth_mm: float) -> np.ndarray:
    table = np.array(NECK_OUTLINE)
    front, back, wide = (np.interp(level, table[:, 0], table[:, k]) * axis.scale for k in (1, 2, 3))
    middle = axis.point(level, np.zeros_like(level), (front + back) / 2)
    return np.column_stack([middle[:, :2], wide + girth_mm, (back - front) / 2 + girth_mm])


def _shoulders(axes: Axes, axis: SpineAxis, level: np.ndarray, build: Build) -> np.ndarray:
    table = np.array(SHOULDER_OUTLINE)
    shifted = level - build.shoulder_drop
    v, wide, deep = (np.interp(shifted, table[:, 0], table[:, k]) * axis.scale for k in (1, 2, 3))
    middle = axis.point(level, np.zeros_like(level), v)
    if build.arms_up:
        wide = wide * 0.86
    rows = np.column_stack([middle[:, :2], wide + build.girth_mm, deep + build.girth_mm])
    outline = tube_mm(axes, rows)
    above = np.maximum(table[0, 0] - shifted, 0)[:, None, None] * np.float32(16.0)
    outline += above.astype(np.float32)
    return np.asarray(np.minimum(outline, _raised_arms(axes, axis, build))) if build.arms_up else outline


def raised_arm_rows(axis: SpineAxis, level: np.ndarray, side: int) -> np.ndarray:
    """Return x, y, half width, half depth of an arm raised beside the head."""
    u = np.interp(level, [-4, 4, 7, 9, 12], [165, 150, 138, 120, 105]) * axis.scale
    middle = axis.point(level, side * u, np.full_like(level, 8.0))
    half = np.interp(level, [-4, 4, 8, 12], [42, 46, 56, 66]) * axis.scale
    return np.column_stack([middle[:, :2], half, half * 0.85])


def _raised_arms(axes: Axes, axis: SpineAxis, build: Build) -> np.ndarray:
    level = axis.level_at(axes.z)
    left, right = (tube_mm(axes, raised_arm_rows(axis, level, side)) for side in (1, -1))
    return np.asarray(np.minimum(left, right) - np.float32(0.5 * build.girth_mm))


def paint_tube(out: np.ndarray, axes: Axes, tube: Tube, grow_mm: float = 0.0, over: np.ndarray | None = None) -> None:
    """Paint a tube into `out` (uint8, in place), only over classes for which `over` (256,) is true."""
    inside = np.flatnonzero((axes.z <= tube.rows[0, 0]) & (axes.z >= tube.rows[-1, 0]))
    for part in np.array_split(inside, max(1, inside.size // 16)):
        if part.size == 0:
            continue
        rows = tube.at(axes.z[part])
        rows[:, 2:] = np.maximum(rows[:, 2:] + grow_mm, 0.05)
        window = _window(axes, rows)
        if window is None:
            continue
        ky, kx = window
        sub = Axes(axes.z[part], axes.y[ky], axes.x[kx])
        hit = tube_mm(sub, rows, tube.turn_rad) < 0
        target = out[part[0] : part[-1] + 1, ky, kx]
        if over is not None:
            hit &= over[target]
        target[hit] = tube.tissue


def _window(axes: Axes, rows: np.ndarray, margin_mm: float = 0.0) -> tuple[slice, slice] | None:
    """Return the rows and columns within a margin of ellipses."""
    reach = rows[:, 2:].max(axis=1) + margin_mm
    found = []
    for along, k in ((axes.y, 1), (axes.x, 0)):
        start = int(np.searchsorted(along, (rows[:, k] - reach).min()))
        stop = int(np.searchsorted(along, (rows[:, k] + reach).max()))
        if start >= stop:
            return None
        found.append(slice(start, stop))
    return found[0], found[1]


def seed_fields(axes: Axes, tubes: list[Tube]) -> tuple[np.ndarray, np.ndarray]:
    """Share space among seeds: each place goes to the tube whose ellipse is nearest.

    Returns
    -------
    tuple
        float32 (slice, row, column) twice: distance to the nearest tube's ellipse (mm, negative inside), and half
        the lead over the second nearest, which is about the distance from the border between two shares.
    """
    far = np.float32(30.0)
    first = np.full((axes.z.size, axes.y.size, axes.x.size), far, dtype=np.float32)
    second = first.copy()
    for tube in tubes:
        beyond = np.maximum(axes.z - tube.rows[0, 0], tube.rows[-1, 0] - axes.z)
        inside = np.flatnonzero(beyond < _SEED_REACH_MM)
        for part in np.array_split(inside, max(1, inside.size // 12)):
            if part.size == 0:
                continue
            rows = tube.at(axes.z[part])
            window = _window(axes, rows, _SEED_REACH_MM)
            if window is None:
                continue
            ky, kx = window
            distance = tube_mm(Axes(axes.z[part], axes.y[ky], axes.x[kx]), rows, tube.turn_rad)
            distance += np.maximum(beyond[part], 0).astype(np.float32)[:, None, None]
            at = (slice(part[0], part[-1] + 1), ky, kx)
            second[at] = np.minimum(second[at], np.maximum(first[at], distance))
            first[at] = np.minimum(first[at], distance)
    return first, (second - first) / 2
