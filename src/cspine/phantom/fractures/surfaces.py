"""Surfaces along which bone breaks: a sheet, flat or bent, with a relief.

A surface is a function of places that is signed, zero on the surface and close to the distance near it. Family A has
spectral relief (waves of all lengths, the long ones highest) on flat sheets; family B has facets (triangle waves) on
bent sheets.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

Vector = tuple[float, float, float]
_WAVES = 10
_FACETS = 4
_WAVE_LENGTHS_MM = {"A": (1.3, 16.0), "B": (4.0, 11.0)}
_STEEPNESS = 0.85  # amplitude grows as the wavelength to this power
_BEND_PER_MM = 0.035


class Surface(Protocol):
    """A surface in space."""

    def signed_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return float32 (N,) for float32 points (N, 3): signed, close to the distance near the surface."""
        ...


class Places:
    """Points of one frame, and what surfaces say of them: pieces share faces, so each is asked once.

    Attributes
    ----------
    points_mm
        float32 (N, 3).
    """

    def __init__(self, points_mm: np.ndarray) -> None:
        self.points_mm = np.asarray(points_mm, dtype=np.float32)
        self._known: dict[int, tuple[Surface, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.points_mm)

    def signed_mm(self, surface: Surface) -> np.ndarray:
        """Return what a surface says, float32 (N,); not to be written to."""
        if id(surface) not in self._known:
            self._known[id(surface)] = surface, surface.signed_mm(self.points_mm)
        return self._known[id(surface)][1]

    def some(self, which: np.ndarray) -> "Places":
        """Return some of the places, by their numbers, with all that is known of them."""
        part = Places(self.points_mm[which])
        part._known = {key: (surface, signed[which]) for key, (surface, signed) in self._known.items()}
        return part


@dataclass(frozen=True, eq=False)
class Relief:
    """Height over a plane as a sum of waves.

    Attributes
    ----------
    numbers
        (K, 2) wave vectors in 1/mm.
    phases, heights_mm
        (K,).
    faceted
        Triangle waves instead of sine waves.
    """

    numbers: np.ndarray
    phases: np.ndarray
    heights_mm: np.ndarray
    faceted: bool

    def at(self, places_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return heights (N,) and slopes (N, 2) at places (N, 2) of the plane."""
        angle = places_mm @ self.numbers.T + self.phases
        wave, slope = np.sin(angle), np.cos(angle)
        if self.faceted:
            wave, slope = np.float32(2 / np.pi) * np.arcsin(wave), np.float32(2 / np.pi) * np.sign(slope)
        return wave @ self.heights_mm, (slope * self.heights_mm) @ self.numbers


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet through a point.

    Attributes
    ----------
    point_mm
        float32 (3,).
    axes
        float32 (3, 3): rows are two directions in the sheet and its normal, on whose side the sign is positive.
    bend_per_mm
        (2,) curvatures along the two directions; positive bends toward the normal.
    """

    point_mm: np.ndarray
    axes: np.ndarray
    bend_per_mm: np.ndarray
    relief: Relief

    def signed_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the height above the sheet over the length of its gradient, float32 (N,)."""
        local = (np.asarray(points_mm, dtype=np.float32) - self.point_mm) @ self.axes.T
        height, slope = self.relief.at(local[:, :2])
        if self.bend_per_mm.any():
            bent = local[:, :2] * self.bend_per_mm
            height = height + _dot(bent, local) / 2
            slope = slope + bent
        signed: np.ndarray = (local[:, 2] - height) / np.sqrt(1 + _dot(slope, slope))
        return signed.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Line:
    """A line as a surface without sides: the distance to it, for canals in bone.

    Attributes
    ----------
    path_mm
        (K, 3) vertices.
    """

    path_mm: np.ndarray

    def signed_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return the distance to the line, float32 (N,)."""
        points = np.asarray(points_mm, dtype=np.float32)
        nearest = np.full(len(points), np.inf, dtype=np.float32)
        for start, end in zip(self.path_mm[:-1], self.path_mm[1:], strict=True):
            along = end - start
            part = np.clip((points - start) @ along / max(float(along @ along), 1e-9), 0, 1)
            away = points - start - part[:, None] * along
            np.minimum(nearest, np.sqrt((away * away).sum(axis=1)), out=nearest)
        return nearest


def sheet(
    rng: np.random.Generator,
    family: str,
    point_mm: np.ndarray | Vector,
    normal: np.ndarray | Vector,
    *,
    rough_mm: float = 0.45,
    bend_per_mm: tuple[float, float] = (0.0, 0.0),
) -> Sheet:
    """Draw the relief of a sheet through a point.

    Parameters
    ----------
    rough_mm
        Standard deviation of the relief.
    bend_per_mm
        Curvature along the direction nearest x, and across it; family B adds some of its own.
    """
    bend = np.array(bend_per_mm, dtype=np.float32)
    if family == "B":
        bend = bend + rng.uniform(-_BEND_PER_MM, _BEND_PER_MM, 2).astype(np.float32)
    return Sheet(np.asarray(point_mm, dtype=np.float32), _axes(normal), bend, _relief(rng, family, rough_mm))


def flat(point_mm: np.ndarray | Vector, normal: np.ndarray | Vector) -> Sheet:
    """Return a plane."""
    none = Relief(np.zeros((1, 2), np.float32), np.zeros(1, np.float32), np.zeros(1, np.float32), faceted=False)
    return Sheet(np.asarray(point_mm, dtype=np.float32), _axes(normal), np.zeros(2, np.float32), none)


def tilted(rng: np.random.Generator, normal: np.ndarray | Vector, spread_deg: float) -> np.ndarray:
    """Return a normal that is turned by about so many degrees in a random direction."""
    unit = np.asarray(normal, dtype=np.float64)
    unit = unit / np.linalg.norm(unit)
    away = rng.normal(0, np.tan(np.radians(spread_deg)) / np.sqrt(2), 3)
    turned = unit + away - (away @ unit) * unit
    result: np.ndarray = turned / np.linalg.norm(turned)
    return result


def _dot(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return the products (N,) of the first two columns; many times faster than a sum along so short an axis."""
    product: np.ndarray = one[:, 0] * two[:, 0] + one[:, 1] * two[:, 1]
    return product


def _axes(normal: np.ndarray | Vector) -> np.ndarray:
    n = np.asarray(normal, dtype=np.float64)
    n = n / np.linalg.norm(n)
    hint = np.array([1.0, 0.0, 0.0]) if abs(n[0]) < 0.8 else np.array([0.0, 1.0, 0.0])
    u = hint - (hint @ n) * n
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(n, u), n]).astype(np.float32)


def _relief(rng: np.random.Generator, family: str, rough_mm: float) -> Relief:
    faceted = family == "B"
    count = _FACETS if faceted else _WAVES
    short, long = _WAVE_LENGTHS_MM[family]
    length = np.exp(rng.uniform(np.log(short), np.log(long), count))
    angle = rng.uniform(0, 2 * np.pi, count)
    number = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (2 * np.pi / length)[:, None]
    height = length**_STEEPNESS * rng.uniform(0.5, 1.5, count)
    # A sine wave has the variance 1/2, a triangle wave 1/3.
    height *= rough_mm / np.sqrt((height**2).sum() / (3 if faceted else 2))
    phase = rng.uniform(0, 2 * np.pi, count)
    return Relief(number.astype(np.float32), phase.astype(np.float32), height.astype(np.float32), faceted)


__all__ = ["Line", "Places", "Relief", "Sheet", "Surface", "flat", "sheet", "tilted"]
