"""`evaluation.html`: one self-contained page for a radiologist and a statistician. No script, nothing loaded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cspine.domain import Vertebra
from cspine.evaluation import RSNA_PRIORS, VERTEBRA, DetectorEvaluation, Section, WorstCase
from cspine.report.document import INTENDED_USE
from cspine.report.html import TEMPLATES
from cspine.report.pictures import Picture
from cspine.report.scores.charts import figure_text
from cspine.report.scores.parts import STUDY, Figures, parts_of
from cspine.report.scores.tables import EvaluationTitle

CasePictures = Mapping[tuple[str, Vertebra], tuple[Picture, ...]]
_HIT = "IoU > 0.2"


@dataclass(frozen=True)
class _Fact:
    """A number in large print."""

    name: str
    value: str
    rest: str


def evaluation_html(
    evaluation: DetectorEvaluation, title: EvaluationTitle, pictures: CasePictures | None = None
) -> bytes:
    """Return the page as UTF-8; text from files is escaped.

    Parameters
    ----------
    pictures
        Of the worst cases, by study and level; those without one are told in words.
    """
    parts = parts_of(evaluation)
    cases = [(c, (pictures or {}).get((c.uid, c.vertebra), ())) for c in evaluation.worst]
    page = TEMPLATES.get_template("evaluation.html.jinja").render(
        title=title,
        facts=_facts(evaluation),
        parts=parts,
        misses=[(case, drawn) for case, drawn in cases if case.fractured],
        alarms=[(case, drawn) for case, drawn in cases if not case.fractured],
        refused=evaluation.refused,
        counts=_counts(evaluation),
        method=_method(evaluation),
        said=_said,
        anchor=lambda text: re.sub(r"[^a-z]+", "-", text.lower()),
        intended_use=INTENDED_USE,
    )
    return page.encode("utf-8", errors="replace")


def _facts(evaluation: DetectorEvaluation) -> list[_Fact]:
    figures = Figures(evaluation)
    prevalence = f"{RSNA_PRIORS.study:.1%}"
    wanted: tuple[tuple[str, Section, str, str, str], ...] = (
        ("AUC, study", Section.DISCRIMINATION, "AUC", STUDY, "all"),
        ("AUC, vertebra", Section.DISCRIMINATION, "AUC", VERTEBRA, "all"),
        ("weighted log loss of q", Section.LOSS, "weighted log loss of q, global", "all targets", "all"),
        ("fractured studies ruled out", Section.DECISIONS, "fractured called rule-out", STUDY, "all"),
        ("abstention, study", Section.DECISIONS, "abstention", STUDY, "all"),
        ("sensitivity at 1 false box per study", Section.BOXES, "sensitivity at 1 false per study", "box", _HIT),
        (
            f"box PPV, levels ruled in, prevalence {prevalence}",
            Section.BOXES,
            f"PPV, boxes of levels ruled in, prevalence {prevalence}",
            "box",
            _HIT,
        ),
        ("level of a right box", Section.BOXES, "level right, of right boxes", "box", _HIT),
    )
    found = []
    for name, section, figure, target, group in wanted:
        text = figure_text(figures.get(section, figure, target, group))
        value, _, rest = text.partition(" ")
        if value != "–":
            found.append(_Fact(name, value, rest.strip("()")))
    return found


def _counts(evaluation: DetectorEvaluation) -> str:
    labels = evaluation.scored.labels
    return (
        f"{len(labels)} studies, {int(labels[:, 0].sum())} with a fracture; {int(labels[:, 1:].sum())} fractured of "
        f"{labels[:, 1:].size} vertebrae"
    )


def _method(evaluation: DetectorEvaluation) -> list[str]:
    settings = evaluation.settings
    stated = (
        "in the tuning set"
        if settings.stated_at is None
        else f"where {settings.stated_at:.1%} of studies are fractured"
    )
    moved = (
        "they were scored as they are" if settings.scored_at is None else f"they were moved to {settings.scored_at:.1%}"
    )
    return [
        f"Intervals are 95 %, from {settings.draws} draws of whole studies (seed {settings.seed}); single bins have "
        "Wilson's.",
        f"The given probabilities hold {stated}; {moved}. What was not assessed carries "
        f"its prior (study {settings.priors.study:.1%}).",
        "Entries q = 2p / (1 + p) are those that the challenge's loss is least at; findings show p.",
        "A study without an answer is one in which nothing was assessed.",
    ]


def _said(case: WorstCase) -> str:
    if case.probability is None:
        return case.decision.value
    return f"{case.decision.value}, {case.probability:.1%}"
