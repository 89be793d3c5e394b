"""What bones are made of: thickness and Hounsfield units of cortex and spongy bone, by name of the bone."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.skeleton import Bone, PlacedBone

# Name prefix: cortex in mm, HU of the cortex, HU inside, for an average adult; first match counts.
_MATERIALS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("tooth", (2.0, 2300.0, 1700.0)),
    ("teeth", (2.0, 2300.0, 1700.0)),
    ("skull", (1.6, 1450.0, 420.0)),
    ("jaw", (1.9, 1500.0, 380.0)),
    ("mandible", (1.9, 1500.0, 380.0)),
    ("hyoid", (0.8, 700.0, 220.0)),
    ("thyroid", (0.5, 260.0, 130.0)),
    ("cricoid", (0.5, 300.0, 140.0)),
    ("arytenoid", (0.5, 220.0, 130.0)),
    ("clavicle", (1.6, 1300.0, 260.0)),
    ("scapula", (1.0, 1050.0, 230.0)),
    ("humerus", (1.8, 1300.0, 200.0)),
    ("sternum", (0.7, 800.0, 160.0)),
    ("manubrium", (0.7, 800.0, 160.0)),
    ("rib", (0.8, 950.0, 170.0)),
    ("ossicle", (0.7, 1150.0, 380.0)),
    ("ossified", (0.9, 1100.0, 620.0)),
)
_OTHER = (1.0, 1000.0, 250.0)
# Cortex and insides of vertebrae at the body: a dense ring at C1, spongy bodies below.
_ATLAS, _AXIS, _CERVICAL, _THORACIC = (
    (1.6, 1450.0, 380.0),
    (0.95, 1350.0, 380.0),
    (0.6, 1250.0, 340.0),
    (0.5, 1150.0, 250.0),
)
# The posterior wall of the bodies lies 7–9 mm behind their centers; the arch begins there.
_BEHIND_BODY_MM = (5.0, 5.0)
_ARCH_THICKER, _ARCH_DENSER = 1.3, 0.15


@dataclass(frozen=True)
class BoneDensity:
    """Bone of one person relative to an average adult.

    Attributes
    ----------
    cortex_thickness, cortex_hu, cancellous_hu
        Factors, 1.0 is average; spongy bone fades first in osteoporosis.
    """

    cortex_thickness: float = 1.0
    cortex_hu: float = 1.0
    cancellous_hu: float = 1.0


def sample_density(rng: np.random.Generator, age: float) -> BoneDensity:
    """Draw the bone of a person of some age in years; spongy bone loses about 1 % a year after forty."""
    loss = max(0.0, age - 40.0) / 100.0
    return BoneDensity(
        float(np.clip(rng.normal(1.05 - 0.4 * loss, 0.12), 0.7, 1.4)),
        float(np.clip(rng.normal(1.0 - 0.2 * loss, 0.06), 0.75, 1.15)),
        float(np.clip(rng.normal(1.06 - 0.9 * loss, 0.17), 0.4, 1.45)),
    )


def material_of(bone: Bone, density: BoneDensity) -> tuple[float, float, float]:
    """Return thickness (mm) and HU of the cortex and HU of the inside of a bone."""
    thickness, shell, inside = _average(bone)
    if bone.name.startswith(("tooth", "teeth", "thyroid", "cricoid", "arytenoid")):
        return thickness, shell, inside
    return thickness * density.cortex_thickness, shell * density.cortex_hu, inside * density.cancellous_hu


def cortex_at(placed: PlacedBone, own_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return thickness (mm) and HU of the cortex at places (N, 3) of the own frame.

    Arches, facets and processes have a thicker and denser shell than bodies, where it is a fraction of a millimetre.
    """
    if placed.bone.vertebra is None or placed.bone.vertebra == Vertebra.C1:
        behind = np.zeros(len(own_mm), dtype=np.float32)
    else:
        start, width = _BEHIND_BODY_MM
        behind = np.clip((own_mm[:, 1] - start) / width, 0, 1).astype(np.float32)
    return placed.cortex_mm * (1 + _ARCH_THICKER * behind), placed.cortex_hu * (1 + _ARCH_DENSER * behind)


def _average(bone: Bone) -> tuple[float, float, float]:
    if bone.vertebra is None:
        return next((m for prefix, m in _MATERIALS if bone.name.startswith(prefix)), _OTHER)
    if bone.vertebra <= Vertebra.C2:
        return _ATLAS if bone.vertebra == Vertebra.C1 else _AXIS
    return _CERVICAL if bone.vertebra.is_cervical else _THORACIC
