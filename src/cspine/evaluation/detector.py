"""Score a fracture detector on studies with known truth: every figure, every curve, and the worst cases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cspine.domain import CERVICAL, Decision, Vertebra
from cspine.evaluation.comparison import comparison_figures
from cspine.evaluation.decisions import decision_figures, operating_figures
from cspine.evaluation.froc import FALSE_PER_STUDY, FreeResponse, Hit
from cspine.evaluation.intervals import Estimate
from cspine.evaluation.parts import kind_figures, subgroup_figures
from cspine.evaluation.prevalence import RSNA_PRIORS, Priors, shifted
from cspine.evaluation.ranking import Ranking
from cspine.evaluation.readers import ReaderCalls, reader_figures
from cspine.evaluation.reliability import Reliability
from cspine.evaluation.resampling import DRAWS, Statistic, at_the_edge, quotient, resampled, study_draws
from cspine.evaluation.rows import ALL_TARGETS, VERTEBRA, Figure, Section, rows_of
from cspine.evaluation.rsna import COLUMN_WEIGHTS, Normalization, submitted_probability, weighted_losses
from cspine.evaluation.scored import TARGETS, ScoredSet, StudyAnswer, StudyTruth

BOX = "box"
_SLOW_DRAWS = 300


@dataclass(frozen=True)
class EvaluationSettings:
    """How a set is scored.

    Attributes
    ----------
    priors
        Of the tuning set: what stands for levels that were not assessed.
    stated_at
        Share of fractured studies that the given probabilities hold for; ``None`` for that of the tuning set.
    scored_at
        Share that they are moved to before they are scored; ``None`` to leave them as they are.
    worst
        Misses, and false alarms, to name.
    """

    priors: Priors = RSNA_PRIORS
    stated_at: float | None = None
    scored_at: float | None = None
    draws: int = DRAWS
    seed: int = 0
    worst: int = 6


@dataclass(frozen=True)
class PlotPoint:
    """A point of a curve; `estimate` is the vertical one, with an interval where it has one."""

    x: float
    estimate: Estimate


@dataclass(frozen=True)
class Plot:
    """One curve: ``"roc"``, ``"precision-recall"``, ``"reliability"`` or ``"froc"``."""

    kind: str
    target: str
    points: tuple[PlotPoint, ...]


@dataclass(frozen=True)
class WorstCase:
    """A level that was judged most wrongly.

    Attributes
    ----------
    probability
        ``None`` where it was not assessed.
    story
        Types, severity, mimics, reason: what is known of it.
    """

    uid: str
    vertebra: Vertebra
    fractured: bool
    probability: float | None
    decision: Decision
    story: str


@dataclass(frozen=True, eq=False)
class DetectorEvaluation:
    """What came of it.

    Attributes
    ----------
    scored
        Probabilities as they were scored.
    refused
        Reason by study.
    """

    settings: EvaluationSettings
    scored: ScoredSet
    figures: tuple[Figure, ...]
    plots: tuple[Plot, ...]
    worst: tuple[WorstCase, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    def find(self, section: Section, name: str, target: str, group: str = "all") -> Estimate:
        """Return one figure.

        Raises
        ------
        KeyError
            There is none of that name.
        """
        for figure in self.figures:
            if (figure.section, figure.name, figure.target, figure.group) == (section, name, target, group):
                return figure.estimate
        raise KeyError(f"{section.value}: {name}, {target}, {group}")


def evaluate_detector(
    truths: Sequence[StudyTruth],
    answers: Sequence[StudyAnswer],
    settings: EvaluationSettings | None = None,
    readers: Sequence[ReaderCalls] = (),
    others: Mapping[str, Sequence[StudyAnswer]] | None = None,
) -> DetectorEvaluation:
    """Score answers beside truths of the same studies, in the same order.

    Parameters
    ----------
    others
        Answers of other systems to the same studies, by name; their probabilities hold for the share of
        `settings.stated_at` as well.

    Raises
    ------
    ValueError
        No study, other studies, or an impossible prevalence.
    """
    settings = settings or EvaluationSettings()
    scored = _at_prevalence(ScoredSet(truths, answers, settings.priors), settings)
    rng = np.random.default_rng(settings.seed)
    weights = study_draws(np.arange(len(scored)), rng, settings.draws)
    figures: list[Figure] = []
    plots: list[Plot] = []
    for target in ALL_TARGETS:
        figures += _target_figures(scored, target, weights)
        plots += _target_plots(scored, target)
    figures += _loss_figures(scored, weights)
    for hit in Hit:
        boxes = FreeResponse(scored.truths, scored.answers, hit)
        if boxes.studies and boxes.true_S.any():
            figures += _box_figures(boxes, boxes.kept(weights))
            plots.append(_froc_plot(boxes))
    figures += [*subgroup_figures(scored, weights), *kind_figures(scored, weights)]
    figures += [*reader_figures(scored, readers, weights), *_cost_figures(scored, weights)]
    for name, given in (others or {}).items():
        other = _at_prevalence(ScoredSet(truths, given, settings.priors), settings)
        figures += comparison_figures(scored, other, weights, f"beside: {name}")
    refused = {answer.uid: answer.refusal for answer in scored.answers if answer.refusal}
    return DetectorEvaluation(settings, scored, tuple(figures), tuple(plots), _worst(scored, settings.worst), refused)


def _at_prevalence(scored: ScoredSet, settings: EvaluationSettings) -> ScoredSet:
    stated = settings.priors if settings.stated_at is None else settings.priors.at(settings.stated_at)
    wanted = stated if settings.scored_at is None else settings.priors.at(settings.scored_at)
    return scored.moved(shifted(scored.given, stated.row, wanted.row), wanted)


def _target_figures(scored: ScoredSet, target: str, weights: np.ndarray) -> Iterator[Figure]:
    rows = rows_of(scored, target, weights)
    ranking, few = Ranking(rows.labels, rows.probabilities), rows.weights[:_SLOW_DRAWS]
    share = rows.share(rows.labels == 1, np.ones(len(rows.labels), dtype=bool))
    yield Figure(Section.DISCRIMINATION, "share of fractured", target, share)
    yield Figure(Section.DISCRIMINATION, "AUC", target, resampled(ranking.auc, rows.weights))
    yield Figure(
        Section.DISCRIMINATION, "average precision", target, resampled(ranking.average_precision, rows.weights)
    )
    meant = Reliability(rows.labels, rows.probabilities)
    calibrated: tuple[tuple[str, Statistic, np.ndarray], ...] = (
        ("slope", meant.slope, few),
        ("intercept", meant.intercept, few),
        ("ECE", meant.ece, rows.weights),
        ("Brier", meant.brier, rows.weights),
        ("Brier skill", meant.brier_skill, rows.weights),
    )
    for name, statistic, draws in calibrated:
        yield Figure(Section.CALIBRATION, name, target, resampled(statistic, draws))
    yield from decision_figures(rows)
    yield from operating_figures(rows)


def _target_plots(scored: ScoredSet, target: str) -> Iterator[Plot]:
    rows = rows_of(scored, target, np.ones((1, len(scored))))
    if len(set(rows.labels.tolist())) == 2:
        ranking = Ranking(rows.labels, rows.probabilities)
        for kind, curve in (("roc", ranking.roc()), ("precision-recall", ranking.precision_recall())):
            yield Plot(kind, target, _points(curve.x, curve.y))
    bins = Reliability(rows.labels, rows.probabilities).bins()
    yield Plot("reliability", target, tuple(PlotPoint(b.predicted, b.observed) for b in bins))


def _points(x: np.ndarray, y: np.ndarray) -> tuple[PlotPoint, ...]:
    """Return points without an interval; of a straight stretch only the ends."""
    keep = np.ones(len(x), dtype=bool)
    along, up = np.diff(x), np.diff(y)
    if len(x) > 2:
        keep[1:-1] = ~(((along[:-1] == 0) & (along[1:] == 0)) | ((up[:-1] == 0) & (up[1:] == 0)))
    nan = float("nan")
    return tuple(PlotPoint(float(a), Estimate(float(b), nan, nan, 0)) for a, b in zip(x[keep], y[keep], strict=True))


def _loss_figures(scored: ScoredSet, weights: np.ndarray) -> Iterator[Figure]:
    """Yield the challenge's loss of q and p; levels not assessed carry their prior."""
    entries = {"q": submitted_probability(scored.filled), "p": scored.filled}
    prior = np.broadcast_to(scored.priors.row, scored.filled.shape)
    entries["q of the priors alone"] = submitted_probability(prior)
    for entry, values in entries.items():
        weight, loss = weighted_losses(scored.labels, values)
        for how, statistic in _normalized(weight, loss).items():
            estimate = resampled(statistic, weights)
            yield Figure(Section.LOSS, f"weighted log loss of {entry}, {how.value}", "all targets", estimate)
    weight, loss = weighted_losses(scored.labels, entries["q"])
    for k, target in enumerate(TARGETS):
        top, bottom = (weight * loss)[:, k], weight[:, k]
        statistic = _quotient_of(top, bottom)
        yield Figure(Section.LOSS, "weighted log loss of q, column", target, resampled(statistic, weights))


def _quotient_of(top: np.ndarray, bottom: np.ndarray) -> Statistic:
    return lambda weights: quotient(weights @ top, weights @ bottom)


def _normalized(weight_ST: np.ndarray, loss_ST: np.ndarray) -> dict[Normalization, Statistic]:
    lost = weight_ST * loss_ST
    rows = lost.sum(axis=1) / weight_ST.sum(axis=1)
    columns = _quotient_of(lost, weight_ST)
    return {
        Normalization.GLOBAL: _quotient_of(lost.sum(axis=1), weight_ST.sum(axis=1)),
        Normalization.COLUMN: lambda w: columns(w) @ COLUMN_WEIGHTS / COLUMN_WEIGHTS.sum(),
        Normalization.ROW: _quotient_of(rows, np.ones(len(rows))),
    }


def _box_figures(boxes: FreeResponse, weights: np.ndarray) -> Iterator[Figure]:
    group = boxes.hit.value
    everything = np.ones(len(boxes.matched), dtype=bool)
    points = {"all boxes": everything, "boxes of levels ruled in": boxes.ruled_in()}
    for false in FALSE_PER_STUDY:
        name = f"sensitivity at {false:g} false per study"
        estimate = resampled(boxes.sensitivity_at(false), weights, int(boxes.true_S.sum()))
        estimate = at_the_edge(estimate, int((boxes.true_S > 0).sum()))
        yield Figure(Section.BOXES, name, BOX, estimate, group)
    for name, chosen in points.items():
        yield Figure(Section.BOXES, f"sensitivity, {name}", BOX, boxes.sensitivity(weights, chosen), group)
        yield Figure(
            Section.BOXES, f"false boxes per study, {name}", BOX, boxes.false_per_study(weights, chosen), group
        )
        yield Figure(Section.BOXES, f"PPV, {name}", BOX, boxes.precision(weights, chosen), group)
        for prevalence in (RSNA_PRIORS.study, 0.05):
            ppv = boxes.precision(weights, chosen, prevalence)
            yield Figure(Section.BOXES, f"PPV, {name}, prevalence {prevalence:.1%}", BOX, ppv, group)
    yield Figure(Section.BOXES, "level right, of right boxes", BOX, boxes.level_right(weights), group)
    told, right = boxes.type_told(weights)
    yield Figure(Section.BOXES, "type suggested, of right boxes", BOX, told, group)
    yield Figure(Section.BOXES, "type right, of suggested", BOX, right, group)


def _froc_plot(boxes: FreeResponse) -> Plot:
    false, found, _ = boxes.curve()
    return Plot("froc", boxes.hit.value, _points(false, found))


def _cost_figures(scored: ScoredSet, weights: np.ndarray) -> Iterator[Figure]:
    """Yield medians, and the highest; an interval of a median comes from the draws."""
    seconds = np.array([sum(a.seconds.values()) if a.seconds else np.nan for a in scored.answers])
    memory = np.array([np.nan if a.peak_mb is None else a.peak_mb for a in scored.answers])
    stages = sorted({stage for answer in scored.answers for stage in answer.seconds})
    measured = {"seconds": seconds, "peak memory, MB": memory}
    measured |= {
        f"seconds, {stage}": np.array([a.seconds.get(stage, np.nan) for a in scored.answers]) for stage in stages
    }
    for name, values in measured.items():
        known = np.isfinite(values)
        if not known.any():
            continue
        own = values[known]
        few = weights[:_SLOW_DRAWS, known]
        for word, share in (("median", 0.5), ("95th percentile", 0.95)):
            yield Figure(Section.COST, f"{name}, {word}", "study", resampled(_quantile(own, share), few))
        highest = float(own.max())
        yield Figure(Section.COST, f"{name}, highest", "study", Estimate(highest, float("nan"), float("nan"), len(own)))


def _quantile(values: np.ndarray, share: float) -> Statistic:
    order = np.argsort(values)

    def statistic(weights: np.ndarray) -> np.ndarray:
        mass = np.cumsum(weights[:, order], axis=1)
        place = (mass < share * mass[:, -1:] - 1e-12).sum(axis=1)
        return np.where(mass[:, -1] > 0, values[order][np.minimum(place, len(values) - 1)], np.nan)

    return statistic


def _worst(scored: ScoredSet, count: int) -> tuple[WorstCase, ...]:
    """Return the fractured levels with the lowest scores and the others with the highest; of a study one of each."""
    p = scored.filled[:, 1:]
    found: list[WorstCase] = []
    for fractured in (True, False):
        rows, columns = np.nonzero(scored.labels[:, 1:] == int(fractured))
        sign, seen = (1 if fractured else -1), set[int]()
        for k in np.argsort(sign * p[rows, columns], kind="stable"):
            s, v = int(rows[k]), int(columns[k])
            if len(seen) < count and s not in seen:
                seen.add(s)
                found.append(_worst_case(scored, s, CERVICAL[v], fractured))
    return tuple(found)


def _worst_case(scored: ScoredSet, s: int, vertebra: Vertebra, fractured: bool) -> WorstCase:
    truth, answer, k = scored.truths[s], scored.answers[s], int(vertebra)
    types, severity = truth.kinds_of(vertebra)
    parts = [", ".join(types), "" if severity is None else f"severity {severity}"]
    mimics = truth.mimics.get(vertebra, ())
    parts += [f"mimic: {', '.join(mimics)}" if mimics else "", answer.reasons[k] or "", answer.refusal]
    given = scored.given[s, k]
    return WorstCase(
        truth.uid,
        vertebra,
        fractured,
        None if np.isnan(given) else float(given),
        answer.decisions[k],
        "; ".join(part for part in parts if part),
    )


__all__ = [
    "BOX",
    "VERTEBRA",
    "DetectorEvaluation",
    "EvaluationSettings",
    "Plot",
    "PlotPoint",
    "WorstCase",
    "evaluate_detector",
]
