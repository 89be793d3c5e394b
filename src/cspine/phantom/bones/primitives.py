"""Implicit solids from which bones are put together.

A solid is a scalar function of points (N, 3) in mm that is negative inside and zero on the surface. Near the surface it
is close to, but not exactly, a distance: `sampled` turns the finished shape into a true distance. Every solid carries a
sphere that encloses it, so that a union evaluates each part only where it can matter.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

Vector = tuple[float, float, float]


class Solid(Protocol):
    """An implicit solid with an enclosing sphere."""

    @property
    def center(self) -> np.ndarray:
        """(3,) center of a sphere round the solid."""
        ...

    @property
    def radius(self) -> float:
        """Radius of that sphere, infinite for unbounded solids."""
        ...

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return float32 (N,) for float32 points (N, 3).

        Farther than `margin_mm` outside, any value of at least `margin_mm` may be returned.
        """
        ...


def smooth_min(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Return the minimum of two fields with a fillet of about `blend_mm` where they meet."""
    sharp: np.ndarray = np.minimum(a, b)
    if blend_mm <= 0:
        return sharp
    overlap = np.maximum(blend_mm - np.abs(a - b), 0)
    sharp -= overlap * overlap * np.float32(0.25 / blend_mm)
    return sharp


def smooth_max(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Return the maximum of two fields with an edge rounded over about `blend_mm`."""
    return -smooth_min(-a, -b, blend_mm)


def unit(vector: np.ndarray | Vector) -> np.ndarray:
    """Return a vector of length one as float32."""
    v = np.asarray(vector, dtype=np.float64)
    return (v / np.linalg.norm(v)).astype(np.float32)


def frame(z_axis: Vector, x_hint: Vector = (1.0, 0.0, 0.0)) -> np.ndarray:
    """Return a (3, 3) rotation whose rows are right-handed axes: z as given, x close to the hint."""
    z = unit(z_axis).astype(np.float64)
    x = np.asarray(x_hint, dtype=np.float64)
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z]).astype(np.float32)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, or a superellipsoid for exponents above 2.

    Parameters
    ----------
    at
        Center.
    radii
        Semi-axes along the rows of `axes`.
    axes
        Two vectors: direction of the third semi-axis and hint of the first.
    exponent
        2 for an ellipsoid, larger for a box with rounded edges.
    """

    at: Vector
    radii: Vector
    axes: tuple[Vector, Vector] = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    exponent: float = 2.0

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        return np.asarray(self.at, dtype=np.float32)

    @property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        if self.exponent <= 2:
            return max(self.radii)
        return float(np.linalg.norm(self.radii))

    @cached_property
    def _rotation(self) -> np.ndarray:
        return frame(*self.axes)

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field, first-order exact at the surface."""
        radii = np.asarray(self.radii, dtype=np.float32)
        scaled = np.abs((points - self.center) @ (self._rotation.T / radii))
        n = self.exponent
        power = scaled if n == 2 else scaled ** np.float32(n - 1)
        level = np.maximum(np.einsum("ij,ij->i", power, scaled), 1e-6)
        level = np.sqrt(level) if n == 2 else level ** np.float32(1 / n)
        slope = row_length(power / radii) / (level if n == 2 else level ** np.float32(n - 1))
        inner = np.float32(min(self.radii))
        out: np.ndarray = np.maximum((level - 1) / np.maximum(slope, 0.5 / max(self.radii)), -inner)
        return out


@dataclass(frozen=True)
class Tube:
    """A round tube along a polyline whose radius changes linearly between its vertices."""

    path: tuple[Vector, ...]
    radii: tuple[float, ...]

    @cached_property
    def _vertices(self) -> np.ndarray:
        return np.asarray(self.path, dtype=np.float32)

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        middle: np.ndarray = (self._vertices.min(axis=0) + self._vertices.max(axis=0)) / 2
        return middle

    @cached_property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        reach = np.linalg.norm(self._vertices - self.center, axis=1) + np.asarray(self.radii)
        return float(reach.max())

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        out = np.full(len(points), np.inf, dtype=np.float32)
        for i in range(len(self.path) - 1):
            offset, part = along_segment(points, self._vertices[i], self._vertices[i + 1])
            r = np.float32(self.radii[i]) + part * np.float32(self.radii[i + 1] - self.radii[i])
            np.minimum(out, row_length(offset) - r, out=out)
        return out


def along_segment(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets (N, 3) of points from their nearest points on a segment, and where these lie, 0 … 1."""
    line = end - start
    offset = points - start
    part = np.clip(offset @ line / np.float32(max(line @ line, 1e-9)), 0, 1)
    offset -= part[:, None] * line
    return offset, part


def row_length(vectors: np.ndarray) -> np.ndarray:
    """Return the lengths (N,) of vectors (N, 3)."""
    length: np.ndarray = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return length


@dataclass(frozen=True)
class Strip:
    """A flat bar along a polyline with rounded edges, such as a lamina or a rib.

    Parameters
    ----------
    path
        Vertices of the middle line.
    half_heights, half_thicknesses
        Half extent along `up` and across it, at each vertex.
    up
        Direction of the height; its part along the path is ignored.
    """

    path: tuple[Vector, ...]
    half_heights: tuple[float, ...]
    half_thicknesses: tuple[float, ...]
    up: Vector = (0.0, 0.0, 1.0)

    @cached_property
    def _vertices(self) -> np.ndarray:
        return np.asarray(self.path, dtype=np.float32)

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        middle: np.ndarray = (self._vertices.min(axis=0) + self._vertices.max(axis=0)) / 2
        return middle

    @cached_property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        reach = np.linalg.norm(self._vertices - self.center, axis=1)
        return float((reach + np.hypot(self.half_heights, self.half_thicknesses)).max())

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        out = np.full(len(points), np.inf, dtype=np.float32)
        for i in range(len(self.path) - 1):
            np.minimum(out, self._segment(points, i), out=out)
        return out

    def _segment(self, points: np.ndarray, i: int) -> np.ndarray:
        start, end = self._vertices[i], self._vertices[i + 1]
        line = unit(end - start)
        up = np.asarray(self.up, dtype=np.float32)
        up = unit(up - (up @ line) * line)
        offset, part = along_segment(points, start, end)
        height = np.float32(self.half_heights[i]) + part * np.float32(self.half_heights[i + 1] - self.half_heights[i])
        thick = np.float32(self.half_thicknesses[i]) + part * np.float32(
            self.half_thicknesses[i + 1] - self.half_thicknesses[i]
        )
        corner = np.minimum(height, thick) * np.float32(0.95)
        u = np.maximum(np.abs(offset @ up) - height + corner, 0)
        v = np.maximum(np.abs(offset @ np.cross(line, up)) - thick + corner, 0)
        rounded: np.ndarray = np.sqrt(u * u + v * v + (offset @ line) ** 2) - corner
        return rounded


@dataclass(frozen=True)
class Polyhedron:
    """An intersection of half-spaces with rounded edges.

    Parameters
    ----------
    faces
        Pairs of a point on the face and its outward normal.
    blend_mm
        Rounding of the edges.
    at, reach
        A sphere that encloses the part of the solid that matters.
    """

    faces: tuple[tuple[Vector, Vector], ...]
    blend_mm: float
    at: Vector = (0.0, 0.0, 0.0)
    reach: float = np.inf

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        return np.asarray(self.at, dtype=np.float32)

    @property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        return self.reach

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        out: np.ndarray | None = None
        for point, direction in self.faces:
            normal = unit(direction)
            plane = points @ normal - np.float32(np.asarray(point) @ normal)
            out = plane if out is None else smooth_max(out, plane, self.blend_mm)
        assert out is not None
        return out
