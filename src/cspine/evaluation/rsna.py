"""The score of the RSNA 2022 challenge: a weighted log loss over the study and its seven levels.

Legend: S studies, T targets (overall, C1 … C7). The challenge never published its code, and three normalizations
circulate; on constant predictions only the global one comes to what its leaderboard showed (.568), so it is the
default.
"""

from enum import StrEnum
from typing import Literal

import numpy as np

TARGET_COUNT = 8
# Weight of a negative and of a positive label: for the study seven times that of a level.
LEVEL_WEIGHTS = (1.0, 2.0)
OVERALL_WEIGHTS = (7.0, 14.0)
# How much a column counts when the columns are averaged.
COLUMN_WEIGHTS = np.array([7.0, *[1.0] * 7])
# Probabilities of exactly 0 and 1 are moved this far inside, so that one wrong certainty does not make the score
# infinite.
CLIP = 1e-15


class Normalization(StrEnum):
    """What the weighted losses are divided by."""

    GLOBAL = "global"
    COLUMN = "column"
    ROW = "row"


def rsna_log_loss(
    labels: np.ndarray,
    probabilities: np.ndarray,
    normalization: Literal["global", "column", "row"] | Normalization = "global",
) -> float:
    """Return the weighted log loss; 0.5 everywhere gives ln 2 = 0.6931 in all three normalizations.

    Parameters
    ----------
    labels
        (S, 8), 0 or 1, in the order overall, C1 … C7.
    probabilities
        (S, 8), 0 … 1, in the same order. The weights count a positive twice, so the best entry for a target that is
        positive with probability p is 2p / (1 + p), not p.
    normalization
        ``"global"``: sum of weighted losses over the sum of weights. ``"column"``: that within each of the eight
        columns, then the mean of the columns, the study counting seven times. ``"row"``: that within each study, then
        the mean.

    Raises
    ------
    ValueError
        Another shape, no study, a label that is not 0 or 1, or a probability outside 0 … 1.
    """
    weight_ST, loss_ST = weighted_losses(np.asarray(labels), np.asarray(probabilities, dtype=np.float64))
    how = Normalization(normalization)
    if how is Normalization.GLOBAL:
        return float((weight_ST * loss_ST).sum() / weight_ST.sum())
    if how is Normalization.COLUMN:
        columns_T = (weight_ST * loss_ST).sum(axis=0) / weight_ST.sum(axis=0)
        return float((columns_T * COLUMN_WEIGHTS).sum() / COLUMN_WEIGHTS.sum())
    return float(((weight_ST * loss_ST).sum(axis=1) / weight_ST.sum(axis=1)).mean())


def rsna_column_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the weighted log loss within each column (8,): overall, C1 … C7; raises as `rsna_log_loss`."""
    weight_ST, loss_ST = weighted_losses(np.asarray(labels), np.asarray(probabilities, dtype=np.float64))
    losses: np.ndarray = (weight_ST * loss_ST).sum(axis=0) / weight_ST.sum(axis=0)
    return losses


def submitted_probability(probability: np.ndarray) -> np.ndarray:
    """Return the entry with the least expected loss for targets that are positive with `probability`: 2p / (1 + p)."""
    entry: np.ndarray = 2 * probability / (1 + probability)
    return entry


def weighted_losses(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and unweighted losses (S, T); raises as `rsna_log_loss`."""
    if labels.ndim != 2 or labels.shape[1] != TARGET_COUNT or labels.shape != probabilities.shape:
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape} must both be (studies, 8)")
    if not len(labels):
        raise ValueError("no study to score")
    bad = np.argwhere((labels != 0) & (labels != 1))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"label {labels[row, column]} in study {row}, target {column}, must be 0 or 1")
    bad = np.argwhere(~((probabilities >= 0) & (probabilities <= 1)))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"probability {probabilities[row, column]} in study {row}, target {column}, must be 0 … 1")
    positive = labels.astype(bool)
    kept = np.clip(probabilities, CLIP, 1 - CLIP)
    loss = -np.where(positive, np.log(kept), np.log1p(-kept))
    negative_T, positive_T = (
        np.array([overall, *[level] * 7]) for overall, level in zip(OVERALL_WEIGHTS, LEVEL_WEIGHTS, strict=True)
    )
    return np.where(positive, positive_T, negative_T), loss
