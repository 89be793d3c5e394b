"""An evaluation as JSON and CSV: every figure, every curve, every answer."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from cspine.evaluation import TARGETS, DetectorEvaluation, Estimate
from cspine.report.document import INTENDED_USE

EVALUATION_SCHEMA = "1.0"


@dataclass(frozen=True)
class EvaluationTitle:
    """What was evaluated, on what, and when: printed on the page.

    Attributes
    ----------
    system
        Bundle, or where the answers came from.
    system_id
        Identity of the bundle; empty without one.
    data
        Name of the set.
    date
        ``YYYY-MM-DD``, given by the caller.
    phantom
        Whether the studies are computed phantoms.
    notes
        What of the set could not be used, in words.
    """

    system: str
    system_id: str
    data: str
    software: str
    date: str
    phantom: bool
    notes: tuple[str, ...] = ()


def evaluation_json(evaluation: DetectorEvaluation, title: EvaluationTitle) -> bytes:
    """Return everything as one JSON document, UTF-8; what is not a number is ``null``."""
    settings = evaluation.settings
    document = {
        "schema_version": EVALUATION_SCHEMA,
        "system": {"name": title.system, "id": title.system_id},
        "data": title.data,
        "phantom": title.phantom,
        "date": title.date,
        "software": title.software,
        "studies": len(evaluation.scored),
        "settings": {
            "priors": settings.priors.document(),
            "stated_at": settings.stated_at,
            "scored_at": settings.scored_at,
            "draws": settings.draws,
            "seed": settings.seed,
        },
        "figures": [
            {"section": f.section.value, "name": f.name, "target": f.target, "group": f.group, **_estimate(f.estimate)}
            for f in evaluation.figures
        ],
        "curves": [
            {
                "kind": plot.kind,
                "target": plot.target,
                "points": [{"x": p.x, **_estimate(p.estimate)} for p in plot.points],
            }
            for plot in evaluation.plots
        ],
        "worst": [
            {
                "study_instance_uid": case.uid,
                "vertebra": case.vertebra.name,
                "fractured": case.fractured,
                "probability": case.probability,
                "decision": case.decision.value,
                "story": case.story,
            }
            for case in evaluation.worst
        ],
        "refused": dict(evaluation.refused),
        "notes": list(title.notes),
        "intended_use": INTENDED_USE,
    }
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(
        "utf-8", errors="replace"
    )


def figures_csv(evaluation: DetectorEvaluation) -> bytes:
    """Return one row for each figure: section, name, target, group, value, low, high, n."""
    rows = [(f.section.value, f.name, f.target, f.group, *_cells(f.estimate), f.estimate.n) for f in evaluation.figures]
    return _csv(("section", "name", "target", "group", "value", "low", "high", "n"), rows)


def curves_csv(evaluation: DetectorEvaluation) -> bytes:
    """Return one row for each point of a curve."""
    rows = [(c.kind, c.target, f"{p.x:.6g}", *_cells(p.estimate)) for c in evaluation.plots for p in c.points]
    return _csv(("kind", "target", "x", "y", "low", "high"), rows)


def studies_csv(evaluation: DetectorEvaluation) -> bytes:
    """Return one row for each study and target: label, probability as scored, decision, reason."""
    rows = []
    for s, (truth, answer) in enumerate(zip(evaluation.scored.truths, evaluation.scored.answers, strict=True)):
        for t, target in enumerate(TARGETS):
            p = float(evaluation.scored.given[s, t])
            reason = answer.reasons[t] or (answer.refusal if not t else "")
            cells = (truth.labels[t], f"{p:.6g}" if isfinite(p) else "", answer.decisions[t].value, reason)
            rows.append((truth.uid, target, *cells))
    return _csv(("StudyInstanceUID", "target", "label", "probability", "decision", "reason"), rows)


def _estimate(estimate: Estimate) -> dict[str, Any]:
    values = (("value", estimate.value), ("low", estimate.low), ("high", estimate.high))
    return {**{name: float(v) if isfinite(v) else None for name, v in values}, "n": estimate.n}


def _cells(estimate: Estimate) -> tuple[str, str, str]:
    value, low, high = (f"{v:.6g}" if isfinite(v) else "" for v in (estimate.value, estimate.low, estimate.high))
    return value, low, high


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue().encode("utf-8", errors="replace")
