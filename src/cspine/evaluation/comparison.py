"""Two systems on the same studies: differences, with intervals over the studies that both were asked about."""

from collections.abc import Iterator

import numpy as np

from cspine.domain import Decision
from cspine.evaluation.ranking import Ranking
from cspine.evaluation.resampling import Statistic, quotient, resampled
from cspine.evaluation.rows import VERTEBRA, Figure, Section, rows_of
from cspine.evaluation.rsna import submitted_probability, weighted_losses
from cspine.evaluation.scored import TARGETS, ScoredSet


def comparison_figures(scored: ScoredSet, other: ScoredSet, weights: np.ndarray, group: str) -> Iterator[Figure]:
    """Yield the other's figures, and this system's minus them; a loss below 0 and the rest above 0 are in favor of it.

    Parameters
    ----------
    weights
        (D, S) draws of studies, the same for both.
    """
    for target in (TARGETS[0], VERTEBRA):
        here, there = (rows_of(side, target, weights) for side in (scored, other))
        ours, theirs = (Ranking(rows.labels, rows.probabilities) for rows in (here, there))
        yield Figure(Section.COMPARISON, "AUC, other", target, resampled(theirs.auc, there.weights), group)
        gap = resampled(_gap(ours.auc, theirs.auc), here.weights)
        yield Figure(Section.COMPARISON, "AUC, this − other", target, gap, group)
        for name, decision, label in (
            ("sensitivity", Decision.RULE_IN, 1),
            ("not fractured called rule-in", Decision.RULE_IN, 0),
            ("fractured called rule-out", Decision.RULE_OUT, 1),
        ):
            among = (here.labels == label).astype(np.float64)
            more = (here.said(decision).astype(np.float64) - there.said(decision)) * among
            estimate = resampled(_share(more, among), here.weights, int(among.sum()))
            yield Figure(Section.COMPARISON, f"{name}, this − other", target, estimate, group)
    losses = [_loss(side) for side in (scored, other)]
    name = "weighted log loss of q, global"
    yield Figure(Section.COMPARISON, f"{name}, other", "all targets", resampled(losses[1], weights), group)
    gap = resampled(_gap(*losses), weights)
    yield Figure(Section.COMPARISON, f"{name}, this − other", "all targets", gap, group)


def _gap(ours: Statistic, theirs: Statistic) -> Statistic:
    return lambda weights: ours(weights) - theirs(weights)


def _share(top: np.ndarray, bottom: np.ndarray) -> Statistic:
    return lambda weights: quotient(weights @ top, weights @ bottom)


def _loss(scored: ScoredSet) -> Statistic:
    weight, loss = weighted_losses(scored.labels, submitted_probability(scored.filled))
    return _share((weight * loss).sum(axis=1), weight.sum(axis=1))
