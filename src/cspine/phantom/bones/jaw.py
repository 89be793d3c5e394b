"""Mandible (frame of C1), hyoid, thyroid and cricoid cartilage (frame of C4)."""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.combine import Cut, Union, both, irregular
from cspine.phantom.bones.landmarks import ellipsoid, strip, tube
from cspine.phantom.bones.primitives import Solid
from cspine.phantom.bones.sampled import SampledBone
from cspine.phantom.bones.sizes import VertebraSize
from cspine.phantom.bones.skull import C1_WIDTH_OF_LANDMARKS_MM
from cspine.phantom.skeleton import Bone

# Half of the lower dental arch: (x, y) of the teeth's middles from the incisor backwards, and their half widths.
_TEETH = (
    (2.8, -92.0, 2.4), (8.2, -90.5, 2.7), (13.6, -87.0, 3.2), (17.6, -81.5, 3.3), (20.2, -75.0, 3.4),
    (22.6, -66.5, 4.6), (24.8, -57.0, 4.6),
)  # fmt: skip
SPINE_PITCH_MM = 16.5


def procedural_jaw_and_larynx(
    sizes: dict[Vertebra, VertebraSize], rng: np.random.Generator, *, irregularity: float = 1.0
) -> tuple[Bone, ...]:
    """Return ``mandible`` and ``teeth`` in the frame of C1, ``hyoid``, ``thyroid`` and ``cricoid`` in that of C4.

    Upper and lower teeth are one bone, since both are of enamel and dentine; some are missing at random.
    """
    k = 0.5 + 0.5 * sizes[Vertebra.C1].total_width / C1_WIDTH_OF_LANDMARKS_MM
    low = k * (sizes[Vertebra.C4].height + sizes[Vertebra.C4].disc_below) / SPINE_PITCH_MM
    shapes: dict[str, tuple[Solid, float]] = {
        "mandible": (_mandible(k), 0.8),
        "teeth": (_teeth(k, rng), 0.7),
        "hyoid": (_hyoid(low), 0.6),
        "thyroid": (_thyroid(low), 0.6),
        "cricoid": (_cricoid(low), 0.6),
    }
    return tuple(
        SampledBone(name, None, irregular(solid, rng, 0.6 * irregularity, 0.08 * irregularity), spacing)
        for name, (solid, spacing) in shapes.items()
    )


def _mandible(k: float) -> Solid:
    body = strip(
        k,
        ((45, -42, -25), (37, -58, -29), (28, -76, -33), (15, -91, -36), (0, -96, -37)),
        (11, 12, 12.5, 13, 13.5),
        (4.5, 5, 5.2, 5.5, 6),
        (0, 0.1, 1),
    )
    ramus = strip(k, ((45.5, -40, -22), (48, -35, 0), (50, -34, 14)), (16, 14, 12), (3.6, 3.2, 2.8), (0, 1, 0))
    neck = tube(k, ((49.5, -26, 8), (50, -23, 20)), (3.6, 4.2))
    head = ellipsoid(k, (50, -22.5, 22), (8.5, 4.2, 4.0))
    coronoid = tube(k, ((49, -46, 10), (48, -49, 21)), (4.0, 2.2))
    chin = ellipsoid(k, (0, -99, -45), (12, 5, 6))
    parts = tuple(s for part in (body, ramus, neck, head, coronoid) for s in both(part))
    notch = tuple(both(ellipsoid(k, (50, -36.5, 24), (8, 7.5, 11))))
    return Cut(Union((*parts, chin), 3.0), notch, 2.0)


def _teeth(k: float, rng: np.random.Generator) -> Solid:
    parts: list[Solid] = []
    for x, y, half in _TEETH:
        for side in (1, -1):
            if rng.random() < 0.93:
                parts.append(_tooth(k, (side * x, y, -22.0), half, -11.0))
            if rng.random() < 0.93:
                parts.append(_tooth(k, (side * x * 1.04, y - 2.0, -8.5), half, 11.0))
    return Union(tuple(parts), 0.3)


def _tooth(k: float, crown: tuple[float, float, float], half: float, root: float) -> Solid:
    x, y, z = crown
    deep = 4.6 if half > 4 else 3.4
    top = ellipsoid(k, (x, y, z), (half, deep, 4.2), exponent=3.0)
    return Union((top, tube(k, ((x, y, z), (x, y + 1.0, z + root)), (0.75 * half, 0.35 * half))), 1.0)


def _hyoid(k: float) -> Solid:
    body = strip(k, ((-10, -44, 8), (0, -47, 7.5), (10, -44, 8)), (4.6, 5.2, 4.6), (2.4, 2.6, 2.4))
    horn = tube(k, ((10, -44, 8), (18, -32, 10), (22, -16, 13)), (3.0, 2.2, 2.0))
    lesser = tube(k, ((11, -43, 10), (13, -39, 17)), (1.9, 1.1))
    return Union((body, *both(horn), *both(lesser)), 1.5)


def _thyroid(k: float) -> Solid:
    plate = strip(k, ((0.5, -46, -21), (12, -32, -18), (20, -16, -16)), (9, 12, 13), (1.6, 1.5, 1.6), (0, 0.15, 1))
    upper = tube(k, ((20, -15, -5), (20.5, -13, 8)), (2.0, 1.6))
    lower = tube(k, ((20, -15, -27), (16.5, -15, -37)), (2.0, 1.6))
    notch = ellipsoid(k, (0, -46, -7), (5, 9, 8))
    return Cut(Union(tuple(s for part in (plate, upper, lower) for s in both(part)), 1.5), (notch,), 1.0)


def _cricoid(k: float) -> Solid:
    front = strip(k, ((0, -34, -41), (9, -31, -40), (13, -22.5, -38), (9, -14.5, -34), (0, -11.5, -32)),
                  (3.4, 4, 6, 10, 11), (1.8, 1.8, 1.9, 2.2, 2.3))  # fmt: skip
    return Union(both(front), 1.0)
