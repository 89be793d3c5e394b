"""Where bones come from: procedural shapes, or a folder of meshes with procedural shapes for what it lacks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from cspine.domain import CERVICAL, ConfigError, Vertebra
from cspine.phantom.bones import (
    VertebraSize,
    neutral_offset_mm,
    procedural_girdle,
    procedural_jaw_and_larynx,
    procedural_ribs,
    procedural_skull,
    procedural_vertebrae,
    rib_vertebra,
    sample_vertebra_sizes,
)
from cspine.phantom.discs import Discs
from cspine.phantom.mesh import LatticeBone, Surface, bone_of, read_obj
from cspine.phantom.mesh_frames import own_frame
from cspine.phantom.skeleton import Bone

PROCEDURAL = "procedural"
_WITH_SKULL = ("mandible", "teeth")
# Folders of meshes that must never train anything: by name, and by a file that only they have.
EVALUATION_ONLY = ("umtri-cspine",)
_EVALUATION_ONLY_FILE = "C1_mean.obj"

# UMTRI's meshes look to the back along x and to the right along y.
_UMTRI_TO_LPS = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])

# Width (x) and depth (y) of the bounding boxes of 38 women (UMTRI 2017, CT) in the own frame, mm.
_WOMEN_WIDTH_MM = {1: 73.4, 2: 50.4, 3: 49.9, 4: 51.7, 5: 52.7, 6: 52.1, 7: 60.0}
_WOMEN_DEPTH_MM = {1: 42.8, 2: 46.1, 3: 40.2, 4: 39.2, 5: 42.6, 6: 45.8, 7: 55.6}
# Height of C1 in its own frame, of C2 from lower endplate to tip, and of the bodies in the middle (UMTRI 2017), mm.
_WOMEN_HEIGHT_MM = {1: 22.5, 2: 41.2, 3: 12.4, 4: 12.0, 5: 11.5, 6: 11.5, 7: 12.5}
# Distance of neighbouring body centers, mean of men and women (VerSe20, n = 26), mm.
_SPACING_MM = {Vertebra.C3: 16.0, Vertebra.C4: 16.1, Vertebra.C5: 16.1, Vertebra.C6: 17.4}
_DISC_MM = (3.2, 7.0)  # height in the middle of a healthy disc, endplates being hollow
_AXIS_DISC_MM = 4.8
LOWEST_BONE = Vertebra.T8
_THROAT = ("hyoid", "thyroid", "cricoid")
MEAN_SCALE = {True: 0.96, False: 1.04}  # size of women and men relative to the average adult


@dataclass(frozen=True, eq=False)
class Attached:
    """A bone other than a vertebra, and the vertebra whose frame it is given in.

    Attributes
    ----------
    scale
        (3,) factors along the own axes.
    """

    bone: Bone
    frame: Vertebra
    scale: np.ndarray


@dataclass(frozen=True)
class Joint:
    """A healthy disc in the neutral posture.

    Attributes
    ----------
    down_mm
        From the upper origin down to the disc.
    up_mm
        From the lower origin up to the disc.
    disc_mm
        Height of the disc.
    back_mm
        By how much the lower origin lies behind the upper one.
    """

    down_mm: float
    up_mm: float
    disc_mm: float
    back_mm: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Bones of one person before they are put into a posture.

    Attributes
    ----------
    scales
        (3,) factors along the own axes of every vertebra C1 … T8.
    joints
        The disc below C2 … T7.
    """

    vertebrae: dict[Vertebra, Bone]
    scales: dict[Vertebra, np.ndarray]
    joints: dict[Vertebra, Joint]
    attached: tuple[Attached, ...]

    @property
    def by_name(self) -> dict[str, Bone]:
        """All bones by their names."""
        return {bone.name: bone for bone in (*self.vertebrae.values(), *(a.bone for a in self.attached))}


def is_evaluation_only(anatomy: str) -> bool:
    """Return whether bones of this source may be used for evaluation but never for training."""
    if anatomy == PROCEDURAL:
        return False
    return Path(anatomy).name in EVALUATION_ONLY or (Path(anatomy) / _EVALUATION_ONLY_FILE).exists()


def procedural_anatomy(*, female: bool, scale: float, discs: Discs, rng: np.random.Generator) -> Anatomy:
    """Return all bones from measured dimensions, with osteophytes where discs are worn."""
    healthy = sample_vertebra_sizes(rng, female=female, scale=scale / MEAN_SCALE[female])
    sizes = {v: size if v == Vertebra.C1 else replace(size, osteophyte=discs.spur_mm(v)) for v, size in healthy.items()}
    bones = procedural_vertebrae(sizes, rng)
    joints = {upper: _procedural_joint(sizes, upper) for upper in bones if Vertebra.C2 <= upper < LOWEST_BONE}
    return Anatomy(bones, {v: np.ones(3) for v in bones}, joints, _attached(sizes, rng))


def mesh_anatomy(folder: str, *, female: bool, scale: float, discs: Discs, rng: np.random.Generator) -> Anatomy:
    """Return the cervical vertebrae of a folder of meshes, scaled to real sizes with some spread; the rest procedural.

    Raises
    ------
    ConfigError
        The folder lacks one of C1 … C7.
    """
    rest = procedural_anatomy(female=female, scale=scale, discs=discs, rng=rng)
    meshes = mesh_vertebrae(str(Path(folder).resolve()))
    size = scale / MEAN_SCALE[True] * rng.normal(1, 0.015, 3)
    scales = dict(rest.scales)
    for vertebra, bone in meshes.items():
        scales[vertebra] = size * rng.normal(1, (0.025, 0.03, 0.045), 3) * _to_women(vertebra, bone)
    joints = dict(rest.joints)
    for upper in CERVICAL[1:-1]:
        joints[upper] = _mesh_joint(meshes, scales, upper, scale)
    last = Vertebra.C7
    joints[last] = replace(joints[last], down_mm=_body_reach(meshes[last], -1.0) * float(scales[last][2]))
    return Anatomy({**rest.vertebrae, **meshes}, scales, joints, rest.attached)


def _attached(sizes: dict[Vertebra, VertebraSize], rng: np.random.Generator) -> tuple[Attached, ...]:
    """Return ribs, girdle, skull, jaw and larynx in the frames that they hang on."""
    hung = [(bone, rib_vertebra(bone.name)) for bone in procedural_ribs(sizes, rng)]
    hung += [(bone, Vertebra.T1) for bone in procedural_girdle(sizes, rng)]
    hung += [(bone, Vertebra.C1) for bone in procedural_skull(sizes, rng)]
    for bone in procedural_jaw_and_larynx(sizes, rng):
        hung.append((bone, Vertebra.C1 if bone.name in _WITH_SKULL else Vertebra.C4))
    return tuple(Attached(bone, frame, np.ones(3)) for bone, frame in hung)


def _procedural_joint(sizes: dict[Vertebra, VertebraSize], upper: Vertebra) -> Joint:
    one, two = sizes[upper], sizes[Vertebra(upper + 1)]
    offset = neutral_offset_mm(one, two)
    down, up = one.height / 2, two.height / 2
    return Joint(down, up, -offset[2] - down - up, offset[1])


def _mesh_joint(
    meshes: dict[Vertebra, LatticeBone], scales: dict[Vertebra, np.ndarray], upper: Vertebra, scale: float
) -> Joint:
    lower = Vertebra(upper + 1)
    down = _body_reach(meshes[upper], -1.0) * float(scales[upper][2])
    up = _body_reach(meshes[lower], 1.0) * float(scales[lower][2])
    if upper not in _SPACING_MM:
        return Joint(down, up, _AXIS_DISC_MM * scale, 0.0)
    disc = float(np.clip(_SPACING_MM[upper] * scale - down - up, *_DISC_MM))
    return Joint(down, up, disc, 0.0)


def _to_women(vertebra: Vertebra, bone: LatticeBone) -> np.ndarray:
    """Return the factors (3,) that bring a mesh to the mean size of women, without distorting it much."""
    extent = bone.bounds_mm[1] - bone.bounds_mm[0]
    height = {Vertebra.C1: extent[2], Vertebra.C2: bone.bounds_mm[1, 2] + _body_reach(bone, -1.0)}.get(
        vertebra, _body_reach(bone, 1.0) + _body_reach(bone, -1.0)
    )
    k = int(vertebra)
    factors = np.array([_WOMEN_WIDTH_MM[k] / extent[0], _WOMEN_DEPTH_MM[k] / extent[1], _WOMEN_HEIGHT_MM[k] / height])
    middle = np.exp(np.log(factors).mean())
    limited: np.ndarray = np.clip(factors, 0.88 * middle, 1.14 * middle)
    return limited


def _body_reach(bone: Bone, direction: float) -> float:
    """Return how far the vertebral body reaches up (+1) or down (−1) from the origin, median over its middle, mm."""
    return float(np.median([body_edge(bone, y, direction) for y in (-3.0, -1.5, 0.0, 1.5, 3.0)]))


def body_edge(bone: Bone, y_mm: float, direction: float) -> float:
    """Return the distance from the origin's height to the first free place above or below, mm, at (0, y)."""
    z = np.arange(0.0, 25.0, 0.2)
    line = np.stack([np.zeros_like(z), np.full_like(z, y_mm), direction * z], axis=1).astype(np.float32)
    free = np.flatnonzero(bone.distance_mm(line) > 0)
    return float(z[free[0]]) if free.size else float(z[-1])


@lru_cache(maxsize=4)
def mesh_vertebrae(folder: str) -> dict[Vertebra, LatticeBone]:
    """Read C1 … C7 from a folder into their own frames; kept for the life of the process."""
    bones = {}
    for vertebra in CERVICAL:
        surface = _vertebra_surface(Path(folder), vertebra)
        bones[vertebra] = bone_of(surface.moved(own_frame(surface, vertebra)), vertebra.name, vertebra)
    return bones


def _vertebra_surface(folder: Path, vertebra: Vertebra) -> Surface:
    sources: tuple[tuple[str, Callable[[Surface], Surface]], ...] = (
        (f"{vertebra.name}.obj", lambda s: s),
        (f"{vertebra.name}_mean.obj", lambda s: s.moved(_UMTRI_TO_LPS)),
    )
    for name, to_lps in sources:
        if (folder / name).exists():
            return to_lps(read_obj(folder / name)).outward()
    raise ConfigError(f"{folder}: no mesh of {vertebra.name} ({' or '.join(n for n, _ in sources)})")
