"""The skin of the phantom as a signed distance, and plain geometry on the axes of a canonical grid."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Grid
from cspine.phantom.soft_anatomy import NECK_OUTLINE, SHOULDER_OUTLINE, Tube
from cspine.phantom.spine_axis import SpineAxis

_SEED_REACH_MM = 14.0  # a seed claims nothing farther off
_BLEND_MM = 14.0  # how softly head, neck and shoulders grow together
# Head and face in the frame of C1, mm at scale 1: center and half axes.
_HEAD = ((0.0, -6.0, 68.0), (75.0, 93.0, 87.0))
_FACE = ((0.0, -46.0, -4.0), (57.0, 53.0, 62.0))
BRAIN = ((0.0, -4.0, 76.0), (65.0, 82.0, 73.0))


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
    for center, radii in (_HEAD, _FACE):
        scaled = tuple(c * axis.scale for c in center), tuple(r * axis.scale + 0.3 * build.girth_mm for r in radii)
        outline = _soft_min(outline, ellipsoid_mm(axes, head_frame, *scaled), _BLEND_MM)
    outline = outline + bumps.on(axes)
    back = table_y_mm(axis, head_frame, build)
    on_table = np.maximum(outline, axes.y[None, :, None].astype(np.float32) - np.float32(back))
    return on_table.astype(np.float32)


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
    if build.arms_up:
        return _raised_arms(axes, axis, build)
    table = np.array(SHOULDER_OUTLINE)
    shifted = level - build.shoulder_drop
    v, wide, deep = (np.interp(shifted, table[:, 0], table[:, k]) * axis.scale for k in (1, 2, 3))
    middle = axis.point(level, np.zeros_like(level), v)
    rows = np.column_stack([middle[:, :2], wide + build.girth_mm, deep + build.girth_mm])
    outline = tube_mm(axes, rows)
    above = np.maximum(table[0, 0] - shifted, 0)[:, None, None] * np.float32(16.0)
    outline += above.astype(np.float32)
    return outline


def raised_arm_rows(axis: SpineAxis, level: np.ndarray, side: int) -> np.ndarray:
    """Return x, y, half width, half depth of an arm raised beside the head."""
    u = np.interp(level, [-4, 4, 7, 9, 12], [165, 150, 138, 120, 105]) * axis.scale
    middle = axis.point(level, side * u, np.full_like(level, 8.0))
    half = np.interp(level, [-4, 4, 8, 12], [42, 46, 56, 66]) * axis.scale
    return np.column_stack([middle[:, :2], half, half * 0.85])


def _raised_arms(axes: Axes, axis: SpineAxis, build: Build) -> np.ndarray:
    level = axis.level_at(axes.z)
    arms = [
        tube_mm(axes, raised_arm_rows(axis, level, side) + [0, 0, 0.5, 0.5] * np.float64(build.girth_mm))
        for side in (1, -1)
    ]
    below: np.ndarray = np.minimum(arms[0], arms[1])
    return below


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
        inside = np.flatnonzero((axes.z <= tube.rows[0, 0]) & (axes.z >= tube.rows[-1, 0]))
        for part in np.array_split(inside, max(1, inside.size // 12)):
            if part.size == 0:
                continue
            rows = tube.at(axes.z[part])
            window = _window(axes, rows, _SEED_REACH_MM)
            if window is None:
                continue
            ky, kx = window
            distance = tube_mm(Axes(axes.z[part], axes.y[ky], axes.x[kx]), rows, tube.turn_rad)
            at = (slice(part[0], part[-1] + 1), ky, kx)
            second[at] = np.minimum(second[at], np.maximum(first[at], distance))
            first[at] = np.minimum(first[at], distance)
    return first, (second - first) / 2
