"""Tissue classes of the phantom and their usual Hounsfield units."""

from enum import IntEnum

import numpy as np


class Tissue(IntEnum):
    """What fills a voxel. Bones (`CORTEX` … `METAL`) are painted by the renderer, all others by the soft tissue."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    DISC = 4
    CORD = 5
    CSF = 6
    AIRWAY = 7
    ARTERY = 8
    VEIN = 9
    THYROID = 10
    BRAIN = 11
    LUNG = 12
    LIGAMENT = 13
    GLAND = 14
    MUCOSA = 15
    OESOPHAGUS = 16
    TABLE = 17
    FOAM = 18
    PLASTIC = 19
    CORTEX = 20
    CANCELLOUS = 21
    TOOTH = 22
    CARTILAGE = 23
    METAL = 24


USUAL_HU: dict[Tissue, float] = {
    Tissue.AIR: -1000,
    Tissue.SKIN: 20,
    Tissue.FAT: -102,
    Tissue.MUSCLE: 58,
    Tissue.DISC: 98,
    Tissue.CORD: 40,
    Tissue.CSF: 12,
    Tissue.AIRWAY: -1000,
    Tissue.ARTERY: 42,
    Tissue.VEIN: 42,
    Tissue.THYROID: 105,
    Tissue.BRAIN: 36,
    Tissue.LUNG: -850,
    Tissue.LIGAMENT: 75,
    Tissue.GLAND: 25,
    Tissue.MUCOSA: 45,
    Tissue.OESOPHAGUS: 40,
    Tissue.TABLE: -150,
    Tissue.FOAM: -940,
    Tissue.PLASTIC: 80,
    Tissue.CORTEX: 1200,
    Tissue.CANCELLOUS: 250,
    Tissue.TOOTH: 2000,
    Tissue.CARTILAGE: 130,
    Tissue.METAL: 8000,
}


def hu_table(**overrides: float) -> np.ndarray:
    """Return float32 (256,) HU by class; keywords are class names in lower case, such as ``artery=280``."""
    table = np.full(256, USUAL_HU[Tissue.AIR], dtype=np.float32)
    for tissue, hu in USUAL_HU.items():
        table[tissue] = overrides.get(tissue.name.lower(), hu)
    return table


__all__ = ["USUAL_HU", "Tissue", "hu_table"]
