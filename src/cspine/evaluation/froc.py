"""Free-response ROC: boxes found beside true boxes, one to one, the surest first.

Every side of every box counts as at least 5 mm. A box that meets only a fracture that does not count (T1, a rib) is
left out; a second box on one fracture is a false one.

Legend: B found boxes that count, D draws of weights of studies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cspine.domain import CERVICAL, Decision
from cspine.evaluation.boxes import at_least, centers_inside, corners, overlaps
from cspine.evaluation.intervals import Estimate
from cspine.evaluation.resampling import Statistic, at_the_edge, quotient, ratio, resampled
from cspine.evaluation.scored import FoundBox, StudyAnswer, StudyTruth, TrueBox

HIT_IOU = 0.2
FALSE_PER_STUDY = (0.25, 0.5, 1.0, 2.0)


class Hit(StrEnum):
    """When a found box meets a true one."""

    OVERLAP = "IoU > 0.2"
    CENTER = "center inside"


@dataclass(frozen=True)
class MatchedBox:
    """A found box and what became of it.

    Attributes
    ----------
    true
        Index of the true box, or ``None`` for a false one.
    """

    found: FoundBox
    true: int | None


def match_boxes(found: Sequence[FoundBox], true: Sequence[TrueBox], hit: Hit) -> tuple[MatchedBox, ...]:
    """Return the found boxes that count, surest first; each takes the nearest true box that is still free.

    Nearest is the largest overlap, then the nearest center; counted boxes come before those that do not count.
    """
    order = sorted(range(len(found)), key=lambda k: -found[k].probability)
    a, b = at_least(corners([f.box_lps_mm for f in found])), at_least(corners([t.box_lps_mm for t in true]))
    shared = overlaps(a, b)
    meets = shared > HIT_IOU if hit is Hit.OVERLAP else centers_inside(a, b)
    far = np.linalg.norm(a.mean(axis=1)[:, None] - b.mean(axis=1)[None, :], axis=-1)
    free, matched = set(range(len(true))), []
    for k in order:
        near = [j for j in np.flatnonzero(meets[k]).tolist() if j in free and true[j].counted]
        if near:
            best = max(near, key=lambda j: (shared[k, j], -far[k, j]))
            free.remove(best)
            matched.append(MatchedBox(found[k], best))
        elif not any(meets[k, j] and not true[j].counted for j in range(len(true))):
            matched.append(MatchedBox(found[k], None))
    return tuple(matched)


class FreeResponse:
    """Boxes of many studies, matched once.

    Parameters
    ----------
    truths, answers
        Of the same studies; those whose boxes are not known on either side are left out.
    """

    def __init__(self, truths: Sequence[StudyTruth], answers: Sequence[StudyAnswer], hit: Hit) -> None:
        self.hit = hit
        self._kept = np.array(
            [t.boxes is not None and a.boxes is not None for t, a in zip(truths, answers, strict=True)]
        )
        places = [int(s) for s in np.flatnonzero(self._kept)]
        counted = [[b for b in truths[s].boxes or () if b.counted] for s in places]
        self.true_S = np.array([len(boxes) for boxes in counted], dtype=float)
        self.positive_S = np.array([truths[s].labels[0] for s in places], dtype=int)
        rows: list[tuple[int, MatchedBox, TrueBox | None]] = []
        for row, s in enumerate(places):
            true = truths[s].boxes or ()
            for one in match_boxes(answers[s].boxes or (), true, hit):
                rows.append((row, one, None if one.true is None else true[one.true]))
        rows.sort(key=lambda row: -row[1].found.probability)
        self.matched = tuple((one, true) for _, one, true in rows)
        self._study_B = np.array([row for row, _, _ in rows], dtype=int)
        self._score_B = np.array([one.found.probability for _, one, _ in rows])
        self._right_B = np.array([true is not None for _, _, true in rows], dtype=float)

    @property
    def studies(self) -> int:
        """How many studies count."""
        return len(self.true_S)

    def kept(self, weights_DS: np.ndarray) -> np.ndarray:
        """Return the weights of the studies that count."""
        part: np.ndarray = weights_DS[:, self._kept]
        return part

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return false boxes per study, sensitivity and threshold, from the highest threshold to the lowest."""
        false, found = self._sums(np.ones((1, self.studies)))
        ends = self._ends()
        start = np.zeros(1)
        return (
            np.concatenate([start, false[0, ends]]),
            np.concatenate([start, found[0, ends]]),
            np.concatenate([[np.inf], self._score_B[ends]]),
        )

    def sensitivity_at(self, false_per_study: float) -> Statistic:
        """Return the statistic: the highest sensitivity with at most so many false boxes per study."""

        def statistic(weights_DS: np.ndarray) -> np.ndarray:
            false, found = self._sums(weights_DS)
            ends = self._ends()
            best: np.ndarray = np.where(false[:, ends] <= false_per_study + 1e-12, found[:, ends], 0).max(
                axis=1, initial=0.0
            )
            return np.where(weights_DS @ self.true_S > 0, best, np.nan)

        return statistic

    def threshold_for(self, false_per_study: float) -> float:
        """Return the lowest threshold with at most so many false boxes per study; infinite when none has."""
        false, _, threshold = self.curve()
        return float(threshold[np.flatnonzero(false <= false_per_study + 1e-12)[-1]])

    def precision(self, weights_DS: np.ndarray, chosen_B: np.ndarray, prevalence: float | None = None) -> Estimate:
        """Return the share of right boxes among some of them, as it is where `prevalence` of studies are fractured.

        Parameters
        ----------
        chosen_B
            Which of the found boxes are shown; boxes of studies are never torn apart in the draws.
        prevalence
            ``None`` for the share in the set.
        """
        share = float(self.positive_S.mean()) if self.studies else float("nan")
        right, shown = (self._per_study(values * chosen_B) for values in (self._right_B, np.ones_like(self._right_B)))
        if prevalence is not None:
            if not 0 < share < 1:
                return Estimate(float("nan"), float("nan"), float("nan"), int(chosen_B.sum()))
            scale = np.where(self.positive_S == 1, prevalence / share, (1 - prevalence) / (1 - share))
            right, shown = right * scale, shown * scale
        return self._share(right, shown, weights_DS, int(chosen_B.sum()))

    def ruled_in(self) -> np.ndarray:
        """Return which boxes lie at a level that was ruled in."""
        return np.array([one.found.decision is Decision.RULE_IN for one, _ in self.matched], dtype=bool)

    def above(self, threshold: float) -> np.ndarray:
        """Return which boxes have at least that probability."""
        above: np.ndarray = self._score_B >= threshold
        return above

    def sensitivity(self, weights_DS: np.ndarray, chosen_B: np.ndarray) -> Estimate:
        """Return the share of true boxes that some of the found ones meet."""
        found = self._per_study(self._right_B * chosen_B)
        return self._share(found, self.true_S, weights_DS, int(self.true_S.sum()))

    def level_right(self, weights_DS: np.ndarray) -> Estimate:
        """Return the share of right boxes that stand under their true level, of those whose level is known."""
        known = np.array([t is not None and t.vertebra in CERVICAL for _, t in self.matched], dtype=float)
        right = np.array([t is not None and t.vertebra is m.found.vertebra for m, t in self.matched], dtype=float)
        return self._share(self._per_study(right * known), self._per_study(known), weights_DS, int(known.sum()))

    def type_told(self, weights_DS: np.ndarray) -> tuple[Estimate, Estimate]:
        """Return, of right boxes whose true type is known, the share with a suggested type, and of those the right."""
        known = np.array([t is not None and t.type is not None for _, t in self.matched], dtype=float)
        told = known * np.array([m.found.type is not None for m, _ in self.matched], dtype=float)
        right = told * np.array([t is not None and t.type == m.found.type for m, t in self.matched], dtype=float)
        sums = [self._per_study(values) for values in (known, told, right)]
        shares = [self._share(sums[k + 1], sums[k], weights_DS, int(n.sum())) for k, n in enumerate((known, told))]
        return shares[0], shares[1]

    def false_per_study(self, weights_DS: np.ndarray, chosen_B: np.ndarray) -> Estimate:
        """Return the mean number of false boxes of a study."""
        per_study = self._per_study((1 - self._right_B) * chosen_B)
        return resampled(ratio(per_study, np.ones(self.studies)), weights_DS, self.studies)

    def _share(self, part_S: np.ndarray, whole_S: np.ndarray, weights_DS: np.ndarray, n: int) -> Estimate:
        return at_the_edge(resampled(ratio(part_S, whole_S), weights_DS, n), int((whole_S > 0).sum()))

    def _per_study(self, values_B: np.ndarray) -> np.ndarray:
        return np.bincount(self._study_B, weights=values_B, minlength=self.studies)

    def _ends(self) -> np.ndarray:
        """Return the last place of each different score."""
        if not self._score_B.size:
            return np.zeros(0, dtype=int)
        return np.append(np.flatnonzero(np.diff(self._score_B)), self._score_B.size - 1)

    def _sums(self, weights_DS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return false boxes per study and sensitivity (D, B) of the first boxes, the surest first."""
        own = weights_DS[:, self._study_B]
        false = np.cumsum(own * (1 - self._right_B), axis=1)
        found = np.cumsum(own * self._right_B, axis=1)
        return (
            quotient(false, weights_DS.sum(axis=1, keepdims=True)),
            quotient(found, (weights_DS @ self.true_S)[:, None]),
        )
