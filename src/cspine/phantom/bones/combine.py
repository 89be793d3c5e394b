"""Solids made of solids: unions, cuts, mirror images and smooth irregular deformation."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.phantom.bones.primitives import Solid, Vector, smooth_max, smooth_min

ROUGH_REACH_MM = 2.5


@dataclass(frozen=True)
class Union:
    """Several solids melted together with fillets of `blend_mm`."""

    parts: tuple[Solid, ...]
    blend_mm: float

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        low = np.min([p.center - p.radius for p in self.parts], axis=0)
        high = np.max([p.center + p.radius for p in self.parts], axis=0)
        middle: np.ndarray = ((low + high) / 2).astype(np.float32)
        return middle

    @cached_property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        return max(float(np.linalg.norm(p.center - self.center)) + p.radius for p in self.parts) + self.blend_mm / 4

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field; each part is evaluated only near its sphere."""
        margin = np.float32(margin_mm + self.blend_mm)
        out = np.full(len(points), margin, dtype=np.float32)
        squared = _square(points)
        for part in self.parts:
            near = _near(points, squared, part, float(margin))
            if near.size:
                out[near] = smooth_min(out[near], part.value(points[near], float(margin)), self.blend_mm)
        return out


@dataclass(frozen=True)
class Cut:
    """A solid less others, the new edges rounded over `blend_mm`."""

    base: Solid
    tools: tuple[Solid, ...]
    blend_mm: float

    @property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        return self.base.center

    @property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        return self.base.radius

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        out = self.base.value(points, margin_mm)
        squared = _square(points)
        for tool in self.tools:
            near = _near(points, squared, tool, margin_mm + self.blend_mm)
            if near.size:
                cut = -tool.value(points[near], margin_mm + self.blend_mm)
                out[near] = smooth_max(out[near], cut, self.blend_mm)
        return out


@dataclass(frozen=True)
class Mirrored:
    """The mirror image of a solid, right for left."""

    inner: Solid

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        return self.inner.center * np.array([-1, 1, 1], dtype=np.float32)

    @property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        return self.inner.radius

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        return self.inner.value(points * np.array([-1, 1, 1], dtype=np.float32), margin_mm)


@dataclass(frozen=True)
class Irregular:
    """A solid bent by a few long waves and roughened by short ones, so that no two bones are alike.

    Parameters
    ----------
    waves
        Rows (wave vector xyz in 1/mm, phase, displacement xyz in mm), float32 (K, 7).
    roughness
        Rows (wave vector xyz in 1/mm, phase, amplitude in mm), float32 (M, 5).
    anchor
        A point that the waves leave in place.
    """

    inner: Solid
    waves: np.ndarray
    roughness: np.ndarray
    anchor: Vector = (0.0, 0.0, 0.0)

    @property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        return self.inner.center

    @property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        return (
            self.inner.radius + 2 * float(np.abs(self.waves[:, 4:]).sum()) + float(np.abs(self.roughness[:, 4]).sum())
        )

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        bent = points
        if len(self.waves):
            bent = points + (self._wave(points) - self._wave(np.array([self.anchor], dtype=np.float32)))
        out = self.inner.value(bent, margin_mm)
        if len(self.roughness):
            near = np.flatnonzero(np.abs(out) < ROUGH_REACH_MM)
            rough = np.sin(points[near] @ self.roughness[:, :3].T + self.roughness[:, 3]) @ self.roughness[:, 4]
            out[near] += rough * (1 - np.abs(out[near]) / np.float32(ROUGH_REACH_MM))
        return out

    def _wave(self, points: np.ndarray) -> np.ndarray:
        moved: np.ndarray = np.sin(points @ self.waves[:, :3].T + self.waves[:, 3]) @ self.waves[:, 4:]
        return moved


def irregular(
    solid: Solid,
    rng: np.random.Generator,
    bend_mm: float,
    rough_mm: float,
    *,
    lengths_mm: tuple[float, float] = (25.0, 60.0),
    anchor: Vector = (0.0, 0.0, 0.0),
) -> Irregular:
    """Return the solid with random smooth deformation.

    Parameters
    ----------
    bend_mm, rough_mm
        Standard deviations of the long and the short waves.
    lengths_mm
        Range of the long wavelengths.
    anchor
        A point that stays in place.
    """
    waves = _waves(rng, 5, lengths_mm)
    push = rng.normal(0, bend_mm * np.sqrt(2 / 5), (5, 3))
    short = _waves(rng, 8, (5.0, 12.0))
    lift = rng.normal(0, rough_mm * np.sqrt(2 / 8), (8, 1))
    bend, rough = np.hstack([waves, push]).astype(np.float32), np.hstack([short, lift]).astype(np.float32)
    return Irregular(solid, bend, rough, anchor)


def both(left: Solid) -> tuple[Solid, Solid]:
    """Return a solid of the left side and its mirror image."""
    return left, Mirrored(left)


def _waves(rng: np.random.Generator, count: int, length_mm: tuple[float, float]) -> np.ndarray:
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    number = 2 * np.pi / rng.uniform(*length_mm, size=(count, 1))
    return np.hstack([direction * number, rng.uniform(0, 2 * np.pi, (count, 1))])


def _square(points: np.ndarray) -> np.ndarray:
    squared: np.ndarray = np.einsum("ij,ij->i", points, points)
    return squared


def _near(points: np.ndarray, squared: np.ndarray, solid: Solid, margin_mm: float) -> np.ndarray:
    """Return which points (with their squared norms) lie within a margin of the sphere of a solid."""
    if not np.isfinite(solid.radius):
        return np.arange(len(points))
    center = solid.center
    reach = (solid.radius + margin_mm) ** 2 - float(center @ center)
    return np.flatnonzero(squared - points @ (2 * center) < np.float32(reach))
