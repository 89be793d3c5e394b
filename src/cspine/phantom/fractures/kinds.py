"""Names of fractures: what breaks, on which side, how long ago."""

from enum import StrEnum


class FractureType(StrEnum):
    """What breaks. The value names the type on the command line and in files."""

    C1_ANTERIOR_ARCH = "c1-anterior-arch"
    C1_POSTERIOR_ARCH = "c1-posterior-arch"
    JEFFERSON = "jefferson"
    LATERAL_MASS = "lateral-mass"
    TRANSVERSE_PROCESS = "transverse-process"
    DENS_I = "dens-i"
    DENS_II = "dens-ii"
    DENS_III = "dens-iii"
    HANGMAN = "hangman"
    C2_BODY = "c2-body"
    EXTENSION_TEARDROP = "extension-teardrop"
    WEDGE = "wedge-compression"
    BURST = "burst"
    FLEXION_TEARDROP = "flexion-teardrop"
    SAGITTAL_SPLIT = "sagittal-split"
    CORONAL_SPLIT = "coronal-split"
    UNCINATE = "uncinate"
    PEDICLE = "pedicle"
    FACET = "facet"
    FACET_SUBLUXATION = "facet-subluxation"
    PILLAR = "articular-pillar"
    PILLAR_SUBLUXATION = "articular-pillar-subluxation"
    LAMINA = "lamina"
    SPINOUS_PROCESS = "spinous-process"
    TRANSDISCAL = "transdiscal"
    SKULL_BASE = "skull-base"
    FIRST_RIB = "first-rib"
    CLAVICLE = "clavicle"


class FractureAge(StrEnum):
    """How long ago a bone broke; a healed fracture is a mimic."""

    ACUTE = "acute"
    SUBACUTE = "subacute"
    HEALING = "healing"
    HEALED = "healed"


class Side(StrEnum):
    """Of the patient."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def sign(self) -> int:
        """+1 on the left, where x is positive (LPS), −1 on the right."""
        return 1 if self is Side.LEFT else -1


__all__ = ["FractureAge", "FractureType", "Side"]
