"""What rule-in, uncertain, rule-out and not assessed come to; nobody is left out of a denominator unless said so."""

from collections.abc import Iterator

import numpy as np

from cspine.domain import Decision
from cspine.evaluation.intervals import Estimate
from cspine.evaluation.ranking import Ranking
from cspine.evaluation.resampling import at_the_edge, quotient, resampled
from cspine.evaluation.rows import Figure, Rows, Section

PREVALENCES = (0.02, 0.05, 0.10)
POINTS = (0.90, 0.95)

SENSITIVITY = "sensitivity"
SENSITIVITY_DECIDED = "sensitivity, decided only"
SPECIFICITY = "specificity"
SPECIFICITY_DECIDED = "specificity, decided only"
MISSED = "fractured called rule-out"
ABSTAINED = "abstention"


def predictive_values(
    sensitivity: np.ndarray | float, specificity: np.ndarray | float, prevalence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return PPV and NPV by Bayes; NaN where there is no such answer."""
    se, sp = np.asarray(sensitivity, dtype=np.float64), np.asarray(specificity, dtype=np.float64)
    true_in, false_in = prevalence * se, (1 - prevalence) * (1 - sp)
    true_out, false_out = (1 - prevalence) * sp, prevalence * (1 - se)
    return quotient(true_in, true_in + false_in), quotient(true_out, true_out + false_out)


def decision_figures(rows: Rows) -> Iterator[Figure]:
    """Yield shares of answers; "decided" rows were ruled in or ruled out."""
    fractured, intact = rows.labels == 1, rows.labels == 0
    ruled_in, ruled_out = rows.said(Decision.RULE_IN), rows.said(Decision.RULE_OUT)
    decided, everyone = ruled_in | ruled_out, np.ones(len(fractured), dtype=bool)
    shares = (
        (SENSITIVITY, ruled_in, fractured),
        (SENSITIVITY_DECIDED, ruled_in, fractured & decided),
        ("fractured ruled in or uncertain", ruled_in | rows.said(Decision.UNCERTAIN), fractured),
        (MISSED, ruled_out, fractured),
        (SPECIFICITY, ~ruled_in, intact),
        (SPECIFICITY_DECIDED, ruled_out, intact & decided),
        ("not fractured called rule-in", ruled_in, intact),
        ("not fractured called rule-out", ruled_out, intact),
        (ABSTAINED, ~decided, everyone),
        ("uncertain", rows.said(Decision.UNCERTAIN), everyone),
        ("not assessed", ~rows.assessed, everyone),
        ("coverage of fractured, assessed", ~ruled_out, fractured & rows.assessed),
        ("coverage of not fractured, assessed", ~ruled_in, intact & rows.assessed),
    )
    for name, what, among in shares:
        yield Figure(Section.DECISIONS, name, rows.target, rows.share(what, among))
    for prevalence in PREVALENCES:
        ppv, npv = _values_of(rows, prevalence)
        yield Figure(Section.DECISIONS, f"PPV of rule-in at {prevalence:.0%}", rows.target, ppv)
        yield Figure(Section.DECISIONS, f"NPV of rule-out at {prevalence:.0%}", rows.target, npv)


def operating_figures(rows: Rows) -> Iterator[Figure]:
    """Yield sensitivity at fixed specificity and the reverse, and what an answer at those points is worth.

    The threshold is taken on this very set, in every draw anew: figures of what the scores could do, not of a threshold
    to be used.
    """
    ranking = Ranking(rows.labels, rows.probabilities)
    for point in POINTS:
        sides = (
            (f"sensitivity at {point:.0%} specificity", ranking.sensitivity_at(point), rows.labels == 1),
            (f"specificity at {point:.0%} sensitivity", ranking.specificity_at(point), rows.labels == 0),
        )
        found = []
        for name, statistic, among in sides:
            estimate = resampled(statistic, rows.weights, int(among.sum()))
            found.append(at_the_edge(estimate, rows.studies_of(among)))
            yield Figure(Section.OPERATING, name, rows.target, found[-1])
        for prevalence in PREVALENCES:
            for side, name in enumerate(("PPV", "NPV")):
                text = f"{name} at {point:.0%} specificity, prevalence {prevalence:.0%}"
                yield Figure(Section.OPERATING, text, rows.target, _worth(found[0], point, prevalence, side))


def _worth(sensitivity: Estimate, specificity: float, prevalence: float, side: int) -> Estimate:
    """Return PPV (side 0) or NPV (side 1); both rise with the sensitivity, so its limits give theirs."""
    ends = (sensitivity.value, sensitivity.low, sensitivity.high)
    value, low, high = (float(predictive_values(end, specificity, prevalence)[side]) for end in ends)
    return Estimate(value, low, high, sensitivity.n)


def _values_of(rows: Rows, prevalence: float) -> tuple[Estimate, Estimate]:
    """Return PPV of rule-in and NPV of rule-out; "uncertain" belongs to neither.

    Without any wrong answer the lower limit is that of the limits of both rates, which is on the safe side.
    """
    y = rows.labels.astype(np.float64)
    ruled_in, ruled_out = (rows.said(d).astype(np.float64) for d in (Decision.RULE_IN, Decision.RULE_OUT))

    def rates(weights: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fractured, intact = weights @ y, weights @ (1 - y)
        return quotient(weights @ (said * y), fractured), quotient(weights @ (said * (1 - y)), intact)

    def ppv(weights: np.ndarray) -> np.ndarray:
        true, false = rates(weights, ruled_in)
        return quotient(prevalence * true, prevalence * true + (1 - prevalence) * false)

    def npv(weights: np.ndarray) -> np.ndarray:
        false, true = rates(weights, ruled_out)
        return quotient((1 - prevalence) * true, prevalence * false + (1 - prevalence) * true)

    found = []
    for statistic, said, right, share in ((ppv, ruled_in, 1, prevalence), (npv, ruled_out, 0, 1 - prevalence)):
        estimate = resampled(statistic, rows.weights, int(said.sum()))
        if estimate.value == 1:
            good, bad = (rows.share(said == 1, rows.labels == label) for label in (right, 1 - right))
            low = share * good.low / (share * good.low + (1 - share) * bad.high)
            estimate = Estimate(1.0, low, 1.0, estimate.n)
        found.append(estimate)
    return found[0], found[1]
