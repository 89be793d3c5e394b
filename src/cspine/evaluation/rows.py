"""Rows of one kind out of a scored set, and the figures that are made of them.

A figure stands in one long table: section, name, target, group, value with interval, n.

Legend: N rows (studies, or vertebrae of studies), D draws.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cspine.domain import Decision
from cspine.evaluation.intervals import Estimate, wilson
from cspine.evaluation.resampling import at_the_edge, ratio, resampled
from cspine.evaluation.scored import TARGETS, ScoredSet

VERTEBRA = "vertebra"
ALL_TARGETS = (TARGETS[0], VERTEBRA, *TARGETS[1:])
EVERYTHING = "all"


class Section(StrEnum):
    """What a figure is about."""

    DISCRIMINATION = "discrimination"
    LOSS = "loss"
    CALIBRATION = "calibration"
    DECISIONS = "decisions"
    OPERATING = "operating points"
    BOXES = "boxes"
    SUBGROUPS = "subgroups"
    KINDS = "fractures and mimics"
    READERS = "readers"
    COMPARISON = "beside other systems"
    COST = "time and memory"


@dataclass(frozen=True)
class Figure:
    """One number with its interval.

    Attributes
    ----------
    target
        ``"study"``, ``"vertebra"`` (all levels together), a level, ``"box"``.
    group
        Which part of the set, such as ``"vendor: GE"``.
    """

    section: Section
    name: str
    target: str
    estimate: Estimate
    group: str = EVERYTHING


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one target.

    Attributes
    ----------
    labels, probabilities
        (N,); what was not assessed has its prior.
    decisions
        (N,) as text.
    weights
        (D, N): draws of whole studies.
    studies
        (N,): which study each row is of.
    """

    target: str
    labels: np.ndarray
    probabilities: np.ndarray
    decisions: np.ndarray
    weights: np.ndarray
    studies: np.ndarray

    def said(self, decision: Decision) -> np.ndarray:
        """(N,): whether that was the decision."""
        said: np.ndarray = self.decisions == decision.value
        return said

    @property
    def assessed(self) -> np.ndarray:
        """(N,): whether there was an answer."""
        return ~self.said(Decision.NOT_ASSESSED)

    def share(self, what: np.ndarray, among: np.ndarray) -> Estimate:
        """Return the share of rows `what` (N,) among others.

        Wilson's interval where every study has one row; else over studies, since rows of one are alike.
        """
        if self.target != VERTEBRA:
            return wilson(int((what & among).sum()), int(among.sum()))
        estimate = resampled(ratio(what & among, among), self.weights, int(among.sum()))
        return at_the_edge(estimate, self.studies_of(among))

    def studies_of(self, among: np.ndarray) -> int:
        """Return how many studies some rows (N,) belong to."""
        return len(np.unique(self.studies[among]))


def rows_of(scored: ScoredSet, target: str, weights_DS: np.ndarray) -> Rows:
    """Return the rows of one of `ALL_TARGETS`, with the draws of the studies."""
    if target == VERTEBRA:
        columns, each = slice(1, None), len(TARGETS) - 1
    else:
        place = TARGETS.index(target)
        columns, each = slice(place, place + 1), 1
    return Rows(
        target,
        scored.labels[:, columns].ravel(),
        scored.filled[:, columns].ravel(),
        scored.decisions[:, columns].ravel(),
        np.repeat(weights_DS, each, axis=1),
        np.repeat(np.arange(len(scored)), each),
    )
