"""How good answers to whole studies are, and by how much one system is better than another on the same studies.

Legend: S studies, L levels, T = 1 + L targets. Intervals redraw studies.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cspine.evaluation import (
    Confusion,
    Estimate,
    Normalization,
    Ranking,
    confusion,
    resampled,
    rsna_log_loss,
    study_draws,
    weighted_losses,
)
from cspine.training.recipes.answers import StudyAnswers

# The challenge scores the study and seven levels; sets with other levels have no such loss.
RSNA_TARGETS = 8
Weighted = tuple[np.ndarray, np.ndarray]


def fused(answers: Sequence[StudyAnswers]) -> StudyAnswers:
    """Return the mean answers of several cuts of the same studies."""
    if any(a.studies != answers[0].studies for a in answers):
        raise ValueError("only answers to the same studies in the same order are fused")
    return replace(answers[0], probability=np.mean([a.probability for a in answers], axis=0))


def log_losses(answers: StudyAnswers) -> dict[str, float]:
    """Return the weighted log loss in its three normalizations; nothing for other than seven levels."""
    if answers.truth.shape[1] != RSNA_TARGETS:
        return {}
    return {how.value: rsna_log_loss(answers.truth, answers.probability, how) for how in Normalization}


def level_confusions(answers: StudyAnswers, targets: Sequence[str]) -> dict[str, Confusion]:
    """Return counts at 0.5 of each target."""
    return {name: confusion(answers.truth[:, k], answers.probability[:, k]) for k, name in enumerate(targets)}


def log_loss(answers: StudyAnswers) -> Estimate:
    """Return the global weighted log loss with an interval over studies."""
    top, bottom = _loss_parts(answers)
    return resampled(lambda w: (w @ top) / (w @ bottom), _draws(answers))


def test_words(answers: StudyAnswers) -> str:
    """Return the AUC over all levels and, of C1 to C7, the weighted log loss of a test part as one line."""
    words, losses = f"test: AUC over all levels {level_auc(answers)} studies", log_losses(answers)
    if not losses:
        return words
    three = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
    return f"{words}, weighted log loss {log_loss(answers)} ({three})"


def log_loss_gain(new: StudyAnswers, old: StudyAnswers) -> Estimate:
    """Return by how much the loss of `old` is above that of `new`, paired by study; above 0 the new one is better."""
    _check(new, old)
    (new_top, bottom), (old_top, _) = _loss_parts(new), _loss_parts(old)
    return resampled(lambda w: (w @ (old_top - new_top)) / (w @ bottom), _draws(new))


def level_auc(answers: StudyAnswers) -> Estimate:
    """Return the AUC over all levels of all studies, with an interval over studies."""
    ranking, weights = _level_ranking(answers), _level_draws(answers)
    return resampled(ranking.auc, weights, len(answers.studies))


def level_auc_gain(new: StudyAnswers, old: StudyAnswers) -> Estimate:
    """Return by how much the AUC over all levels rises, paired by study."""
    _check(new, old)
    first, second = _level_ranking(new), _level_ranking(old)
    return resampled(lambda w: first.auc(w) - second.auc(w), _level_draws(new), len(new.studies))


def _loss_parts(answers: StudyAnswers) -> Weighted:
    """Return Σ wL and Σ w of each study (S,)."""
    weight_ST, loss_ST = weighted_losses(answers.truth, answers.probability)
    return (weight_ST * loss_ST).sum(axis=1), weight_ST.sum(axis=1)


def _level_ranking(answers: StudyAnswers) -> Ranking:
    return Ranking(answers.truth[:, 1:].ravel(), answers.probability[:, 1:].ravel())


def _draws(answers: StudyAnswers) -> np.ndarray:
    return study_draws(np.array(answers.studies), np.random.default_rng(0))


def _level_draws(answers: StudyAnswers) -> np.ndarray:
    levels = answers.truth.shape[1] - 1
    return study_draws(np.repeat(np.array(answers.studies), levels), np.random.default_rng(0))


def _check(new: StudyAnswers, old: StudyAnswers) -> None:
    if new.studies != old.studies:
        raise ValueError("a paired comparison needs the same studies in the same order")
