"""What the system says about a study; `truth` says what is true of a phantom in the same vocabulary.

Findings know no UIDs, no files and no patient: `cspine.report` joins them with the source series.
"""

from dataclasses import dataclass
from enum import StrEnum

from cspine.domain.box import WorldBox
from cspine.domain.vertebra import CERVICAL, Vertebra
from cspine.domain.volume import LabelMap, Volume

FINDINGS_SCHEMA = "1.0"

NEVER_ASSESSED = (
    "ligaments",
    "alignment and dislocation",
    "spinal cord",
    "skull base",
    "T1 and below",
    "ribs",
)


class Decision(StrEnum):
    """What is said of a vertebra or a study. "Cleared" and "normal" are never said."""

    RULE_OUT = "rule-out"
    UNCERTAIN = "uncertain"
    RULE_IN = "rule-in"
    NOT_ASSESSED = "not assessed"


class FlagCode(StrEnum):
    """Why a readable study is odd. The value is the code in `findings.json`."""

    PHANTOM = "phantom"
    GANTRY_TILT = "gantry-tilt"
    SHEARED = "sheared"
    MISSING_SLICES = "missing-slices"
    UNEVEN_SPACING = "uneven-spacing"
    DUPLICATE_SLICES = "duplicate-slices"
    THICK_SLICES = "thick-slices"
    MIXED_SHAPES = "mixed-shapes"
    MONOCHROME1 = "monochrome1"
    LOSSY = "lossy"
    PADDING = "padding"
    SERIES_NOT_USED = "series-not-used"
    OTHER_BODY_PART = "other-body-part"
    GEOMETRY_ASSUMED = "geometry-assumed"
    PARTIAL_COVERAGE = "partial-coverage"
    LEVEL_UNCERTAIN = "level-uncertain"
    NO_FRACTURE_MODEL = "no-fracture-model"
    METAL = "metal"
    LOW_RESOLUTION = "low-resolution"
    NOISE = "noise"
    HU_SCALE = "hu-scale"
    CHILD = "child"
    CONTRAST_MEDIUM = "contrast-medium"


@dataclass(frozen=True)
class Flag:
    """Something that a reader of the result must know.

    Attributes
    ----------
    code
        Machine-readable reason.
    message
        One sentence in plain words, with the measured value.
    vertebrae
        The levels concerned; empty when it is the whole study.
    """

    code: FlagCode
    message: str
    vertebrae: tuple[Vertebra, ...] = ()


@dataclass(frozen=True)
class Location:
    """One suspected fracture.

    Attributes
    ----------
    probability
        0 … 1.
    type
        Suggested fracture type, or ``None``.
    box_lps_mm
        Where it is.
    """

    probability: float
    type: str | None
    box_lps_mm: WorldBox

    def __post_init__(self) -> None:
        _check_probability(self.probability, "location")


@dataclass(frozen=True)
class VertebraFinding:
    """What is said of one vertebra.

    Attributes
    ----------
    probability
        Calibrated probability of a fracture, or ``None`` when not assessed.
    decision
        Of a vertebra that is not seen whole, never ``rule-out``.
    visible_fraction
        Share of the vertebra's expected volume inside the scanned field, 0 … 1, lateral cuts included.
    reason
        Why it was not assessed or is uncertain, in plain words; ``None`` when there is nothing to explain.
    center_lps_mm
        Center of the vertebral body for C2–C7 (C2: below the dens), of the ring for C1; ``None`` when not seen.
    box_lps_mm
        Box round the visible part; ``None`` when not seen.
    mimic
        What it might be instead, or ``None``.
    """

    vertebra: Vertebra
    probability: float | None
    decision: Decision
    visible_fraction: float
    reason: str | None = None
    center_lps_mm: tuple[float, float, float] | None = None
    box_lps_mm: WorldBox | None = None
    locations: tuple[Location, ...] = ()
    mimic: str | None = None

    def __post_init__(self) -> None:
        if self.probability is not None:
            _check_probability(self.probability, self.vertebra.name)
        if not 0 <= self.visible_fraction <= 1:
            raise ValueError(f"{self.vertebra.name}: visible fraction {self.visible_fraction} is not within 0 … 1")
        if self.decision is Decision.NOT_ASSESSED and self.probability is not None:
            raise ValueError(f"{self.vertebra.name}: not assessed, but has a probability")


@dataclass(frozen=True)
class Findings:
    """What is said of one study.

    Attributes
    ----------
    vertebrae
        Exactly C1 … C7, in order.
    model_id, model_name
        Identity (hash) and name of the bundle.
    software
        Name and version of the program.
    """

    probability: float | None
    decision: Decision
    vertebrae: tuple[VertebraFinding, ...]
    flags: tuple[Flag, ...]
    model_id: str
    model_name: str
    software: str
    schema_version: str = FINDINGS_SCHEMA

    def __post_init__(self) -> None:
        if tuple(f.vertebra for f in self.vertebrae) != CERVICAL:
            raise ValueError(f"findings list C1 … C7 in order, got {[f.vertebra.name for f in self.vertebrae]}")
        if self.probability is not None:
            _check_probability(self.probability, "study")

    def of(self, vertebra: Vertebra) -> VertebraFinding:
        """Return the finding of one cervical vertebra."""
        return self.vertebrae[vertebra - Vertebra.C1]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that the pipeline makes of one volume.

    Attributes
    ----------
    labels
        C1 … C7 (and thoracic vertebrae as T1) on the volume's own grid.
    fracture_map
        Fracture probability on the same grid, or ``None`` without a fracture model.
    map_threshold
        Operating point of the map, from the bundle: what reaches it counts as fracture; ``None`` without one.
    """

    findings: Findings
    labels: LabelMap
    fracture_map: Volume | None = None
    map_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.map_threshold is not None:
            _check_probability(self.map_threshold, "operating point of the fracture map")


def _check_probability(value: float, where: str) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{where}: probability {value} is not within 0 … 1")
