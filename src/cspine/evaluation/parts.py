"""Figures of parts of a set: by what the scan is like, by what the fracture is like, by what only looks like one."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from cspine.domain import CERVICAL, Decision
from cspine.evaluation.decisions import ABSTAINED, MISSED, SENSITIVITY, SPECIFICITY, decision_figures
from cspine.evaluation.ranking import Ranking
from cspine.evaluation.resampling import resampled
from cspine.evaluation.rows import VERTEBRA, Figure, Rows, Section, rows_of
from cspine.evaluation.scored import TARGETS, ScoredSet

# A part smaller than this has an interval as wide as the scale.
LEAST_STUDIES = 5
NOT_KNOWN = "not known"
_SHOWN = (SENSITIVITY, SPECIFICITY, MISSED, ABSTAINED)
FIXED_SPECIFICITY = 0.95
AT_FIXED = f"sensitivity at {FIXED_SPECIFICITY:.0%} specificity of all"


def subgroup_figures(scored: ScoredSet, weights_DS: np.ndarray) -> Iterator[Figure]:
    """Yield the main figures of each part with at least `LEAST_STUDIES` studies, by every trait that differs."""
    names = sorted({name for truth in scored.truths for name in truth.traits})
    for name in names:
        values = np.array([truth.traits.get(name, NOT_KNOWN) for truth in scored.truths])
        kinds = sorted(set(values.tolist()), key=_rank)
        if len(kinds) < 2:
            continue
        for kind in kinds:
            keep = values == kind
            if keep.sum() >= LEAST_STUDIES:
                part = scored.part(keep)
                yield from _main_figures(part, weights_DS[:, keep], f"{name}: {kind}")


def _rank(kind: str) -> tuple[int, str]:
    """Return what parts are sorted by: up to a limit first, above a limit last."""
    return {"≤": 0, ">": 2}.get(kind[:1], 1), kind


def _main_figures(part: ScoredSet, weights_DS: np.ndarray, group: str) -> Iterator[Figure]:
    for target in (TARGETS[0], VERTEBRA):
        rows = rows_of(part, target, weights_DS)
        auc = resampled(Ranking(rows.labels, rows.probabilities).auc, rows.weights)
        yield Figure(Section.SUBGROUPS, "AUC", target, auc, group)
        for figure in decision_figures(rows):
            if figure.name in _SHOWN:
                yield replace(figure, section=Section.SUBGROUPS, group=group)


def kind_figures(scored: ScoredSet, weights_DS: np.ndarray) -> Iterator[Figure]:
    """Yield sensitivity of levels by severity and type of their fractures, and false alarms by mimic.

    A level counts under each of its types, and under its highest severity.
    """
    rows = rows_of(scored, VERTEBRA, weights_DS)
    if not (rows.labels == 1).any():
        return
    threshold = Ranking(rows.labels, rows.probabilities).threshold_for(specificity=FIXED_SPECIFICITY)
    known = [truth.kinds_of(v) for truth in scored.truths for v in CERVICAL]
    fractured = rows.labels == 1
    groups: dict[str, np.ndarray] = {}
    for severity in sorted({s for _, s in known if s is not None}):
        groups[f"severity: {severity}"] = np.array([s == severity for _, s in known])
    for kind in sorted({t for types, _ in known for t in types}):
        groups[f"type: {kind}"] = np.array([kind in types for types, _ in known])
    for group, members in groups.items():
        yield from _found_figures(rows, members & fractured, group, threshold)
    yield from _mimic_figures(scored, rows)


def _found_figures(rows: Rows, members: np.ndarray, group: str, threshold: float) -> Iterator[Figure]:
    shares: Mapping[str, np.ndarray] = {
        SENSITIVITY: rows.said(Decision.RULE_IN),
        MISSED: rows.said(Decision.RULE_OUT),
        AT_FIXED: rows.probabilities >= threshold,
    }
    for name, what in shares.items():
        yield Figure(Section.KINDS, name, VERTEBRA, rows.share(what, members), group)


def _mimic_figures(scored: ScoredSet, rows: Rows) -> Iterator[Figure]:
    mimics = [truth.mimics.get(v, ()) for truth in scored.truths for v in CERVICAL]
    named = np.array([v in answer.mimics for answer in scored.answers for v in CERVICAL])
    intact = rows.labels == 0
    kinds = sorted({kind for own in mimics for kind in own})
    if not kinds:
        return
    groups = {
        "mimic: none": np.array([not own for own in mimics]),
        "mimic: any": np.array([bool(own) for own in mimics]),
        **{f"mimic: {kind}": np.array([kind in own for own in mimics]) for kind in kinds},
    }
    for group, members in groups.items():
        alarm = rows.share(rows.said(Decision.RULE_IN), members & intact)
        yield Figure(Section.KINDS, "not fractured called rule-in", VERTEBRA, alarm, group)
        told = rows.share(named, members & intact)
        yield Figure(Section.KINDS, "not fractured, a mimic named", VERTEBRA, told, group)
