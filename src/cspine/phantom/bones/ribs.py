"""Ribs 1 … 6, each in the frame of its own vertebra."""

import numpy as np
from scipy.interpolate import CubicSpline

from cspine.domain import Vertebra
from cspine.phantom.bones.combine import Mirrored, Union, irregular
from cspine.phantom.bones.primitives import Ellipsoid, Solid, Strip, Tube, Vector
from cspine.phantom.bones.sampled import SolidBone
from cspine.phantom.bones.sizes import VertebraSize
from cspine.phantom.bones.thoracic import RIB_HEAD_RADIUS_MM, TIP_RADIUS_MM, rib_head_center, transverse_tip
from cspine.phantom.skeleton import Bone

RIB_LEVELS = (Vertebra.T1, Vertebra.T2, Vertebra.T3, Vertebra.T4, Vertebra.T5, Vertebra.T6)
PIECES = 22

# Course beyond the tubercle of a rib of an average adult: points (x, y, z) in mm from the center of the body.
_COURSES: dict[Vertebra, tuple[Vector, ...]] = {
    Vertebra.T1: ((45, 11, 3), (55, -3, -2), (56, -21, -9), (48, -38, -18), (34, -51, -27)),
    Vertebra.T2: ((52, 20, 2), (69, 4, -6), (76, -22, -18), (70, -52, -36), (52, -76, -54), (36, -86, -62)),
    Vertebra.T3: ((55, 26, 0), (78, 10, -10), (91, -22, -26), (87, -60, -48), (67, -90, -70), (46, -103, -80)),
    Vertebra.T4: ((57, 31, -1), (86, 14, -12), (103, -22, -31), (101, -66, -58), (80, -101, -84), (55, -117, -96)),
    Vertebra.T5: ((58, 34, -2), (91, 17, -14), (112, -22, -35), (111, -70, -66), (90, -110, -96), (64, -127, -110)),
    Vertebra.T6: ((58, 36, -3), (94, 19, -16), (118, -22, -39), (118, -73, -73), (98, -115, -106), (72, -134, -122)),
}


def procedural_ribs(
    sizes: dict[Vertebra, VertebraSize],
    rng: np.random.Generator,
    levels: tuple[Vertebra, ...] = RIB_LEVELS,
    *,
    irregularity: float = 1.0,
) -> tuple[Bone, ...]:
    """Return left and right ribs, named ``rib1-left`` and so on, in the frame of the vertebra of that number.

    Parameters
    ----------
    sizes
        Of the vertebrae that the ribs hang on.
    levels
        Which of T1 … T6 get ribs.
    """
    bones: list[Bone] = []
    for level in levels:
        size = sizes[level]
        wide = float(rng.normal(1.0, 0.03 * irregularity))
        for side in ("left", "right"):
            bend, rough = 1.2 * irregularity, 0.12 * irregularity
            neck = _attachment(size)[2]
            shape = irregular(_rib(size, wide), rng, bend, rough, lengths_mm=(90.0, 180.0), anchor=neck)
            solid: Solid = Mirrored(shape) if side == "right" else shape
            bones.append(SolidBone(f"rib{level - Vertebra.T1 + 1}-{side}", None, solid))
    return tuple(bones)


def rib_vertebra(name: str) -> Vertebra:
    """Return the vertebra in whose frame a rib such as ``rib3-left`` lives."""
    return Vertebra(Vertebra.T1 + int(name.removeprefix("rib").split("-")[0]) - 1)


def _rib(size: VertebraSize, wide: float) -> Solid:
    first = size.vertebra is Vertebra.T1
    head, tubercle, neck = _attachment(size)
    k = size.total_width / (69.0 if first else 60.0) * 0.5 + 0.5
    course = [(x * k * wide, y * k, z * k) for x, y, z in _COURSES[size.vertebra]]
    line = _smooth([head, neck, tubercle, *course])
    flat, tall = (2.5, 7.2) if first else (3.2, 6.2)
    part = np.linspace(0, 1, len(line))
    grow = np.clip((part - 0.05) / 0.35, 0, 1)
    vertical = np.where(grow < 1, 3.2 + grow * ((flat if first else tall) - 3.2), flat if first else tall)
    across = np.where(grow < 1, 3.0 + grow * ((tall if first else flat) - 3.0), tall if first else flat)
    pieces: tuple[Solid, ...] = tuple(
        Strip((line[i], line[i + 1]), _pair(vertical, i), _pair(across, i)) for i in range(len(line) - 1)
    )
    ball = Ellipsoid(head, (RIB_HEAD_RADIUS_MM - 0.6,) * 3)
    knob = Tube((tubercle, (tubercle[0], tubercle[1] + 1.5, tubercle[2])), (3.6, 3.2))
    return Union((Union(pieces, 0.3), ball, knob), 1.2)


def _attachment(size: VertebraSize) -> tuple[Vector, Vector, Vector]:
    """Return head, tubercle (in front of the transverse process) and neck."""
    head = rib_head_center(size)
    tx, ty, tz = transverse_tip(size)
    gap = 1.8
    tubercle = (tx + 0.5, ty - TIP_RADIUS_MM - 3.6 - 1.5 - gap, tz)
    neck = tuple(0.5 * (a + b) for a, b in zip(head, tubercle, strict=True))
    return head, tubercle, (neck[0], neck[1] - 0.3, neck[2])


def _smooth(points: list[Vector]) -> list[Vector]:
    array = np.asarray(points)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(array, axis=0), axis=1))])
    # Denser where the rib bends most: near the spine.
    where = np.linspace(0, 1, PIECES + 1) ** 1.3 * length[-1]
    return [(float(x), float(y), float(z)) for x, y, z in CubicSpline(length, array)(where)]


def _pair(values: np.ndarray, i: int) -> tuple[float, float]:
    return float(values[i]), float(values[i + 1])
