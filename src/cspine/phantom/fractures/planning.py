"""From a fracture and the bone that it breaks to breaks in the bone's own frame."""

from collections.abc import Callable

import numpy as np

from cspine.phantom.features.measure import landmarks
from cspine.phantom.fractures import recipes_arch as arch
from cspine.phantom.fractures import recipes_body as body
from cspine.phantom.fractures import recipes_other as other
from cspine.phantom.fractures import recipes_upper as upper
from cspine.phantom.fractures.fracture import Fracture
from cspine.phantom.fractures.kinds import FractureType, Side
from cspine.phantom.fractures.recipe import Cutter, Plan
from cspine.phantom.fractures.severity import amount_of
from cspine.phantom.skeleton import Bone

_T = FractureType
RECIPES: dict[FractureType, Callable[[Cutter], Plan]] = {
    _T.C1_ANTERIOR_ARCH: upper.c1_anterior_arch,
    _T.C1_POSTERIOR_ARCH: upper.c1_posterior_arch,
    _T.JEFFERSON: upper.jefferson,
    _T.LATERAL_MASS: upper.lateral_mass,
    _T.TRANSVERSE_PROCESS: arch.transverse_process,
    _T.DENS_I: upper.dens_i,
    _T.DENS_II: upper.dens_ii,
    _T.DENS_III: upper.dens_iii,
    _T.HANGMAN: upper.hangman,
    _T.C2_BODY: upper.c2_body,
    _T.EXTENSION_TEARDROP: body.extension_teardrop,
    _T.WEDGE: body.wedge,
    _T.BURST: body.burst,
    _T.FLEXION_TEARDROP: body.flexion_teardrop,
    _T.SAGITTAL_SPLIT: body.sagittal_split,
    _T.CORONAL_SPLIT: body.coronal_split,
    _T.UNCINATE: body.uncinate,
    _T.PEDICLE: arch.pedicle,
    _T.FACET: arch.facet,
    _T.FACET_SUBLUXATION: arch.facet_subluxation,
    _T.PILLAR: arch.pillar,
    _T.PILLAR_SUBLUXATION: arch.pillar_subluxation,
    _T.LAMINA: arch.lamina,
    _T.SPINOUS_PROCESS: arch.spinous_process,
    _T.TRANSDISCAL: arch.transdiscal,
    _T.SKULL_BASE: other.occipital_condyle,
    _T.FIRST_RIB: other.first_rib,
    _T.CLAVICLE: other.clavicle,
}
_SIDE, _AMOUNT, _PLACE = range(3)  # streams of random numbers


def side_of(fracture: Fracture) -> Side:
    """Return the side of a one-sided fracture."""
    if fracture.side is not None:
        return fracture.side
    return (Side.LEFT, Side.RIGHT)[int(_rng(fracture, _SIDE).integers(2))]


def bone_name(fracture: Fracture) -> str:
    """Return the name of the bone that breaks."""
    other_bones = {
        FractureType.SKULL_BASE: "skull-base",
        FractureType.FIRST_RIB: f"rib1-{side_of(fracture).value}",
        FractureType.CLAVICLE: f"clavicle-{side_of(fracture).value}",
    }
    return other_bones.get(fracture.type, fracture.vertebra.name)


def plan_fracture(fracture: Fracture, bone: Bone) -> Plan:
    """Return how a fracture breaks a bone; depends on nothing but the two.

    Parameters
    ----------
    bone
        Any signed distance in the own frame of its vertebra (see `skeleton`), from shapes, meshes or a mask.
    """
    cutter = Cutter(
        fracture,
        bone,
        landmarks(bone) if bone.vertebra is not None else None,
        amount_of(fracture, _rng(fracture, _AMOUNT)),
        side_of(fracture).sign,
        _rng(fracture, _PLACE),
    )
    return RECIPES[fracture.type](cutter)


def _rng(fracture: Fracture, stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(fracture.seed, spawn_key=(stream,)))


__all__ = ["RECIPES", "bone_name", "plan_fracture", "side_of"]
