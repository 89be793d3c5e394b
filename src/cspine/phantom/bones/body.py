"""The vertebral body: a waisted drum with concave endplates, uncinate rims above and lateral bevels below."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.phantom.bones.primitives import smooth_max


@dataclass(frozen=True)
class VertebralBody:
    """A vertebral body round the origin.

    Parameters
    ----------
    half_width, half_depth
        (superior, inferior).
    height_front, height_back
        Along the front and the back wall.
    waist
        Relative narrowing half way up.
    concavity
        Depth of the (superior, inferior) endplate in mm.
    uncinate, bevel
        Height of the lateral rims of the superior endplate; how far the sides of the inferior one rise.
    lip
        How far the front of the inferior endplate hangs down.
    osteophyte
        Outgrowth of both rims.
    heart
        0 … 1: taper towards the front, as in the thoracic spine.
    """

    half_width: tuple[float, float]
    half_depth: tuple[float, float]
    height_front: float
    height_back: float
    waist: float = 0.08
    concavity: tuple[float, float] = (0.8, 1.2)
    uncinate: float = 0.0
    bevel: float = 0.0
    lip: float = 0.0
    osteophyte: float = 0.0
    heart: float = 0.0

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        return np.zeros(3, dtype=np.float32)

    @property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        tall = max(self.height_front, self.height_back) / 2 + self.uncinate + self.lip
        return float(np.hypot(np.hypot(max(self.half_width), max(self.half_depth)), tall)) + self.osteophyte

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
        half = np.float32((self.height_front + self.height_back) / 4)
        t = np.clip(z / half, -1.3, 1.3)
        narrow = 1 - np.float32(self.waist) * np.maximum(1 - t * t, 0)
        rim = np.float32(self.osteophyte) * np.clip(np.abs(t), 0, 1.15) ** 6
        wide = (_between(self.half_width, t) * narrow) + rim
        deep = (_between(self.half_depth, t) * narrow) + rim * (y < 0)
        v = y / deep
        u = x / (wide * (1 + np.float32(self.heart) * 0.28 * np.clip(v, -1, 0.4)))
        side = self._outline(u, v) * np.minimum(wide, deep)
        slant = np.float32((self.height_back - self.height_front) / 4) * v
        top = z - (half + slant + self._superior(u, v))
        bottom = -(half + slant) + self._inferior(u, v) - z
        return smooth_max(smooth_max(side, top, 2.0), bottom, 2.0)

    def _outline(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the superellipse level − 1; the back wall is flat, in the thorax hollow."""
        hollow = np.float32(0.10 * self.heart) * np.maximum(1 - 4 * u * u, 0)
        power = np.where(v > 0, np.float32(3.2), np.float32(2.3))
        v = np.where(v > 0, np.abs(v) + hollow, np.abs(v))
        level: np.ndarray = (np.maximum(u, 1e-4) ** power + np.maximum(v, 1e-4) ** power) ** (1 / power) - 1
        return level

    def _superior(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        rim = _step(u, 0.60, 1.0) * (0.25 + 0.75 * _step(v, -0.7, 0.1))
        dish = np.maximum(1 - (u / 0.8) ** 2, 0) * np.maximum(1 - v * v, 0)
        front = _step(-v, 0.45, 1.0) * np.float32(0.18 * self.uncinate)
        raised: np.ndarray = np.float32(self.uncinate) * rim - np.float32(self.concavity[0]) * dish - front
        return raised

    def _inferior(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        dish = np.maximum(1 - u * u, 0) * np.maximum(1 - v * v, 0)
        hang = np.float32(self.lip) * _step(-v, 0.35, 1.0) * np.maximum(1 - u * u, 0)
        raised: np.ndarray = np.float32(self.concavity[1]) * dish + np.float32(self.bevel) * _step(u, 0.58, 0.98) - hang
        return raised


def _between(ends: tuple[float, float], t: np.ndarray) -> np.ndarray:
    """Return the value at height t, −1 (inferior) … 1 (superior)."""
    return np.float32((ends[0] + ends[1]) / 2) + np.float32((ends[0] - ends[1]) / 2) * t


def _step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    s = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: np.ndarray = s * s * (3 - 2 * s)
    return smooth
