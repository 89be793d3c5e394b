"""Manubrium, clavicles, shoulder blades and heads of the humeri, in the frame of T1, simplified; arms hang down."""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.combine import Cut, Mirrored, Union, irregular
from cspine.phantom.bones.landmarks import ellipsoid, strip, tube
from cspine.phantom.bones.primitives import Solid
from cspine.phantom.bones.sampled import SampledBone, SolidBone
from cspine.phantom.bones.sizes import VertebraSize
from cspine.phantom.skeleton import Bone

T1_WIDTH_OF_LANDMARKS_MM = 71.0


def procedural_girdle(
    sizes: dict[Vertebra, VertebraSize], rng: np.random.Generator, *, irregularity: float = 1.0
) -> tuple[Bone, ...]:
    """Return ``manubrium`` and, for each side, ``clavicle``, ``scapula`` and ``humerus``, in the frame of T1.

    Each pair gets its own height: shoulders are drawn down or shrugged by up to about 2 cm.
    """
    k = 0.5 + 0.5 * sizes[Vertebra.T1].total_width / T1_WIDTH_OF_LANDMARKS_MM
    bones: list[Bone] = [SampledBone("manubrium", None, irregular(_manubrium(k), rng, irregularity, 0.15), 1.0)]
    common = float(rng.normal(0, 7)) * irregularity
    for side in ("left", "right"):
        rise = float(np.clip(common + rng.normal(0, 3) * irregularity, -18, 18))
        for name, solid in _left_shoulder(k, rise).items():
            shape: Solid = irregular(solid, rng, 1.5 * irregularity, 0.12 * irregularity, lengths_mm=(90.0, 180.0))
            shape = Mirrored(shape) if side == "right" else shape
            bones.append(SolidBone(f"{name}-{side}", None, shape))
    return tuple(bones)


def _manubrium(k: float) -> Solid:
    plate = strip(k, ((0, -63, -34), (0, -72, -80)), (29, 15), (5.5, 5), (1, 0, 0))
    notches = (ellipsoid(k, (0, -62, -28), (12, 12, 8)), ellipsoid(k, (27, -62, -30), (9, 12, 8)),
               ellipsoid(k, (-27, -62, -30), (9, 12, 8)))  # fmt: skip
    return Cut(plate, notches, 3.0)


def _left_shoulder(k: float, rise: float) -> dict[str, Solid]:
    r = rise / k
    clavicle = tube(
        k,
        ((24, -66, -22), (45, -68, -16 + 0.2 * r), (75, -58, -7 + 0.5 * r), (105, -34, -1 + 0.8 * r),
         (132, -14, 1 + r), (148, -14, 0 + r)),
        (9.5, 6.5, 5.6, 5.4, 6.0, 5.5),
    )  # fmt: skip
    blade = strip(
        k, ((72, 62, -75 + r), (108, 40, -62 + r), (130, 16, -40 + r)), (62, 42, 16), (1.8, 2.6, 7), (0.1, 0.1, 1)
    )
    spine = strip(k, ((76, 66, -35 + r), (120, 46, -12 + r), (152, 10, -4 + r)), (5, 10, 9), (3, 3, 4.5), (0, 0.8, 0.6))
    coracoid = tube(k, ((128, 2, -28 + r), (124, -18, -20 + r), (128, -28, -26 + r)), (7, 5.5, 5))
    head = ellipsoid(k, (157, 0, -40 + r), (23, 23, 23))
    shaft = tube(k, ((160, 0, -48 + r), (168, 2, -90 + r), (170, 2, -170 + r)), (20, 13, 11.5))
    return {
        "clavicle": clavicle,
        "scapula": Union((blade, spine, coracoid), 6.0),
        "humerus": Union((head, shaft), 8.0),
    }
