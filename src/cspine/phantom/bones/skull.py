"""The skull in C1's frame: occiput on its condyles, base, vault, face. Landmarks are those of an average adult.

The cranial floor is a wall round the cavities of cerebrum, middle and posterior fossa; on it stand
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
BASE_SPACING_MM = 1.1
VAULT_SPACING_MM = 1.5
FORAMEN_MAGNUM_Y_MM = 5.7


@dataclass(frozen=True)
class Outgrown:
    """A solid grown by a thickness on all sides."""

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
        grown: np.ndarray = self.inner.value(points, margin_mm + self.thickness_mm) - np.float32(self.thickness_mm)
        return grown


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
    solid = _skull(c1, k, float(rng.normal(5.5, 0.7)) * k)
    shape = irregular(solid, rng, 0.8 * irregularity, 0.12 * irregularity, lengths_mm=(60.0, 150.0))
    top = BASE_TOP_MM * k
    # Both lattices reach over the seam, so that the union of the two bones has none.
    base_box = np.array([[-76 * k, -112 * k, -22 * k], [76 * k, 86 * k, top]])
    bones: list[Bone] = [SampledBone("skull-base", None, shape, BASE_SPACING_MM, base_box)]
    if vault:
        vault_box = np.array([[-76 * k, -112 * k, top], [76 * k, 86 * k, 160 * k]])
        bones.append(SampledBone("skull-vault", None, shape, VAULT_SPACING_MM, vault_box))
    return tuple(bones)


def _skull(c1: VertebraSize, k: float, thickness: float) -> Solid:
    cavity = _cavity(k)
    center, radii = condyle(c1)
    solid = Union(
        (*_central_base(k), *_lateral_base(k), *face_parts(k), *both(Ellipsoid(center, radii, CONDYLE_AXES))), 3.0
    )
    walls = Union((Outgrown(cavity, thickness), solid), 3.0)
    return Cut(walls, (cavity, _foramen_magnum(k), *face_hollows(k)), 1.5)


def _cavity(k: float) -> Union:
    """Return the space of brain and medulla."""
    parts = (
        ellipsoid(k, (0, -11, 92), (65, 84, 57)),
        ellipsoid(k, (0, 28, 46), (52, 42, 32)),
        ellipsoid(k, (0, 6, 33), (17, 21, 20)),
        *both(ellipsoid(k, (41, -38, 52), (24, 30, 24))),
    )
    return Union(parts, 14.0 * k)


def _foramen_magnum(k: float) -> Ellipsoid:
    return ellipsoid(k, (0, FORAMEN_MAGNUM_Y_MM, 11), (15.2, 17.6, 17))


def _central_base(k: float) -> tuple[Solid, ...]:
    """Return clivus, sphenoid body, rim of the foramen magnum and the inion."""
    clivus = strip(k, ((0, -15.5, 15.5), (0, -23, 24), (0, -36, 42)), (10, 12, 15), (3.6, 5.5, 8.0), (1, 0, 0))
    sphenoid = ellipsoid(k, (0, -50, 42), (19, 19, 14), exponent=3.0)
    side = tube(k, ((15, -2, 13.5), (18.5, 9, 13), (12, 22, 11.5), (0, 26, 11)), (4, 3.4, 3, 3))
    inion = ellipsoid(k, (0, 69, 40), (9, 5, 6))
    crest = strip(k, ((0, 28, 10.5), (0, 50, 17), (0, 66, 33)), (1.5, 1.8, 2.2), (2.5, 3, 3.5), (1, 0, 0))
    return clivus, sphenoid, inion, crest, *both(side)


def _lateral_base(k: float) -> tuple[Solid, ...]:
    """Return petrous pyramids, mastoids, styloids, jugular parts and zygomatic arches of both sides."""
    parts: tuple[Solid, ...] = (
        tube(k, ((17, -26, 28), (32, -13, 29), (50, 0, 30)), (6, 8.5, 11)),
        ellipsoid(k, (53, 7, 13), (9, 12.5, 18)),
        tube(k, ((39, -6, 18), (37, -12, 2), (33, -19, -12)), (2.6, 1.8, 1.0)),
        tube(k, ((18, 0, 15), (34, 3, 17), (48, 7, 18)), (5, 5.5, 6)),
        strip(k, ((56, -16, 27), (64, -30, 25), (63, -48, 23), (50, -66, 22)), (4, 3, 3, 4.5), (4, 2.2, 2.2, 3)),
    )
    return tuple(s for part in parts for s in both(part))
