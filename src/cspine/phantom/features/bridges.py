"""How two vertebrae become one: contacts and bridges of bone, in the own frame of the upper one."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.phantom.bones.combine import Union
from cspine.phantom.bones.primitives import Ellipsoid, Solid, Strip, Vector
from cspine.phantom.features.measure import Landmarks
from cspine.phantom.joints import Contact

FUSED_GAP_MM = -0.9
_SKULL_REACH: tuple[Vector, Vector] = ((0.0, -3.0, 9.0), (32.0, 20.0, 13.0))


@dataclass(frozen=True)
class Rim:
    """An upright elliptic wall, such as the ossified outer fibers of a disc.

    Attributes
    ----------
    at
        Middle.
    radii
        Of its middle line: across, front to back.
    thickness_mm, height_mm
        Of the wall.
    wave
        Rows (angular number, phase, amplitude): the thickness varies round the rim.
    """

    at: Vector
    radii: tuple[float, float]
    thickness_mm: float
    height_mm: float
    wave: tuple[tuple[int, float, float], ...] = ()

    @cached_property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        return np.asarray(self.at, dtype=np.float32)

    @property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        return float(np.hypot(max(self.radii) + 2 * self.thickness_mm, self.height_mm))

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        x, y, z = (points - self.center).T
        u, v = x / np.float32(self.radii[0]), y / np.float32(self.radii[1])
        level = np.sqrt(u * u + v * v)
        angle = np.arctan2(v, u)
        thick = np.full_like(level, self.thickness_mm)
        for number, phase, amplitude in self.wave:
            thick += np.float32(amplitude) * np.sin(number * angle + np.float32(phase))
        # Thin at its upper and lower edge, where it grows out of the rims of the bodies.
        thick *= 1 - np.float32(0.6) * np.clip(np.abs(z) * np.float32(2 / self.height_mm), 0, 1)
        wall = np.abs(level - 1) * np.float32(min(self.radii)) - thick / 2
        out: np.ndarray = np.maximum(wall, np.abs(z) - np.float32(self.height_mm / 2)).astype(np.float32)
        return out


def block_contacts(upper: Landmarks, disc_mm: float) -> tuple[Contact, ...]:
    """Return a congenital block: bodies and facets are one, and the rim stays notched."""
    z = upper.bottom_z - disc_mm / 2
    body = Ellipsoid(
        (0.0, upper.middle_y - 0.5, z), (0.92 * upper.half_width, 0.95 * upper.half_depth, 7.0), exponent=3.0
    )
    return (Contact(body, FUSED_GAP_MM, 12.0), *_facet_contacts(upper, FUSED_GAP_MM, 5.0))


def stiff_contacts(upper: Landmarks, disc_mm: float, rng: np.random.Generator) -> tuple[Contact, ...]:
    """Return the ankylosis of spondylitis: a thin wall of bone round the disc and fused facets."""
    z = upper.bottom_z - disc_mm / 2
    wide, deep = 0.84 * upper.half_width, upper.half_depth + 0.1
    wave = tuple((k, float(rng.uniform(0, 2 * np.pi)), 0.4) for k in (1, 2, 3))
    rim = Rim((0.0, upper.middle_y, z), (wide, deep), 2.4, disc_mm + 4.5, wave)
    region = Ellipsoid((0.0, upper.middle_y, z), (wide + 5.0, deep + 5.0, disc_mm / 2 + 7.0), exponent=4.0)
    # The wall belongs to the front and the sides; behind lies the canal.
    return (Contact(region, FUSED_GAP_MM, 0.5, rim), *_facet_contacts(upper, FUSED_GAP_MM, 5.0))


def flowing_contacts(
    upper: Landmarks, lower: Landmarks, disc_mm: float, rng: np.random.Generator
) -> tuple[Contact, ...]:
    """Return a flowing bridge of bone in front of the disc, thicker on one side; disc and facets stay free."""
    z = upper.bottom_z - disc_mm / 2
    front = min(upper.front_y, lower.front_y)
    lean, thick = float(rng.uniform(-5, 5)), float(rng.uniform(2.2, 3.6))
    tall = upper.top_z - upper.bottom_z
    path: tuple[Vector, ...] = (
        (lean, front - 0.2 * thick, upper.bottom_z + 0.65 * tall),
        (lean, front - 0.9 * thick, z + 0.6),
        (lean * 0.8, front - 0.2 * thick, z - disc_mm / 2 - 0.65 * tall),
    )
    wide = float(rng.uniform(7, 10))
    bridge = Union(
        (Strip(path, (wide * 0.8, wide, wide * 0.8), (0.7 * thick, thick, 0.7 * thick), (1.0, 0.0, 0.0)),), 0.5
    )
    region = Ellipsoid((lean, front - thick, z), (wide + 5.0, thick + 6.0, tall + 4.0), exponent=4.0)
    return (Contact(region, FUSED_GAP_MM, 0.5, bridge),)


def worn_facets(upper: Landmarks, left: float, right: float) -> tuple[Contact, ...]:
    """Return narrow facet joints below a vertebra, by the grade 0 … 1 of each side."""
    contacts = []
    for side, grade in ((1.0, left), (-1.0, right)):
        if grade > 0:
            contacts.append(Contact(_facet_room(upper, side), 1.1 - 0.9 * grade))
    return tuple(contacts)


def skull_contacts() -> tuple[Contact, ...]:
    """Return C1 as one with the occiput about the condyles, in the frame of the skull."""
    return (Contact(Ellipsoid(*_SKULL_REACH, exponent=4.0), FUSED_GAP_MM, 6.5),)


def _facet_contacts(upper: Landmarks, gap_mm: float, blend_mm: float) -> tuple[Contact, ...]:
    return tuple(Contact(_facet_room(upper, side), gap_mm, blend_mm) for side in (1.0, -1.0))


def _facet_room(upper: Landmarks, side: float) -> Solid:
    x, y, z = upper.facet_below
    return Ellipsoid((side * x, y - 1.0, z + 3.0), (9.0, 9.0, 10.0), exponent=3.0)


__all__ = [
    "FUSED_GAP_MM",
    "Rim",
    "block_contacts",
    "flowing_contacts",
    "skull_contacts",
    "stiff_contacts",
    "worn_facets",
]
