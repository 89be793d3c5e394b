"""Figures of many answers of few studies: slices of one study are alike, so intervals draw whole studies anew.

Legend: N answers.
"""

from collections.abc import Sequence

import numpy as np

from cspine.evaluation.intervals import Estimate
from cspine.evaluation.ranking import Ranking
from cspine.evaluation.resampling import at_the_edge, ratio, resampled, study_draws


def figures_by_study(
    truth: np.ndarray,
    probability: np.ndarray,
    studies: Sequence[str],
    rng: np.random.Generator,
    threshold: float = 0.5,
) -> dict[str, Estimate]:
    """Return accuracy, precision, recall, specificity, F1 and AUC; intervals over studies, Wilson's at 0 and 1.

    Parameters
    ----------
    truth, probability
        (N,); a probability at the threshold is a positive answer.
    studies
        The study of each answer.

    Raises
    ------
    ValueError
        The three differ in length, or there is no answer.
    """
    if not len(truth) == len(probability) == len(studies) or not len(truth):
        raise ValueError(f"{len(truth)} truths, {len(probability)} answers, {len(studies)} studies: must be as many")
    true, own = np.asarray(truth) >= 0.5, np.asarray(studies)
    said = np.asarray(probability) >= threshold
    weights = study_draws(own, rng)
    tp, wrong = (true & said).astype(float), (true != said).astype(float)
    shares = {
        "accuracy": (1 - wrong, np.ones(len(true))),
        "precision": (tp, said.astype(float)),
        "recall": (tp, true.astype(float)),
        "specificity": ((~true & ~said).astype(float), (~true).astype(float)),
        "f1": (2 * tp, 2 * tp + wrong),
    }
    found = {
        name: at_the_edge(resampled(ratio(part, whole), weights), len(np.unique(own[whole > 0])))
        for name, (part, whole) in shares.items()
    }
    return {**found, "auc": resampled(Ranking(true.astype(float), np.asarray(probability)).auc, weights)}
