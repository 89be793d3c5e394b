"""The skull in C1's frame: occiput on its condyles, base, vault, face. Landmarks are those of an average adult.

The cranial floor is the outside of a shell round the cavities of cerebrum, middle and posterior fossa; on it stand
condyles, clivus, petrous pyramids, mastoids and the face.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.combine import Cut, Union, both, irregular
from cspine.phantom.bones.face import face_hollows, face_parts
from cspine.phantom.bones.landmarks import ellipsoid, strip, tube
from cspine.phantom.bones.primitives import Ellipsoid, Solid
from cspine.phantom.bones.sampled import SampledBone
from cspine.phantom.bones.sizes import VertebraSize
from cspine.phantom.bones.stacking import CONDYLE_AXES, condyle
from cspine.phantom.skeleton import Bone

C1_WIDTH_OF_LANDMARKS_MM = 75.5
BASE_TOP_MM = 62.0
BASE_SPACING_MM = 0.9
VAULT_SPACING_MM = 1.4
FORAMEN_MAGNUM_Y_MM = 5.7


@dataclass(frozen=True)
class Shell:
    """A shell whose inner surface is a solid's surface."""

    inner: Solid
    thickness_mm: float

    @property
    def center(self) -> np.ndarray:
        """Center of the enclosing sphere."""
        return self.inner.center

    @cached_property
    def radius(self) -> float:
        """Radius of the enclosing sphere."""
        return self.inner.radius + self.thickness_mm

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        """Return the field."""
        half = np.float32(self.thickness_mm / 2)
        shell: np.ndarray = np.abs(self.inner.value(points, margin_mm + self.thickness_mm) - half) - half
        return shell


def procedural_skull(
    sizes: dict[Vertebra, VertebraSize], rng: np.random.Generator, *, vault: bool = True, irregularity: float = 1.0
) -> tuple[Bone, ...]:
    """Return ``skull-base`` (with the face) and, if asked for, ``skull-vault``, in the frame of C1.

    Parameters
    ----------
    sizes
        The skull is scaled to C1, and its condyles fit C1's sockets.
    vault
        Whether to add the part more than 62 mm above C1.
    """
    c1 = sizes[Vertebra.C1]
    k = c1.total_width / C1_WIDTH_OF_LANDMARKS_MM
    k = 0.5 + 0.5 * k  # heads vary less than necks
    shape = irregular(_skull(c1, k, float(rng.normal(5.5, 0.7)) * k), rng, 0.9 * irregularity, 0.12 * irregularity)
    top = BASE_TOP_MM * k
    base_box = np.array([[-76, -106, -34], [76, 94, 0]]) * k
    base_box[1, 2] = top
    bones: list[Bone] = [SampledBone("skull-base", None, _Below(shape, top), BASE_SPACING_MM, base_box)]
    if vault:
        vault_box = np.array([[-76, -106, 0], [76, 94, 152]]) * k
        vault_box[0, 2] = top
        bones.append(SampledBone("skull-vault", None, _Above(shape, top), VAULT_SPACING_MM, vault_box))
    return tuple(bones)


@dataclass(frozen=True)
class _Below:
    inner: Solid
    top_mm: float

    @property
    def center(self) -> np.ndarray:
        return self.inner.center

    @property
    def radius(self) -> float:
        return self.inner.radius

    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        cut: np.ndarray = np.maximum(self.inner.value(points, margin_mm), points[:, 2] - np.float32(self.top_mm))
        return cut


@dataclass(frozen=True)
class _Above(_Below):
    def value(self, points: np.ndarray, margin_mm: float) -> np.ndarray:
        cut: np.ndarray = np.maximum(self.inner.value(points, margin_mm), np.float32(self.top_mm) - points[:, 2])
        return cut


def _skull(c1: VertebraSize, k: float, thickness: float) -> Solid:
    shell = Cut(Shell(_cavity(k), thickness), (_foramen_magnum(k),), 3.0)
    base = Union((*_central_base(k), *_lateral_base(k), *face_parts(k)), 3.0)
    hollow = Cut(Union((shell, base), 3.0), (_cavity(k), _foramen_magnum(k), *face_hollows(k)), 1.5)
    center, radii = condyle(c1)
    condyles = both(Ellipsoid(center, radii, CONDYLE_AXES))
    return Union((hollow, *_cut_below_brain(condyles, k)), 2.0)


def _cut_below_brain(condyles: tuple[Solid, Solid], k: float) -> tuple[Solid, ...]:
    return tuple(Cut(c, (_foramen_magnum(k), _cavity(k)), 1.5) for c in condyles)


def _cavity(k: float) -> Union:
    """Return the space of brain and medulla."""
    parts = (
        ellipsoid(k, (0, -4, 90), (65, 84, 52)),
        ellipsoid(k, (0, 34, 41), (52, 41, 30)),
        ellipsoid(k, (0, 6, 32), (17, 21, 20)),
        *both(ellipsoid(k, (41, -30, 52), (24, 31, 24))),
    )
    return Union(parts, 6.0 * k)


def _foramen_magnum(k: float) -> Ellipsoid:
    return ellipsoid(k, (0, FORAMEN_MAGNUM_Y_MM, 11), (15.2, 17.6, 17))


def _central_base(k: float) -> tuple[Solid, ...]:
    """Return clivus, sphenoid body, rim of the foramen magnum and the inion."""
    clivus = strip(k, ((0, -15.5, 15.5), (0, -24, 23), (0, -40, 40)), (10, 12, 15), (3.6, 5.5, 8.0), (1, 0, 0))
    sphenoid = ellipsoid(k, (0, -48, 41), (19, 16, 13), exponent=3.0)
    rim = [
        tube(k, ((15, -2, 13), (18.5, 9, 12.5), (12, 22, 11), (0, 26, 10.5)), (4, 3.4, 3, 3)),
        tube(k, ((-15, -2, 13), (-18.5, 9, 12.5), (-12, 22, 11), (0, 26, 10.5)), (4, 3.4, 3, 3)),
    ]
    inion = ellipsoid(k, (0, 76, 35), (9, 5, 6))
    crest = strip(k, ((0, 30, 9), (0, 55, 13.5), (0, 72, 27)), (1.5, 1.8, 2.2), (2.5, 3, 3.5), (1, 0, 0))
    return clivus, sphenoid, inion, crest, *rim


def _lateral_base(k: float) -> tuple[Solid, ...]:
    """Return petrous pyramids, mastoids, styloids, jugular parts and temporal floor of both sides."""
    parts: tuple[Solid, ...] = (
        tube(k, ((17, -24, 27), (32, -8, 28), (50, 8, 29)), (6, 8.5, 11)),
        ellipsoid(k, (53, 15, 13), (9, 12.5, 18)),
        tube(k, ((39, 0, 18), (36, -7, 2), (32, -15, -12)), (2.6, 1.8, 1.0)),
        tube(k, ((18, 0, 15), (34, 6, 17), (48, 14, 18)), (5, 5.5, 6)),
        strip(k, ((56, -8, 27), (63, -22, 25), (62, -40, 23), (50, -58, 22)), (4, 3, 3, 4.5), (4, 2.2, 2.2, 3)),
    )
    return tuple(s for part in parts for s in both(part))
