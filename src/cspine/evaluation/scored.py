"""What is true of a study and what was said of it, side by side: the rows that every figure rests on.

Legend: S studies, T targets (study, C1 … C7), V levels (C1 … C7).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cspine.domain import CERVICAL, Decision, Findings, Vertebra, WorldBox
from cspine.evaluation.prevalence import Priors

TARGETS = ("study", *(v.name for v in CERVICAL))


@dataclass(frozen=True)
class TrueBox:
    """A fracture and where it is.

    Attributes
    ----------
    vertebra
        ``None`` where nobody said which level it is.
    counted
        Whether labels know it. A box found on one that does not count (a rib, T1) is neither right nor wrong.
    type, severity
        ``None`` where not told.
    """

    box_lps_mm: WorldBox
    vertebra: Vertebra | None
    counted: bool = True
    type: str | None = None
    severity: int | None = None


@dataclass(frozen=True)
class StudyTruth:
    """What is true of one study.

    Attributes
    ----------
    labels
        (8,) 0 or 1: study, C1 … C7.
    boxes
        Of all fractures; ``None`` where a fractured study has none in the table, so that boxes cannot be judged.
    mimics
        Kinds of what only looks like a fracture, by level.
    traits
        What the study is like, in words: ``{"vendor": "GE", …}``.
    """

    uid: str
    labels: tuple[int, ...]
    boxes: tuple[TrueBox, ...] | None = ()
    mimics: Mapping[Vertebra, tuple[str, ...]] = field(default_factory=dict)
    traits: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.labels) != len(TARGETS) or not set(self.labels) <= {0, 1}:
            raise ValueError(f"{self.uid}: labels {self.labels} must be 8 of 0 or 1: study, C1 … C7")

    def kinds_of(self, vertebra: Vertebra) -> tuple[tuple[str, ...], int | None]:
        """Return types of the counted fractures of a level, and the highest severity among them."""
        own = [b for b in self.boxes or () if b.counted and b.vertebra is vertebra]
        severities = [b.severity for b in own if b.severity is not None]
        return tuple(sorted({b.type for b in own if b.type is not None})), max(severities, default=None)


@dataclass(frozen=True)
class FoundBox:
    """A fracture that was reported.

    Attributes
    ----------
    vertebra
        Under which level.
    decision
        About that level.
    type
        Suggested, or ``None``.
    """

    probability: float
    box_lps_mm: WorldBox
    vertebra: Vertebra
    decision: Decision
    type: str | None = None


@dataclass(frozen=True)
class StudyAnswer:
    """What was said of one study.

    Attributes
    ----------
    probabilities
        (8,) p of study, C1 … C7; ``None`` where not assessed.
    decisions, reasons
        (8,) each; a reason says why something was not assessed or is uncertain.
    boxes
        ``None`` where the source has no boxes at all, as a table of probabilities.
    seconds
        By stage.
    peak_mb
        Highest resident memory, where it was measured.
    refusal
        Why there is no answer, or empty.
    centers_lps_mm
        Of the levels that were seen.
    mimics
        What a level was said to be instead, where anything was.
    """

    uid: str
    probabilities: tuple[float | None, ...]
    decisions: tuple[Decision, ...]
    reasons: tuple[str | None, ...] = (None,) * len(TARGETS)
    boxes: tuple[FoundBox, ...] | None = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_mb: float | None = None
    refusal: str = ""
    centers_lps_mm: Mapping[Vertebra, tuple[float, float, float]] = field(default_factory=dict)
    mimics: Mapping[Vertebra, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in (("probabilities", self.probabilities), ("decisions", self.decisions)):
            if len(values) != len(TARGETS):
                raise ValueError(f"{self.uid}: {len(values)} {name}, must be 8: study, C1 … C7")

    @classmethod
    def of_findings(
        cls, uid: str, findings: Findings, seconds: Mapping[str, float], peak_mb: float | None = None
    ) -> "StudyAnswer":
        """Return the answer that findings give."""
        levels = findings.vertebrae
        boxes = tuple(
            FoundBox(place.probability, place.box_lps_mm, f.vertebra, f.decision, place.type)
            for f in levels
            for place in f.locations
        )
        return cls(
            uid,
            (findings.probability, *(f.probability for f in levels)),
            (findings.decision, *(f.decision for f in levels)),
            (None, *(f.reason for f in levels)),
            boxes,
            dict(seconds),
            peak_mb,
            centers_lps_mm={f.vertebra: f.center_lps_mm for f in levels if f.center_lps_mm is not None},
            mimics={f.vertebra: f.mimic for f in levels if f.mimic is not None},
        )

    @classmethod
    def refused(cls, uid: str, why: str) -> "StudyAnswer":
        """Return the answer of a study that could not be analyzed: nothing of it is assessed."""
        nothing = (None,) * len(TARGETS)
        return cls(uid, nothing, (Decision.NOT_ASSESSED,) * len(TARGETS), boxes=(), refusal=why)


class ScoredSet:
    """Truths and answers of the same studies as arrays.

    Parameters
    ----------
    priors
        What is put where nothing was assessed.

    Raises
    ------
    ValueError
        No study, or truths and answers are not of the same studies in the same order.
    """

    def __init__(self, truths: Sequence[StudyTruth], answers: Sequence[StudyAnswer], priors: Priors) -> None:
        if not truths or [t.uid for t in truths] != [a.uid for a in answers]:
            raise ValueError(f"{len(truths)} truths and {len(answers)} answers must be of the same studies, in order")
        self.truths, self.answers, self.priors = tuple(truths), tuple(answers), priors
        self.labels = np.array([t.labels for t in truths], dtype=int)
        self.given = np.array([[np.nan if p is None else p for p in a.probabilities] for a in answers], dtype=float)
        self.decisions = np.array([[d.value for d in a.decisions] for a in answers])

    def __len__(self) -> int:
        return len(self.truths)

    @property
    def filled(self) -> np.ndarray:
        """(S, 8) p, with the prior where nothing was assessed."""
        filled: np.ndarray = np.where(np.isnan(self.given), self.priors.row, self.given)
        return filled

    def said(self, decision: Decision) -> np.ndarray:
        """(S, 8): whether that was the decision."""
        said: np.ndarray = self.decisions == decision.value
        return said

    def moved(self, probabilities: np.ndarray, priors: Priors) -> "ScoredSet":
        """Return the set with other probabilities (S, 8), NaN where not assessed, and other priors."""
        other = ScoredSet(self.truths, self.answers, priors)
        other.given = probabilities
        return other

    def part(self, keep: np.ndarray) -> "ScoredSet":
        """Return the studies where `keep` (S,) holds; raises ``ValueError`` when none is left."""
        places = np.flatnonzero(keep)
        other = ScoredSet([self.truths[k] for k in places], [self.answers[k] for k in places], self.priors)
        other.given = self.given[places]
        return other
