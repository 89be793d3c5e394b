"""What is true of a case whose truth is known, in the vocabulary of the findings."""

from dataclasses import dataclass

from cspine.domain.box import WorldBox
from cspine.domain.vertebra import CERVICAL, Vertebra

_SEVERITIES = range(1, 6)


@dataclass(frozen=True)
class VertebraTruth:
    """The truth about one vertebra of a phantom; fields as in `VertebraFinding`."""

    vertebra: Vertebra
    center_lps_mm: tuple[float, float, float]
    visible_fraction: float


@dataclass(frozen=True)
class FractureTruth:
    """One fracture.

    Attributes
    ----------
    type
        Such as ``"dens-ii"``: a value of `cspine.phantom.FractureType`.
    vertebra
        The level that it belongs to, or ``None`` for a bone that is no vertebra.
    severity
        1 (barely visible) … 5 (displaced).
    age
        ``"acute"``, ``"subacute"`` or ``"healing"``; a healed fracture is a `MimicTruth`.
    family
        ``"A"`` may train, ``"B"`` only evaluates.
    box_lps_mm
        Round the voxels of its mask, or ``None`` when no part lies in the scanned field.
    """

    type: str
    vertebra: Vertebra | None
    severity: int
    age: str
    family: str
    box_lps_mm: WorldBox | None

    def __post_init__(self) -> None:
        if self.severity not in _SEVERITIES:
            raise ValueError(f"{self.type}: severity {self.severity} is not within 1 … 5")

    @property
    def counted(self) -> bool:
        """Whether the labels of the RSNA 2022 set would know it: a cervical vertebra, and in the field."""
        return self.vertebra in CERVICAL and self.box_lps_mm is not None


@dataclass(frozen=True)
class MimicTruth:
    """Something that looks like a fracture and is none; it never counts.

    Attributes
    ----------
    kind
        Such as ``"healed-fracture"``.
    vertebra
        The level that it belongs to, or ``None``.
    box_lps_mm
        Where it is, or ``None`` when it has no place or none in the field.
    """

    kind: str
    vertebra: Vertebra | None
    box_lps_mm: WorldBox | None


@dataclass(frozen=True)
class GroundTruth:
    """What is true of a phantom case.

    Attributes
    ----------
    vertebrae
        Every vertebra of which any part lies in the scanned field, head to foot.
    fractures
        Every fracture that is not healed, counted or not.
    mimics
        Everything that might be taken for one.
    """

    vertebrae: tuple[VertebraTruth, ...]
    fractures: tuple[FractureTruth, ...] = ()
    mimics: tuple[MimicTruth, ...] = ()

    def is_fractured(self, vertebra: Vertebra) -> bool:
        """Return the label of one vertebra: whether a fracture of it counts."""
        return any(f.counted and f.vertebra == vertebra for f in self.fractures)

    @property
    def fractured(self) -> tuple[Vertebra, ...]:
        """The levels with a fracture that counts, head to foot."""
        return tuple(v for v in CERVICAL if self.is_fractured(v))

    @property
    def has_fracture(self) -> bool:
        """The label of the study: whether any fracture counts."""
        return bool(self.fractured)
