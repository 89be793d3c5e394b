"""The table of `vertebra-slices`, theirs beside ours, and what they announced: fracture of a slice, and boxes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.domain import CERVICAL
from cspine.evaluation import (
    Estimate,
    bootstrap_ci,
    confusion,
    figures_by_study,
    match_slice_boxes,
    meet_by_center,
    meet_by_overlap,
    roc_auc,
)
from cspine.training.learning import Hardware
from cspine.training.recipes.answers import Answered
from cspine.training.recipes.charts import bars, confusions, curves, lines
from cspine.training.recipes.classifier_run import ClassifierRun
from cspine.training.recipes.experiment_page import (
    Cell,
    ExperimentPage,
    PageOrigin,
    PagePicture,
    PageSection,
    PageTable,
    write_experiment,
)
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.slice_pictures import Frame, ShownSlice, draw_slices
from cspine.training.recipes.vertebra_slices.config import TASKS, VertebraSlicesTable
from cspine.training.recipes.vertebra_slices.forest import FEATURES
from cspine.training.recipes.vertebra_slices.published import FOREST, NETWORK
from cspine.training.recipes.vertebra_slices.run import NAME, BoxRun, ForestRun, level_parts, run_task
from cspine.training.stacks import StackSet

LEAD = (
    "Raghuvanshi, Rayabharam, Suryawanshi, “Cervical Spine Fracture Detection and Localization” (draft), run again: "
    "which of C1 to "
    "C7 does an axial slice show, random forest against EfficientNetV2. Then what the draft announces and leaves "
    "empty: the fracture "
    "of a slice, and boxes round it."
)
CAVEAT = (
    "A slice shows none, one or two levels; each level is a question of its own. Most slices do not show a given "
    "level, so that an "
    "accuracy of about 0.88 is reached by always saying no (column “always no”): the draft's random forest is no "
    "better."
)
MEETINGS = {
    "overlap ≥ 0.5": meet_by_overlap(0.5),
    "overlap ≥ 0.3": meet_by_overlap(0.3),
    "center inside": meet_by_center,
}
FALSE_ALARMS = (0.05, 0.1, 0.5, 1.0)
FIGURES = ("accuracy", "precision", "recall", "specificity", "f1", "auc")


@dataclass(frozen=True, eq=False)
class SlicesExperiment:
    """The finished tasks: task → run."""

    recipe: VertebraSlicesTable
    stacks: StackSet
    runs: Mapping[str, ClassifierRun | ForestRun | BoxRun]

    def levels(self) -> dict[str, Answered]:
        """Return the answers to levels: words → answers."""
        words = {"forest": "random forest", "levels": self.recipe.base.backbone}
        found = {}
        for task, name in words.items():
            run = self.runs.get(task)
            if isinstance(run, ClassifierRun | ForestRun):
                found[name] = run.test
        return found

    def fractures(self) -> dict[str, Answered]:
        """Return the answers whether a slice shows a fracture: words → answers."""
        found = {}
        classifier, detector = self.runs.get("fracture"), self.runs.get("boxes")
        if isinstance(classifier, ClassifierRun):
            found[f"{self.recipe.base.backbone}, whole slice"] = classifier.test
        if isinstance(detector, BoxRun):
            found["detector, surest box"] = detector.answered
        return found


def experiment_on(
    recipe: VertebraSlicesTable, stacks: StackSet, out: Path, hardware: Hardware, say: Say
) -> SlicesExperiment:
    """Run every task below ``out/runs``; what was finished before is read. Raises as `run_task`."""
    runs: dict[str, ClassifierRun | ForestRun | BoxRun] = {}
    for task in recipe.tasks:
        say(f"== {TASKS[task]}")
        runs[task] = run_task(replace(recipe.base, task=task), stacks, out / "runs" / task, hardware, say)
    return SlicesExperiment(recipe, stacks, runs)


def write_vertebra_slices(experiment: SlicesExperiment, out: Path, command: str, origin: str = "") -> Path:
    """Write ``index.html`` and the CSV files; return the page.

    Parameters
    ----------
    origin
        What is known of the studies besides what they say themselves.
    """
    base, stacks = experiment.recipe.base, experiment.stacks
    segmented = sum(stack.mask is not None for stack in stacks.stacks)
    boxed = sum(len(stack.boxes) > 0 for stack in stacks.stacks)
    data = "; ".join(filter(None, (stacks.origin, origin)))
    network = next((r for r in experiment.runs.values() if isinstance(r, ClassifierRun)), None)
    facts = (
        f"Studies: {len(stacks.stacks)}, of which {segmented} are segmented (levels) and {boxed} have boxes "
        "(fracture, boxes); "
        f"slices at least {base.step_mm:g} mm apart, window {base.window}",
        f"Network {base.backbone}, {base.size} pixels, at most {base.fit.epochs} epochs, {base.fit.optimizer} "
        f"{base.fit.learning_rate:g}; start: {network.about['start'] if network else '–'}; seed {base.seed}",
        f"Forest of {base.forest.trees} trees on {FEATURES} features of the gray values; detector "
        f"{base.detector.backbone}, "
        f"{base.detector.image_size} pixels, {base.detector.fit.steps} steps of {base.detector.fit.batch}, start "
        f"{base.detector.weights}",
    )
    sections = [_studies(experiment)]
    if experiment.levels():
        sections.append(_levels(experiment))
    if experiment.fractures():
        sections.append(_fractures(experiment))
    detector = experiment.runs.get("boxes")
    if isinstance(detector, BoxRun):
        sections.append(_boxes(detector, experiment.recipe.shown_slices))
    sections.append(_learning(experiment))
    origin_of = PageOrigin(data, _split_words(experiment), (), command)
    page = ExperimentPage(NAME, "which vertebrae does a slice show?", LEAD, origin_of, facts, tuple(sections))
    return write_experiment(page, out)


def _split_words(experiment: SlicesExperiment) -> str:
    for run in experiment.runs.values():
        if isinstance(run, ClassifierRun):
            return str(run.about["split"])
        if isinstance(run, BoxRun):
            return run.parts.kind
    return level_parts(experiment.recipe.base, experiment.stacks).kind


def _studies(experiment: SlicesExperiment) -> PageSection:
    """Return the draft's charts of fractured and whole studies."""
    targets, names = experiment.stacks.targets, ("overall", *experiment.stacks.label_set.levels)
    counts = targets.sum(axis=0).astype(int)
    rows: list[tuple[Cell, ...]] = [(n, int(c), len(targets) - int(c)) for n, c in zip(names, counts, strict=True)]
    table = PageTable("studies", "Fractured and whole studies", ("label", "fractured", "whole"), tuple(rows))
    chart = bars(names, {"fractured": counts.tolist(), "whole": (len(targets) - counts).tolist()}, "studies")
    return PageSection("Studies", (), (table,), (chart,))


def _levels(experiment: SlicesExperiment) -> PageSection:
    answers = experiment.levels()
    names = experiment.stacks.label_set.levels
    first = next(iter(answers.values()))
    papers = {"random forest": FOREST, experiment.recipe.base.backbone: NETWORK}
    told = set(names) <= FOREST.keys()  # the draft's figures are of C1 to C7
    called = {"random forest": "forest", experiment.recipe.base.backbone: "EfficientNetV2"}
    rows: list[tuple[Cell, ...]] = []
    for k, level in enumerate(names):
        no = 1 - float(first.truth[:, k].mean())
        ours = [_accuracy(a, k) for a in answers.values()]
        areas = [roc_auc(a.truth[:, k], a.probability[:, k]) for a in answers.values()]
        rows.append((level, int(first.truth[:, k].sum()), no, *ours, *areas, *(papers[n].get(level) for n in answers)))
    overall = [_accuracy(a, None) for a in answers.values()]
    places = range(len(names))
    areas = [float(np.nanmean([roc_auc(a.truth[:, k], a.probability[:, k]) for k in places])) for a in answers.values()]
    no = 1 - float(first.truth.mean())
    rows.append(
        (
            "overall",
            int(first.truth.sum()),
            no,
            *overall,
            *areas,
            *(papers[n]["overall"] if told else None for n in answers),
        )
    )
    paper_columns = [f"paper_{called[name]}" for name in answers]
    columns = ("level", "support", "always_no", *answers, *(f"AUC_{n}" for n in answers), *paper_columns)
    n, studies = len(first.studies), len(set(first.studies))
    table = PageTable(
        "levels",
        f"Accuracy of each level, {n:,} slices of {studies} studies that were not trained on",
        columns,
        tuple(rows),
        "Support: slices that show the level. Intervals (95 %) redraw whole studies. Overall: mean over all "
        "levels. "
        "The paper: 83 studies, 90/10, without intervals.",
        frozenset(paper_columns),
    )
    shown = {name: [_accuracy(a, k).value for k in places] for name, a in answers.items()}
    if told:
        shown |= {f"paper, {called[name]}": [papers[name][level] for level in names] for name in answers}
    chart = bars(names, shown, "accuracy", low=0.5)
    network = answers[list(answers)[-1]]
    matrices = {v: confusion(network.truth[:, k], network.probability[:, k]) for k, v in enumerate(names)}
    picture = confusions(matrices)
    caption = f"{list(answers)[-1]}: does the slice show the level? {picture.caption}"
    return PageSection("Which levels", (CAVEAT,), (table,), (chart, replace(picture, caption=caption)))


def _accuracy(answered: Answered, level: int | None) -> Estimate:
    """Return the accuracy of one level, or the mean of all, interval over studies."""
    right = (answered.probability >= 0.5) == (answered.truth >= 0.5)
    values = right.mean(axis=1) if level is None else right[:, level].astype(float)
    studies = np.array(answered.studies)
    groups = [values[studies == uid].tolist() for uid in dict.fromkeys(answered.studies)]
    return bootstrap_ci(groups, np.random.default_rng(0))


def _fractures(experiment: SlicesExperiment) -> PageSection:
    rows: list[tuple[Cell, ...]] = []
    matrices = {}
    for name, answered in experiment.fractures().items():
        truth, p = answered.truth[:, 0], answered.probability[:, 0]
        found = figures_by_study(truth, p, answered.studies, np.random.default_rng(0))
        rows.append((name, len(truth), len(set(answered.studies)), int(truth.sum()), *(found[f] for f in FIGURES)))
        matrices[name] = confusion(truth, p)
    table = PageTable(
        "fracture",
        "Does the slice show a fracture?",
        ("system", "slices", "studies", "support", *FIGURES),
        tuple(rows),
        "Positive: a box lies on the slice. Threshold 0.5; recall is sensitivity. Intervals (95 %) redraw whole "
        "studies. The draft "
        "announces sensitivity and specificity, also beside readers, and prints none.",
    )
    return PageSection("Fracture of a slice", (), (table,), (confusions(matrices, ("whole", "fractured")),))


def _boxes(run: BoxRun, shown: int) -> PageSection:
    rows: list[tuple[Cell, ...]] = []
    froc = {}
    found = [(f.scores, f.edges) for f in run.found]
    for words, meets in MEETINGS.items():
        matches = match_slice_boxes(found, run.truth, meets)
        at = [matches.sensitivity_at(rate) for rate in FALSE_ALARMS]
        rows.append((words, matches.truths, matches.slices, matches.average_precision, *at))
        froc[words] = matches.curve()
    columns = ("a box is right when", "true_boxes", "slices", "AP", *(f"at {r:g} false/slice" for r in FALSE_ALARMS))
    note = "Share of true boxes found while so many false ones stand on a slice on average. AP: precision made to fall."
    table = PageTable("boxes", "Boxes of the test part", columns, tuple(rows), note)
    curve = lines(froc, ("false boxes per slice", "share of true boxes found"))
    return PageSection("Boxes", (), (table,), (curve, _drawn(run, shown)))


def _drawn(run: BoxRun, count: int) -> PagePicture:
    """Draw slices with boxes, evenly spread, and where there is room the slices with the surest false alarms."""
    boxed = [k for k, truth in enumerate(run.truth) if len(truth)]
    spread = np.linspace(0, len(boxed) - 1, min(count, len(boxed))).round().astype(int)
    chosen = [boxed[place] for place in np.unique(spread).tolist()]
    alarms = sorted(
        (k for k, t in enumerate(run.truth) if not len(t)), key=lambda k: -run.found[k].scores.max(initial=0)
    )
    chosen += alarms[: max(0, count - len(chosen)) or 1]
    tiles = []
    for k in chosen:
        number, place = run.samples.refs[k].tolist()
        stack = run.parts.stacks.stacks[number]
        scale = stack.pixels.shape[1] / run.size
        frames = [Frame(_scaled(t, scale), None, dashed=True) for t in run.truth[k]]
        first = run.found[k]
        frames += [
            Frame(_scaled(e, scale), CERVICAL[0], text=f"{s:.2f}")
            for s, e in zip(first.scores[:1], first.edges[:1], strict=True)
        ]
        told = "fracture" if len(run.truth[k]) else "none, surest false alarm"
        tiles.append(ShownSlice(np.asarray(stack.pixels[place]), None, tuple(frames), f"slice {place + 1}: {told}"))
    caption = "Dashed white: box of the data set; yellow: the surest box found, with its score."
    return draw_slices(tiles, "Slices with true and found boxes", caption=caption)


def _scaled(edges: np.ndarray, scale: float) -> tuple[float, float, float, float]:
    top, left, bottom, right = (float(v) * scale for v in edges)
    return top, left, bottom, right


def _learning(experiment: SlicesExperiment) -> PageSection:
    runs = {task: run for task, run in experiment.runs.items() if isinstance(run, ClassifierRun)}
    long: list[tuple[Cell, ...]] = [
        (task, row.epoch, figure, value)
        for task, run in runs.items()
        for row in run.history
        for figure, value in row.figures().items()
    ]
    spent: list[tuple[Cell, ...]] = []
    for task, run in experiment.runs.items():
        seconds = float(run.about["seconds"]) if isinstance(run, ClassifierRun) else run.seconds
        spent.append((TASKS[task], round(seconds)))
    tables = (
        PageTable("seconds", "Seconds", ("task", "seconds"), tuple(spent)),
        PageTable("curves", "Curves", ("task", "epoch", "figure", "value"), tuple(long), shown=False),
    )
    pictures = (curves({t: run.history for t, run in runs.items()}, scores=("accuracy", "auc")),) if runs else ()
    return PageSection("Curves", (), tables, pictures)
