"""The page of `semi-supervised`: its comparisons with paired intervals, levels, planes, slices, and where it looks."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cspine.evaluation import Confusion, Estimate, confusion, figures_by_study, roc_auc
from cspine.training.recipes.answers import StudyAnswers
from cspine.training.recipes.charts import bars, confusions, curves, estimates
from cspine.training.recipes.experiment_page import (
    Cell,
    ExperimentPage,
    PageOrigin,
    PagePicture,
    PageSection,
    PageTable,
    write_experiment,
)
from cspine.training.recipes.semi_supervised.patients import patient_sections
from cspine.training.recipes.semi_supervised.run import NAME
from cspine.training.recipes.semi_supervised.table import (
    SemiCase,
    SemiExperiment,
    flip_cases,
    plane_cases,
    share_cases,
)
from cspine.training.recipes.study_scores import level_auc, level_auc_gain, log_loss, log_loss_gain, log_losses

LEAD = (
    "Abdikhan 2023, “Cervical Spine Fracture Localization using Semi-Supervised Learning”, run again: two heads, "
    "vertebra labels spread from the few segmented studies, agreement on studies without labels; against labels "
    "alone, and against features learned without labels."
)
CLAIMS = (
    "The thesis claims, without a table, that semi-supervised learning beats supervised and unsupervised learning "
    "with few labels, and that it bears wrong labels better. Differences here are paired: the same studies, the same "
    "folds, the same number of steps. An interval that holds 0 shows no difference."
)
CAVEAT_PLANES = "The thesis names the axial plane as its limit. Fused: the mean answer of the planes to a study."
FIGURES = ("accuracy", "precision", "recall", "f1", "auc")
WORDS = {
    "supervised": "labels alone",
    "semi-supervised": "semi-supervised",
    "features": "features without labels, linear heads",
}
# First minus second.
COMPARED = (("semi-supervised", "supervised"), ("semi-supervised", "features"), ("features", "supervised"))
Rows = list[tuple[Cell, ...]]


def write_semi_supervised(experiment: SemiExperiment, out: Path, command: str, origin: str = "") -> Path:
    """Write ``index.html`` and the CSV files; return the page.

    Parameters
    ----------
    origin
        What is known of the studies besides what they say themselves.
    """
    recipe, first = experiment.recipe, experiment.runs[experiment.shown][0]
    base, about = recipe.base, first.about
    segmented = sum(stack.mask is not None for stack in experiment.stacks.stacks)
    counts = ", ".join(f"{part} {n}" for part, n in about["studies"].items())
    facts = (
        f"Studies: {len(experiment.stacks.stacks)}, {segmented} of them segmented; in the first fold {counts}",
        f"{base.backbone}, slices of {base.stacks.size} pixels at least {base.stacks.step_mm:g} mm apart; start: "
        f"{about['start']}; {base.fit.epochs} epochs, batch {base.fit.batch}, {base.fit.optimizer} "
        f"{base.fit.learning_rate:g}; agreement: {base.consistency.name}; seed {base.seed}",
        f"A level's score is the mean over the slices, weighted by how probably each shows the level. {_spread(about)}",
    )
    sections = [
        _comparison(experiment, share_cases, ("labels", "Few labels", "share of studies labeled", "share")),
        _comparison(experiment, flip_cases, ("wrong_labels", "Wrong labels", "share of labels wrong", "flipped")),
        _levels(experiment),
        *([_planes(experiment)] if len(recipe.planes) > 1 else []),
        *patient_sections(experiment),
        _learning(experiment),
    ]
    split = about["split"] if not recipe.folds else f"{recipe.folds} folds, grouped by patient, every study tested once"
    data = "; ".join(filter(None, (experiment.stacks.origin, origin)))
    page = ExperimentPage(
        NAME,
        "which levels does a slice show, and which of them are fractured?",
        LEAD,
        PageOrigin(data, split, tuple(filter(None, (about["mark"],))), command),
        facts,
        tuple(sections),
    )
    return write_experiment(page, out)


def _spread(about: dict[str, dict[str, float]]) -> str:
    found = about["visibility"]
    if not found.get("slices"):
        return "No segmented study is left to say how often the spread labels are right."
    return f"Spread labels are right in {found['all']:.1%} of {found['slices']:.0f} slices of unseen segmented studies."


def _comparison(
    experiment: SemiExperiment, rows_of: Callable[..., list[SemiCase]], words: tuple[str, str, str, str]
) -> PageSection:
    name, title, axis, field = words
    recipe = experiment.recipe
    rows: Rows = []
    series: dict[str, list[Estimate]] = {}
    for method in recipe.methods:
        for case in rows_of(recipe, method):
            answers = experiment.answers(case)
            figures = _figures(answers)
            series.setdefault(WORDS[method], []).append(level_auc(answers))
            labeled = sum(run.about["labeled"] for run in experiment.runs[case])
            rows.append((WORDS[method], getattr(case, field), labeled, len(answers.studies), *figures))
    columns = ("method", field, "labeled", "studies", "auc_levels", "auc_study", "log_loss", "column", "row")
    note = (
        "labeled: studies whose row was used, all folds together; studies: that were tested; AUC over all levels of "
        "all studies; log loss: the challenge's in its global normalization, beside the two others. Intervals (95 %) "
        "redraw studies."
    )
    tables = [PageTable(name, "", columns, tuple(rows), note)]
    gains = _gains(experiment, rows_of, field)
    if gains:
        gain_columns = ("comparison", field, "studies", "auc_gain", "log_loss_gain")
        text = "Paired by study; above 0 the first is better."
        tables.append(PageTable(f"{name}_gain", "Differences", gain_columns, tuple(gains), text))
    shares = [f"{getattr(case, field):.0%}" for case in rows_of(recipe, recipe.methods[0])]
    picture = estimates(shares, series, (axis, "AUC over all levels"), joined=True)
    return PageSection(title, (CLAIMS,) if name == "labels" else (), tuple(tables), (picture,))


def _figures(answers: StudyAnswers) -> tuple[Cell, ...]:
    study = figures_by_study(answers.truth[:, 0], answers.probability[:, 0], answers.studies, np.random.default_rng(0))
    losses = log_losses(answers)
    loss = log_loss(answers) if losses else None
    return level_auc(answers), study["auc"], loss, losses.get("column"), losses.get("row")


def _gains(experiment: SemiExperiment, rows_of: Callable[..., list[SemiCase]], field: str) -> Rows:
    """Return by how much one method is better than another, case by case."""
    rows: Rows = []
    for new, old in COMPARED:
        if {new, old} - {*experiment.recipe.methods}:
            continue
        for ours, theirs in zip(rows_of(experiment.recipe, new), rows_of(experiment.recipe, old), strict=True):
            gain = paired(experiment.answers(ours), experiment.answers(theirs))
            rows.append((f"{WORDS[new]} − {WORDS[old]}", getattr(ours, field), *gain))
    return rows


def paired(new: StudyAnswers, old: StudyAnswers) -> tuple[Cell, ...]:
    """Return how many studies, and by how much AUC over levels and log loss are better."""
    loss = log_loss_gain(new, old) if log_losses(new) else None
    return len(new.studies), level_auc_gain(new, old), loss


def _levels(experiment: SemiExperiment) -> PageSection:
    answers = experiment.answers(experiment.shown)
    names = experiment.stacks.label_set.targets
    rows: Rows = []
    matrices: dict[str, Confusion] = {}
    areas: list[float] = []
    for k, name in enumerate(names):
        truth, p = answers.truth[:, k], answers.probability[:, k]
        found = figures_by_study(truth, p, answers.studies, np.random.default_rng(k))
        counts = confusion(truth, p)
        matrices[name] = counts
        areas.append(roc_auc(truth, p))
        rows.append((name, int(truth.sum()), *(found[f] for f in FIGURES), counts.tn, counts.fp, counts.fn, counts.tp))
    columns = ("level", "support", *FIGURES, "tn", "fp", "fn", "tp")
    note = f"{len(answers.studies)} studies; threshold 0.5; intervals (95 %) redraw studies. Support: fractured ones."
    title = f"{WORDS[experiment.shown.method]}, {experiment.shown.share:.0%} of the labels"
    table = PageTable("levels", title, columns, tuple(rows), note)
    pictures = (bars(names, {"AUC": areas}, "AUC"), confusions(matrices, ("whole", "fractured")))
    return PageSection("Each level", (), (table,), pictures)


def _planes(experiment: SemiExperiment) -> PageSection:
    cases = plane_cases(experiment.recipe)
    first, fused = experiment.answers(cases[0]), experiment.fused_planes()
    rows: Rows = []
    shown = {case.plane: experiment.answers(case) for case in cases} | {"fused": fused}
    for name, answers in shown.items():
        gain = paired(answers, first)[1:] if answers is not shown[cases[0].plane] else (None, None)
        rows.append((name, len(answers.studies), *_figures(answers), *gain))
    against = cases[0].plane
    figures = ("auc_levels", "auc_study", "log_loss", "column", "row")
    columns = ("plane", "studies", *figures, f"auc_gain over {against}", f"log_loss_gain over {against}")
    note = "Gains are paired by study; above 0 the row is better."
    return PageSection(
        "Planes", (CAVEAT_PLANES,), (PageTable("planes", "", columns, tuple(rows), note),), (_plane_chart(shown),)
    )


def _plane_chart(shown: dict[str, StudyAnswers]) -> PagePicture:
    return estimates(list(shown), {"AUC": [level_auc(a) for a in shown.values()]}, ("plane", "AUC over all levels"))


def _learning(experiment: SemiExperiment) -> PageSection:
    runs = {_label(case): runs[0] for case, runs in experiment.runs.items()}
    long: Rows = [
        (name, row.epoch, figure, value)
        for name, run in runs.items()
        for row in run.history
        for figure, value in row.figures().items()
    ]
    seconds: Rows = [(_label(c), round(sum(r.about["seconds"] for r in done))) for c, done in experiment.runs.items()]
    tables = (
        PageTable("seconds", "Seconds, all folds", ("run", "seconds"), tuple(seconds)),
        PageTable("curves", "Curves", ("run", "epoch", "figure", "value"), tuple(long), shown=False),
    )
    chosen = _plainest(experiment)
    picture = curves({_label(c): experiment.runs[c][0].history for c in chosen}, scores=("auc",))
    return PageSection(
        "Curves", ("First fold; AUC is the mean over both heads' answers to slices.",), tables, (picture,)
    )


def _plainest(experiment: SemiExperiment) -> Sequence[SemiCase]:
    """Return the cases with most labels, one per method, and the planes."""
    recipe = experiment.recipe
    most = [max(share_cases(recipe, method), key=lambda case: case.share) for method in recipe.methods]
    return list(dict.fromkeys((*most, *plane_cases(recipe))))


def _label(case: SemiCase) -> str:
    return f"{WORDS[case.method]}, {case.share:.0%} labeled, {case.flipped:.0%} wrong, {case.plane}"
