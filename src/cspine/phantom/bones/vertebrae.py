"""Put the vertebrae C1 … T8 of one person together, each fitted to its neighbors."""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.arch import Fit
from cspine.phantom.bones.c1 import atlas
from cspine.phantom.bones.c2 import axis
from cspine.phantom.bones.combine import irregular
from cspine.phantom.bones.primitives import Solid
from cspine.phantom.bones.sampled import SampledBone
from cspine.phantom.bones.sizes import VertebraSize
from cspine.phantom.bones.stacking import joint_above, joint_below
from cspine.phantom.bones.subaxial import bevel_for, subaxial
from cspine.phantom.bones.thoracic import thoracic
from cspine.phantom.skeleton import Bone

SPACING_MM = 0.6
BEND_MM = 0.35
ROUGH_MM = 0.10
FORAMEN_ASYMMETRY = 0.08
BIFID_CHANCE = {Vertebra.C2: 1.0, Vertebra.C3: 0.85, Vertebra.C4: 0.9, Vertebra.C5: 0.85, Vertebra.C6: 0.5}


def procedural_vertebrae(
    sizes: dict[Vertebra, VertebraSize], rng: np.random.Generator, *, irregularity: float = 1.0
) -> dict[Vertebra, Bone]:
    """Return the bones C1 … T8.

    Parameters
    ----------
    sizes
        From `sample_vertebra_sizes`, maybe edited (wedged, with osteophytes).
    rng
        Draws the individual shape: bend, roughness, bifid spines, twisted processes, unequal foramina.
    irregularity
        Factor of all that; 0 gives symmetric, smooth bones.
    """
    bones: dict[Vertebra, Bone] = {}
    for vertebra in sizes:
        solid = _solid(sizes, vertebra, rng, irregularity)
        solid = irregular(solid, rng, BEND_MM * irregularity, ROUGH_MM * irregularity)
        bones[vertebra] = SampledBone(vertebra.name, vertebra, solid, SPACING_MM)
    return bones


def _solid(
    sizes: dict[Vertebra, VertebraSize], vertebra: Vertebra, rng: np.random.Generator, irregularity: float
) -> Solid:
    size = sizes[vertebra]
    spread = FORAMEN_ASYMMETRY * irregularity
    left, right = (float(np.clip(rng.normal(1, spread), 0.7, 1.3)) * size.foramen_diameter for _ in range(2))
    if vertebra is Vertebra.C1:
        return atlas(size, sizes[Vertebra.C2], (left, right))
    fit = _fit(sizes, vertebra, rng, irregularity)
    if vertebra is Vertebra.C2:
        return axis(size, fit, (left, right))
    if vertebra.is_cervical:
        return subaxial(size, fit, (left, right))
    return thoracic(size, fit)


def _fit(sizes: dict[Vertebra, VertebraSize], vertebra: Vertebra, rng: np.random.Generator, irregularity: float) -> Fit:
    size = sizes[vertebra]
    below = joint_below(size)
    upper = sizes[Vertebra(vertebra - 1)]
    above = below if vertebra is Vertebra.C2 else joint_above(upper, size)
    lower = sizes.get(Vertebra(vertebra + 1))
    split = rng.random() < BIFID_CHANCE.get(vertebra, 0.0)
    depth = float(np.clip(rng.normal(0.75, 0.15 * irregularity), 0.35, 1.0))
    return Fit(
        above,
        below,
        bevel=0.0 if lower is None else bevel_for(size, lower),
        bifid=depth if split else 0.0,
        twist=float(rng.normal(0, 1.2)) * irregularity,
    )
