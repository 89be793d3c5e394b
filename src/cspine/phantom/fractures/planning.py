"""From a fracture and the bone that it breaks to breaks in the bone's own frame."""

from dataclasses import dataclass

import numpy as np

from cspine.phantom.fractures.breaks import Break, Breaks, Face, Fragment
from cspine.phantom.fractures.fracture import Fracture
from cspine.phantom.fractures.kinds import FractureType, Side
from cspine.phantom.fractures.severity import Amount, amount_of
from cspine.phantom.fractures.surfaces import sheet, tilted
from cspine.phantom.skeleton import Bone


@dataclass(frozen=True, eq=False)
class Plan:
    """What a fracture does to a bone, in its own frame."""

    breaks: Breaks
    amount: Amount


def side_of(fracture: Fracture) -> Side:
    """Return the side of a one-sided fracture."""
    if fracture.side is not None:
        return fracture.side
    return (Side.LEFT, Side.RIGHT)[int(_rng(fracture, 0).integers(2))]


def bone_name(fracture: Fracture) -> str:
    """Return the name of the bone that breaks."""
    other = {
        FractureType.SKULL_BASE: "skull-base",
        FractureType.FIRST_RIB: f"rib1-{side_of(fracture).value}",
        FractureType.CLAVICLE: f"clavicle-{side_of(fracture).value}",
    }
    return other.get(fracture.type, fracture.vertebra.name)


def plan_fracture(fracture: Fracture, bone: Bone) -> Plan:
    """Return how a fracture breaks a bone; depends on nothing but the two."""
    amount = amount_of(fracture, _rng(fracture, 1))
    rng = _rng(fracture, 2)
    middle = bone.bounds_mm.mean(axis=0) if bone.vertebra is None else np.zeros(3)
    surface = sheet(rng, fracture.family, middle, tilted(rng, (0.0, 1.0, 0.0), 15.0))
    move = np.eye(4)
    move[:3, 3] = surface.axes[2] * amount.shift_mm
    fragment = Fragment((Face(Break(surface, amount.gap_mm), -1),), move)
    return Plan(Breaks((), (fragment,)), amount)


def _rng(fracture: Fracture, stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(fracture.seed, spawn_key=(stream,)))


__all__ = ["Plan", "bone_name", "plan_fracture", "side_of"]
