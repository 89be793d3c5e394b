"""One person's soft tissue: what varies between patients."""

from dataclasses import dataclass
from enum import Enum

import numpy as np


class Contrast(Enum):
    """Iodine in the vessels."""

    NONE = "none"
    ARTERIAL = "arterial"
    VENOUS = "venous"


class Table(Enum):
    """What the patient lies on."""

    NONE = "none"
    FLAT = "flat"
    CURVED = "curved"


class Immobilizer(Enum):
    """What keeps the head still."""

    NONE = "none"
    CRADLE = "cradle"
    BLOCKS = "blocks"


@dataclass(frozen=True)
class Body:
    """One person's soft tissue and how they lie in the scanner; size comes from ``Skeleton.scale``.

    Attributes
    ----------
    fat_mm
        Subcutaneous fat at the side of the neck.
    muscle
        Factor of all muscle diameters.
    fatty_muscle
        0 … 1, how much fat is woven into the muscles.
    muscle_hu, fat_hu
        Mean values.
    contrast, artery_hu, vein_hu
        Iodine phase, and the value of the blood.
    airway
        Factor of airway diameters.
    prevertebral
        Factor of the thickness of prevertebral tissue.
    shoulder_drop
        Levels by which the shoulders lie lower than usual.
    collar
        Rigid collar round the neck.
    """

    sex: str = "female"
    fat_mm: float = 7.0
    muscle: float = 1.0
    fatty_muscle: float = 0.2
    muscle_hu: float = 58.0
    fat_hu: float = -102.0
    contrast: Contrast = Contrast.NONE
    artery_hu: float = 42.0
    vein_hu: float = 42.0
    airway: float = 1.0
    prevertebral: float = 1.0
    shoulder_drop: float = 0.0
    arms_up: bool = False
    table: Table = Table.CURVED
    immobilizer: Immobilizer = Immobilizer.CRADLE
    collar: bool = False

    def __post_init__(self) -> None:
        if self.sex not in ("female", "male"):
            raise ValueError(f"sex must be female or male, got {self.sex!r}")
        if not 1 <= self.fat_mm <= 40:
            raise ValueError(f"fat_mm must be 1 … 40, got {self.fat_mm}")


def sample_body(rng: np.random.Generator) -> Body:
    """Draw a body as they come to an emergency department."""
    male = bool(rng.random() < 0.6)
    contrast = (Contrast.NONE, Contrast.ARTERIAL, Contrast.VENOUS)[int(rng.choice(3, p=[0.84, 0.1, 0.06]))]
    artery = {Contrast.NONE: 42.0, Contrast.ARTERIAL: rng.uniform(220, 450), Contrast.VENOUS: rng.uniform(130, 200)}
    vein = {Contrast.NONE: 42.0, Contrast.ARTERIAL: rng.uniform(50, 160), Contrast.VENOUS: rng.uniform(130, 210)}
    return Body(
        sex="male" if male else "female",
        fat_mm=float(np.clip(rng.lognormal(np.log(6.0 if male else 7.5), 0.45), 2.5, 28)),
        muscle=float(np.clip(rng.normal(1.05 if male else 0.95, 0.08), 0.75, 1.25)),
        fatty_muscle=float(rng.beta(1.5, 4)),
        muscle_hu=float(rng.normal(58, 5)),
        fat_hu=float(rng.normal(-102, 6)),
        contrast=contrast,
        artery_hu=float(artery[contrast] + rng.normal(0, 4)),
        vein_hu=float(vein[contrast] + rng.normal(0, 4)),
        airway=float(np.clip(rng.normal(1, 0.15), 0.55, 1.4)),
        prevertebral=float(np.clip(rng.lognormal(0, 0.18), 0.6, 1.8)),
        shoulder_drop=float(rng.normal(0.1, 0.5)),
        arms_up=bool(rng.random() < 0.05),
        table=(Table.NONE, Table.FLAT, Table.CURVED)[int(rng.choice(3, p=[0.1, 0.25, 0.65]))],
        immobilizer=tuple(Immobilizer)[int(rng.choice(3, p=[0.2, 0.6, 0.2]))],
        collar=bool(rng.random() < 0.3),
    )


__all__ = ["Body", "Contrast", "Immobilizer", "Table", "sample_body"]
