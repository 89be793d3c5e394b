"""Separable random deformation: each axis of a sample is a smooth monotone map into the case.

Rotation comes from the phantom's own posture; what is drawn here is scale, anisotropy, local stretch (vertebrae
of unequal height) and place. Separable maps make sampling a plain index lookup.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class AxisWarp:
    """One axis: sub-voxel position of the sample → voxel index of the case.

    Attributes
    ----------
    table
        Case index at sub-voxels ``-guard … n·sub + guard`` of the sample.
    count, sub
        Voxels of the sample along the axis, and sub-voxels per voxel.
    """

    table: np.ndarray
    count: int
    sub: int
    guard: int

    @property
    def inner(self) -> np.ndarray:
        """Case index of each sub-voxel inside the sample."""
        return self.table[self.guard : self.guard + self.count * self.sub]

    def to_sample(self, case_index: float) -> float:
        """Return the (fractional) voxel of the sample at a case index; extrapolates as the ends."""
        at = np.interp(case_index, self.table, np.arange(len(self.table)))
        if case_index < self.table[0]:
            at = (case_index - self.table[0]) / (self.table[1] - self.table[0])
        elif case_index > self.table[-1]:
            at = len(self.table) - 1 + (case_index - self.table[-1]) / (self.table[-1] - self.table[-2])
        return float((at - self.guard + 0.5) / self.sub - 0.5)


@dataclass(frozen=True)
class WarpRange:
    """Ranges from which a deformation is drawn.

    Attributes
    ----------
    size
        Common scale; 1.1 makes the anatomy 10 % larger.
    aspect
        Extra scale per axis.
    stretch
        Largest local stretch along the slice axis.
    """

    size: tuple[float, float] = (0.85, 1.18)
    aspect: tuple[float, float] = (0.93, 1.08)
    stretch: float = 0.15


def draw_scales(rng: np.random.Generator, ranges: WarpRange) -> np.ndarray:
    """Return (3,) scale of the anatomy along (slice, row, column)."""
    return np.asarray(rng.uniform(*ranges.size) * rng.uniform(*ranges.aspect, size=3))


@dataclass(frozen=True)
class AxisPlan:
    """What fixes one axis of a sample: voxels, sub-voxels, sample step and case step in mm."""

    count: int
    sub: int
    step_mm: float
    case_step_mm: float


def draw_axis(
    rng: np.random.Generator, plan: AxisPlan, scale: float, anchor: tuple[float, float], stretch: float
) -> AxisWarp:
    """Return a warp in which case index ``anchor[0]`` falls on sample voxel ``anchor[1]``."""
    guard = 24 * plan.sub
    total = plan.count * plan.sub + 2 * guard
    step = plan.step_mm / plan.sub / plan.case_step_mm / scale
    wave_mm = rng.uniform(50, 140)
    u_mm = np.arange(total) * plan.step_mm / plan.sub
    speed = 1 + rng.uniform(0, stretch) * np.sin(2 * np.pi * (u_mm / wave_mm + rng.uniform()))
    table = np.concatenate([[0.0], np.cumsum(step * speed)])[:total]
    at = (anchor[1] + 0.5) * plan.sub - 0.5 + guard
    table = table + anchor[0] - np.interp(at, np.arange(total), table)
    return AxisWarp(table, plan.count, plan.sub, guard)


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a sample lies in its case: one warp per axis, and whether left and right are exchanged."""

    warps: tuple[AxisWarp, AxisWarp, AxisWarp]
    flip: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the sample."""
        z, y, x = (w.count for w in self.warps)
        return z, y, x

    def to_sample(self, case_index: np.ndarray) -> np.ndarray:
        """Return the (fractional) sample voxel of a (fractional) case voxel."""
        at = np.array([w.to_sample(float(i)) for w, i in zip(self.warps, case_index, strict=True)])
        if self.flip:
            at[2] = self.warps[2].count - 1 - at[2]
        return at

    def unflipped(self, array: np.ndarray) -> np.ndarray:
        """Exchange left and right of a sampled array when the placement says so (a view)."""
        return array[..., ::-1] if self.flip else array


def gaussian_at(shape: tuple[int, int, int], at: np.ndarray, sigma_voxels: tuple[float, float, float]) -> np.ndarray:
    """Return a float32 Gaussian of height 1 round a (fractional) voxel."""
    axes = [np.exp(-0.5 * ((np.arange(n) - a) / s) ** 2) for n, a, s in zip(shape, at, sigma_voxels, strict=True)]
    return np.asarray(axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :], dtype=np.float32)


def take(codes: np.ndarray, warps: tuple[AxisWarp, AxisWarp, AxisWarp], outside: int) -> np.ndarray:
    """Return the codes of all sub-voxels of a sample (nearest), `outside` where the case has none."""
    picks, inside = [], []
    for n, warp in zip(codes.shape, warps, strict=True):
        index = np.rint(warp.inner).astype(np.int64)
        inside.append((index >= 0) & (index < n))
        picks.append(np.clip(index, 0, n - 1))
    z, y, x = picks
    block = np.asarray(codes[z[0] : z[-1] + 1, y[0] : y[-1] + 1, x[0] : x[-1] + 1])
    out = block[np.ix_(z - z[0], y - y[0], x - x[0])]
    for axis, ok in enumerate(inside):
        if not ok.all():
            where: list[slice | np.ndarray] = [slice(None)] * 3
            where[axis] = ~ok
            out[tuple(where)] = outside
    return out


def block_mean(values: np.ndarray, sub: tuple[int, int, int]) -> np.ndarray:
    """Average sub-voxels into voxels; float32."""
    d, h, w = (n // s for n, s in zip(values.shape, sub, strict=True))
    return np.asarray(values.reshape(d, sub[0], h, sub[1], w, sub[2]).mean(axis=(1, 3, 5), dtype=np.float32))


def rotation(angles: np.ndarray) -> np.ndarray:
    """Return the matrix (3, 3) that turns about each axis in order by these angles, in radians."""
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        one = np.eye(3)
        one[i, i] = one[j, j] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        turn = turn @ one
    return turn
