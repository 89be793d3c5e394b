"""Explore a set: measure every study once, draw, write the page."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cspine.datasets.explore.exhibits import sections
from cspine.datasets.explore.material import Material, PanelPlan, Section
from cspine.datasets.explore.measure import MeasurePlan, measure_study
from cspine.datasets.explore.page import FIGURES, Heading, render_page
from cspine.datasets.index import OVERALL
from cspine.datasets.labeled_study import StudyFiles
from cspine.datasets.study_pass import Report, Values, Work, over_studies
from cspine.dicom import write_atomically
from cspine.domain import ConfigError

PAGE = "explore.html"
MEASURES = "measures"
# Of the time of a whole run; the rest is drawing.
MEASURING_SHARE = 0.9


@dataclass(frozen=True)
class ExplorePlan:
    """What is measured and shown."""

    measure: MeasurePlan = field(default_factory=MeasurePlan)
    panels: PanelPlan = field(default_factory=PanelPlan)


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explored.

    Attributes
    ----------
    name
        Of the set, for the page's title.
    labels
        Columns of ``train.csv``; empty when there is none.
    funnel
        What each rule of a filter leaves: ``rule``, ``studies``, ``slices``.
    problems
        UID and sentence of what the index could not use.
    """

    name: str
    labels: pd.DataFrame
    studies: tuple[StudyFiles, ...]
    funnel: pd.DataFrame | None = None
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Explored:
    """What came of it."""

    page: Path
    figures: int
    studies: int
    errors: dict[str, str]


def explore_set(subject: Subject, out: Path, plan: ExplorePlan, workers: int, report: Report) -> Explored:
    """Write ``out/explore.html``, and below ``out/figures`` each figure with its table as CSV.

    Measurements of a study are kept in ``out/measures``, so that a run that stopped goes on; one broken study is
    listed, not fatal.

    Raises
    ------
    ConfigError
        There is no study.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    if not subject.studies:
        raise ConfigError(f"{subject.name}: no study to explore; is train_images there?")
    work = Work(lambda f: measure_study(f, plan.measure), lambda _: plan.measure.parameters, out / MEASURES)
    measures: dict[str, Values] = {}
    errors: dict[str, str] = {}
    for answer in over_studies(
        subject.studies, work, workers, lambda uid, share: report(f"measure {uid}", share * MEASURING_SHARE)
    ):
        if answer.error:
            errors[answer.files.uid] = answer.error
        else:
            measures[answer.files.uid] = answer.values
    ordered = {files.uid: measures[files.uid] for files in subject.studies if files.uid in measures}
    material = Material(subject.labels, subject.studies, ordered, errors, subject.funnel, subject.problems)
    drawn = sections(material, plan.panels, lambda stage, share: report(stage, MEASURING_SHARE + share / 10))
    return _written(subject, material, drawn, out)


def _written(subject: Subject, material: Material, drawn: list[Section], out: Path) -> Explored:
    exhibits = [exhibit for section in drawn for exhibit in section.exhibits]
    for exhibit in exhibits:
        write_atomically(out / FIGURES / f"{exhibit.name}.csv", exhibit.table.to_csv(index=False).encode())
        write_atomically(out / FIGURES / exhibit.file, exhibit.picture)
    write_atomically(out / PAGE, render_page(_heading(subject, material), drawn))
    return Explored(out / PAGE, len(exhibits), len(material.measures), material.errors)


def _heading(subject: Subject, material: Material) -> Heading:
    slices = sum(values["slices"] for values in material.measures.values())
    facts = [("studies read", f"{len(material.measures):,}"), ("slices", f"{slices:,}")]
    if not subject.labels.empty:
        facts.append(("with a fracture", f"{subject.labels[OVERALL].mean():.1%}"))
    facts.append(("masks", f"{sum(bool(values['levels']) for values in material.measures.values()):,}"))
    facts.append(("boxes", f"{sum(len(values['boxes']) for values in material.measures.values()):,}"))
    if material.errors:
        facts.append(("studies not read", f"{len(material.errors):,}"))
    phantom = all(values["is_phantom"] for values in material.measures.values())
    warning = (
        "These studies are marked as PHANTOMS: computed images, no patients." if phantom and material.measures else ""
    )
    return Heading(
        f"{subject.name}: exploration", "Cervical spine CT in the layout of RSNA 2022", tuple(facts), warning
    )
