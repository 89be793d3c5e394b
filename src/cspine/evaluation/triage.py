"""Everything between the scores of a network and what the findings say, fitted on one tuning set.

Vertebra logits → calibrated probabilities at the prevalence asked for, a study probability, and a decision for each.
Order of steps: decisions are taken on logits, before any shift, so that no prevalence changes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logit

from cspine.domain import CERVICAL, Decision
from cspine.evaluation.calibration import FOLDS, Calibration, choose_calibration, fit_logistic, read_calibration
from cspine.evaluation.conformal import ConformalRule, ErrorLevels, fit_rule, least_cases, read_rule
from cspine.evaluation.intervals import Estimate
from cspine.evaluation.prevalence import Priors, priors_of, read_priors, shifted
from cspine.evaluation.resampling import ratio, resampled, study_draws
from cspine.evaluation.rsna import CLIP, OVERALL_WEIGHTS, submitted_probability
from cspine.evaluation.study_head import StudyHead, fit_study_head, noisy_or, read_study_head


@dataclass(frozen=True)
class TriageAnswer:
    """What is said of one study.

    Attributes
    ----------
    study, levels
        Probabilities p; ``None`` where not assessed.
    study_decision, level_decisions
        As the scores alone allow; whoever knows the coverage withholds the negatives of what is not seen whole.
    """

    study: float | None
    levels: tuple[float | None, ...]
    study_decision: Decision
    level_decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Triage:
    """Numbers of the tuning set.

    Attributes
    ----------
    calibration
        Of vertebra logits, one for all levels.
    priors
        Shares of the tuning set.
    level_rules
        C1 … C7, on vertebra logits.
    study_rule
        On the scores of `head`.
    head, head_calibration
        Study score from calibrated vertebra logits, and its probability p.
    chosen_on
        Name of the tuning set.
    """

    calibration: Calibration
    priors: Priors
    level_rules: tuple[ConformalRule, ...]
    study_rule: ConformalRule
    head: StudyHead
    head_calibration: Calibration
    chosen_on: str

    def __post_init__(self) -> None:
        if len(self.level_rules) != len(CERVICAL):
            raise ValueError(f"{len(self.level_rules)} rules of levels, must be {len(CERVICAL)}: C1 … C7")

    def probabilities(self, logits: np.ndarray, prevalence: float | None = None) -> np.ndarray:
        """Return p (…, 8), study and C1 … C7, of vertebra logits (…, 7); NaN where not assessed.

        Parameters
        ----------
        prevalence
            Share of fractured studies where the system is used; ``None`` for that of the tuning set.

        Raises
        ------
        ValueError
            The prevalence does not lie between 0 and 1.
        """
        levels = self.calibration.probability(logits)
        study = self.head_calibration.probability(self.study_score(logits))
        p = np.concatenate([study[..., None], levels], axis=-1)
        return p if prevalence is None else shifted(p, self.priors.row, self.priors.at(prevalence).row)

    def study_score(self, logits: np.ndarray) -> np.ndarray:
        """Return the score (…) of the study, which `study_rule` decides on, from vertebra logits (…, 7)."""
        return self.head.score(calibrated_logits(self.calibration, logits))

    def answer(self, logits: np.ndarray, prevalence: float | None = None) -> TriageAnswer:
        """Return what is said of one study from its vertebra logits (7,), NaN where not assessed."""
        study, *levels = (None if np.isnan(p) else float(p) for p in self.probabilities(logits, prevalence))
        decided = tuple(rule.decide(float(z)) for rule, z in zip(self.level_rules, logits, strict=True))
        score = float(self.study_score(np.asarray(logits)))
        return TriageAnswer(study, tuple(levels), study_decision(self.study_rule.decide(score), decided), decided)

    def document(self) -> dict[str, Any]:
        """Return plain JSON values, as a bundle's manifest holds them."""
        return {
            "calibration": self.calibration.document(),
            "priors": self.priors.document(),
            "level_rules": [rule.document() for rule in self.level_rules],
            "study_rule": self.study_rule.document(),
            "head": self.head.document(),
            "head_calibration": self.head_calibration.document(),
            "chosen_on": self.chosen_on,
        }


def read_triage(document: Mapping[str, Any]) -> Triage:
    """Return the triage that `document()` wrote.

    Raises
    ------
    ValueError
        A field is missing or impossible.
    """
    try:
        return Triage(
            read_calibration(document["calibration"]),
            read_priors(document["priors"]),
            tuple(read_rule(rule) for rule in document["level_rules"]),
            read_rule(document["study_rule"]),
            read_study_head(document["head"]),
            read_calibration(document["head_calibration"]),
            str(document["chosen_on"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"triage is not as it must be: {type(error).__name__}: {error}") from error


def study_decision(by_score: Decision, levels: tuple[Decision, ...]) -> Decision:
    """Return the decision about a study, in agreement with its levels.

    One level ruled in rules the study in. It is ruled out only when its own score and all levels are; a study without
    any level assessed is not assessed; anything else is what its score says, but never a rule-out.
    """
    if Decision.RULE_IN in levels:
        return Decision.RULE_IN
    if all(level is Decision.NOT_ASSESSED for level in levels):
        return Decision.NOT_ASSESSED
    if by_score is Decision.RULE_OUT and any(level is not Decision.RULE_OUT for level in levels):
        return Decision.UNCERTAIN
    return by_score


def calibrated_logits(calibration: Calibration, logits: np.ndarray) -> np.ndarray:
    """Return the logits of calibrated probabilities, NaN kept."""
    p = np.clip(calibration.probability(logits), 1e-6, 1 - 1e-6)
    z: np.ndarray = logit(p)
    return z


def fit_triage(
    logits: np.ndarray,
    labels: np.ndarray,
    chosen_on: str,
    *,
    level_errors: ErrorLevels | None = None,
    study_errors: ErrorLevels | None = None,
    whole: np.ndarray | None = None,
    seed: int = 0,
) -> Triage:
    """Fit everything on a tuning set that the network did not see.

    Scores of studies are taken out of fold before their thresholds are, since the head is fitted on the same studies.
    A level with too few fractures or too few others for its error levels shares the rule of all levels.

    Parameters
    ----------
    logits
        (S, 7), NaN where not assessed.
    labels
        (S, 8), 0 or 1: study, C1 … C7.
    whole
        (R, 7) of other scans, without a fracture: of another kind than the tuning set, as real ones beside phantoms
        are. Limits of rule-in are raised until none of them is ruled in; nothing else rests on them.

    Raises
    ------
    ValueError
        Another shape, or a class is missing.
    """
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if z.ndim != 2 or y.shape != (len(z), z.shape[1] + 1):
        raise ValueError(f"logits {z.shape} must be (studies, 7) and labels {y.shape} (studies, 8)")
    rng, priors = np.random.default_rng(seed), priors_of(y)
    level_errors, study_errors = level_errors or ErrorLevels(), study_errors or ErrorLevels()
    studies = np.repeat(np.arange(len(z)), z.shape[1])
    calibration = choose_calibration(z.ravel(), y[:, 1:].ravel(), studies, rng)
    calibrated = calibrated_logits(calibration, z)
    missing = logit(np.array(priors.levels))
    apart = _out_of_fold(calibrated, y[:, 0], missing, rng)
    triage = Triage(
        calibration,
        priors,
        _level_rules(z, y[:, 1:], level_errors),
        fit_rule(apart, y[:, 0], study_errors),
        fit_study_head(calibrated, y[:, 0], missing),
        fit_logistic(apart, y[:, 0]),
        chosen_on,
    )
    return triage if whole is None else _sparing(triage, np.asarray(whole, dtype=np.float64))


def _sparing(triage: Triage, whole: np.ndarray) -> Triage:
    """Return a triage that rules in no scan and no vertebra of scans without a fracture, logits (R, 7)."""
    if whole.ndim != 2:
        raise ValueError(f"logits of scans without a fracture {whole.shape} must be (scans, 7)")
    return replace(
        triage,
        level_rules=tuple(rule.sparing(whole) for rule in triage.level_rules),
        study_rule=triage.study_rule.sparing(triage.study_score(whole)),
    )


@dataclass(frozen=True)
class HeadComparison:
    """The weighted loss of the challenge's study column, of the head and of noisy-OR over calibrated vertebrae.

    Attributes
    ----------
    difference
        Head − noisy-OR on the same draws of studies: below 0 the head is better.
    """

    head: Estimate
    noisy_or: Estimate
    difference: Estimate


def head_against_noisy_or(
    triage: Triage, logits: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> HeadComparison:
    """Compare the study head with noisy-OR on studies that neither was fitted on.

    Parameters
    ----------
    logits
        (S, 7), NaN where not assessed; a study without any is left out.
    labels
        (S,) of studies, 0 or 1.

    Raises
    ------
    ValueError
        Another shape, or a label that is not 0 or 1.
    """
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if z.ndim != 2 or y.shape != (len(z),) or not ((y == 0) | (y == 1)).all():
        raise ValueError(f"logits {z.shape} must be (studies, 7) and labels {y.shape} (studies,), 0 or 1")
    known = ~np.isnan(z).all(axis=1)
    z, y = z[known], y[known]
    joined = noisy_or(triage.calibration.probability(z))
    own = triage.head_calibration.probability(triage.study_score(z))
    weight = np.where(y == 1, OVERALL_WEIGHTS[1], OVERALL_WEIGHTS[0])
    lost = [weight * _loss_of(submitted_probability(p), y) for p in (own, joined)]
    draws = study_draws(np.arange(len(y)), rng)
    head, baseline, gap = (resampled(ratio(top, weight), draws) for top in (lost[0], lost[1], lost[0] - lost[1]))
    return HeadComparison(head, baseline, gap)


def _loss_of(q: np.ndarray, labels: np.ndarray) -> np.ndarray:
    kept = np.clip(q, CLIP, 1 - CLIP)
    loss: np.ndarray = -np.where(labels == 1, np.log(kept), np.log1p(-kept))
    return loss


def _level_rules(logits: np.ndarray, labels: np.ndarray, errors: ErrorLevels) -> tuple[ConformalRule, ...]:
    shared = fit_rule(logits.ravel(), labels.ravel(), errors)
    own = [fit_rule(logits[:, k], labels[:, k], errors) for k in range(logits.shape[1])]
    least = least_cases(errors.miss), least_cases(errors.false_alarm)
    return tuple(r if r.positives >= least[0] and r.negatives >= least[1] else shared for r in own)


def _out_of_fold(logits: np.ndarray, labels: np.ndarray, missing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return study scores (S,), each of a head that was fitted without its fold; folds hold equal shares of both."""
    fold = np.zeros(len(logits), dtype=int)
    for value in (0, 1):
        members = np.flatnonzero(labels == value)
        fold[rng.permutation(members)] = np.arange(members.size) % FOLDS
    scores = np.full(len(logits), np.nan)
    for k in range(FOLDS):
        out = fold == k
        scores[out] = fit_study_head(logits[~out], labels[~out], missing).score(logits[out])
    return scores
