"""Score vertebra names, centers and masks against a phantom's truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cspine.domain import CERVICAL, Analysis, FlagCode, GroundTruth, LabelMap, Vertebra
from cspine.evaluation.intervals import Estimate, bootstrap_ci, wilson

# A center farther off than this belongs to another vertebra: half of the smallest usual spacing.
CENTER_LIMIT_MM = 8.0
# A truth above this share in view counts as seen whole; the rest is the rounding of the voxel sum.
WHOLE = 0.995


@dataclass(frozen=True)
class VertebraScore:
    """One cervical vertebra of one case.

    Attributes
    ----------
    visible
        True share in view, 0 … 1.
    reported
        Share in view that the system reported; 0 when it reported nothing.
    center_error_mm
        Distance to the true center, ``None`` when nothing was reported.
    dice
        Overlap on the scan's own grid, ``None`` unless seen whole.
    """

    vertebra: Vertebra
    visible: float
    reported: float
    center_error_mm: float | None
    dice: float | None
    uncertain: bool

    @property
    def whole(self) -> bool:
        """Whether the vertebra was seen whole."""
        return self.visible >= WHOLE

    @property
    def right(self) -> bool:
        """Whether it was reported under its name with the center within the limit."""
        return self.center_error_mm is not None and self.center_error_mm <= CENTER_LIMIT_MM

    @property
    def invented(self) -> bool:
        """Whether it was reported although no part of it is in view."""
        return self.reported > 0 and self.visible <= 0


@dataclass(frozen=True)
class CaseScore:
    """One case; `refused` when the pipeline said that this is no neck."""

    name: str
    group: str
    vertebrae: tuple[VertebraScore, ...]
    refused: bool

    @property
    def right(self) -> bool:
        """Whether every whole vertebra is right and none is invented."""
        return all(v.right for v in self.vertebrae if v.whole) and not any(v.invented for v in self.vertebrae)

    @property
    def flagged(self) -> bool:
        """Whether the system said that a level may be wrong."""
        return any(v.uncertain for v in self.vertebrae)

    @property
    def silently_wrong(self) -> bool:
        """Whether a reported name is wrong by more than the limit and nothing warned of it."""
        return any(
            v.reported > 0 and not v.uncertain and (v.invented or (v.whole and not v.right)) for v in self.vertebrae
        )


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice overlap of two masks; 1 when both are empty."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 1.0 if total == 0 else 2 * int(np.count_nonzero(a & b)) / total


def score_case(
    name: str, group: str, truth: GroundTruth, true_labels: LabelMap, analysis: Analysis | None
) -> CaseScore:
    """Score one case; `analysis` is ``None`` when the pipeline refused the volume."""
    by_name = {t.vertebra: t for t in truth.vertebrae}
    unsure: set[Vertebra] = set()
    if analysis is not None:
        for flag in analysis.findings.flags:
            if flag.code is FlagCode.LEVEL_UNCERTAIN:
                unsure |= set(flag.vertebrae)
    scores = []
    for vertebra in CERVICAL:
        true = by_name.get(vertebra)
        visible = true.visible_fraction if true else 0.0
        finding = analysis.findings.of(vertebra) if analysis else None
        reported = finding.visible_fraction if finding else 0.0
        error = None
        if finding and finding.center_lps_mm and true:
            error = float(np.linalg.norm(np.subtract(finding.center_lps_mm, true.center_lps_mm)))
        overlap = None
        if visible >= WHOLE:
            found = analysis.labels.labels == vertebra if analysis else np.zeros(true_labels.labels.shape, dtype=bool)
            overlap = dice(true_labels.labels == vertebra, found)
        scores.append(VertebraScore(vertebra, visible, reported, error, overlap, vertebra in unsure))
    return CaseScore(name, group, tuple(scores), analysis is None)


@dataclass(frozen=True)
class VertebraSummary:
    """Figures over cases.

    Attributes
    ----------
    named
        Share of vertebrae seen whole that were named right within 8 mm; interval over cases.
    cases_right
        Share of cases entirely right.
    dice
        Mean Dice of vertebrae seen whole.
    center_error_mm
        Mean center error of those named right.
    invented
        Share of cases with a vertebra that is not in view.
    flagged, silently_wrong
        Share of cases with an uncertain level, and of those with a wrong name and no warning.
    """

    group: str
    named: Estimate
    cases_right: Estimate
    dice: Estimate
    center_error_mm: Estimate
    invented: Estimate
    flagged: Estimate
    silently_wrong: Estimate


def summarize(cases: Sequence[CaseScore], group: str, rng: np.random.Generator) -> VertebraSummary:
    """Return the figures of some cases under the name `group`."""
    whole = [[v for v in c.vertebrae if v.whole] for c in cases]
    n = len(cases)
    return VertebraSummary(
        group,
        bootstrap_ci([[float(v.right) for v in vs] for vs in whole], rng),
        wilson(sum(c.right for c in cases), n),
        bootstrap_ci([[v.dice for v in vs if v.dice is not None] for vs in whole], rng),
        bootstrap_ci(
            [[v.center_error_mm for v in vs if v.right and v.center_error_mm is not None] for vs in whole], rng
        ),
        wilson(sum(any(v.invented for v in c.vertebrae) for c in cases), n),
        wilson(sum(c.flagged for c in cases), n),
        wilson(sum(c.silently_wrong for c in cases), n),
    )
