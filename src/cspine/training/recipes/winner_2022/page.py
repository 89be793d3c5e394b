"""The page of `winner-2022`: its models with paired intervals, levels, vertebrae slice by slice."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cspine.evaluation import Confusion, confusion, figures_by_study, roc_auc
from cspine.training.recipes.charts import bars, colors, confusions, curves, drawn
from cspine.training.recipes.experiment_page import (
    Cell,
    ExperimentPage,
    PageOrigin,
    PagePicture,
    PageSection,
    PageTable,
    write_experiment,
)
from cspine.training.recipes.slice_pictures import ShownSlice, draw_slices
from cspine.training.recipes.study_scores import level_auc, level_auc_gain, log_loss, log_loss_gain, log_losses
from cspine.training.recipes.winner_2022.config import SOURCES
from cspine.training.recipes.winner_2022.crops import CropSet
from cspine.training.recipes.winner_2022.run import NAME, WinnerRun
from cspine.training.recipes.winner_2022.table import BLEND, WinnerExperiment

LEAD = (
    "The design of the first place of RSNA 2022, in our own code: vertebrae are cut out by their masks; each is "
    "fifteen slices between their neighbors, with the mask as a channel; a convolutional network and an LSTM over the "
    "slices judge the vertebra; a second model judges the study from all vertebrae; both are blended."
)
CAVEAT = (
    "What was published: weighted log loss .357 on the private leaderboard for a re-implementation by one person "
    "(rank 20); a constant answer of the prevalence .568; 0.5 everywhere .693. Those figures are of 2,019 patients; "
    "what is beside them here is of other data. There the second model learned from images; here from features of "
    "the first."
)
FIGURES = ("accuracy", "precision", "recall", "f1", "auc")
MODELS = ("first model", "second model", BLEND)
SHOWN_SLICES = 5
Rows = list[tuple[Cell, ...]]


def write_winner_2022(experiment: WinnerExperiment, out: Path, command: str, origin: str = "") -> Path:
    """Write ``index.html`` and the CSV files; return the page.

    Parameters
    ----------
    origin
        What is known of the studies besides what they say themselves.
    """
    recipe, variant = experiment.recipe, experiment.recipe.variants[0]
    base, crops, about = recipe.base, experiment.crops[variant], experiment.runs[variant][0].about
    plan, counts = base.crops, about["counts"]
    facts = (
        "First fold: "
        + ", ".join(f"{part} {s} studies with {v} vertebrae, {p} fractured" for part, (s, v, p) in counts.items()),
        f"Vertebrae: {SOURCES[base.vertebrae]}; {plan.slices} slices, {plan.channels} gray channels "
        f"{plan.neighbor_mm:g} mm apart, {plan.size} pixels of {plan.pixel_mm:g} mm, window {plan.window}",
        f"{base.backbone}, start: {about['start']}; LSTM of {base.sequence.layers} layers of {base.sequence.hidden}; "
        f"{base.vertebra.epochs} and {base.study.epochs} epochs; mixup {base.vertebra.mixup:g}; seed {base.seed}",
    )
    split = about["split"] if not recipe.folds else f"{recipe.folds} folds, grouped by patient, every study tested once"
    data = "; ".join(filter(None, (crops.stacks.origin, origin)))
    page = ExperimentPage(
        NAME,
        "is this vertebra fractured, and is the study?",
        LEAD,
        PageOrigin(data, split, tuple(filter(None, (about["mark"],))), command),
        facts,
        (_results(experiment), _levels(experiment), *_patients(experiment), _learning(experiment)),
    )
    return write_experiment(page, out)


def _results(experiment: WinnerExperiment) -> PageSection:
    first = experiment.recipe.variants[0]
    reference = experiment.answers(first)
    rows: Rows = []
    for variant in experiment.recipe.variants:
        for model in MODELS if variant == first else (BLEND,):
            answers = experiment.answers(variant, model)
            rng = np.random.default_rng(0)
            study = figures_by_study(answers.truth[:, 0], answers.probability[:, 0], answers.studies, rng)["auc"]
            losses = log_losses(answers)
            gain: tuple[Cell, Cell] = (None, None)
            if (variant, model) != (first, BLEND):
                gain = (level_auc_gain(reference, answers), log_loss_gain(reference, answers) if losses else None)
            loss = log_loss(answers) if losses else None
            figures = (level_auc(answers), study, loss, losses.get("column"), losses.get("row"))
            rows.append((variant, model, len(answers.studies), *figures, *gain))
    shares = np.tile(experiment.crops[first].stacks.targets.mean(axis=0), (len(reference.studies), 1))
    entry = 2 * shares / (1 + shares)
    constant = log_losses(replace(reference, probability=entry))
    if constant:
        rows.append(("prevalence of the set", "–", len(reference.studies), None, None, *constant.values(), None, None))
    columns = (
        *("variant", "model", "studies", "auc_levels", "auc_study", "log_loss", "column", "row"),
        *("auc_gain of both models", "log_loss_gain of both models"),
    )
    note = (
        "AUC over all levels of all studies, and of the study; log loss: the challenge's in its global normalization, "
        "beside the two others, of C1 to C7 alone. Gains: both models as published, blended, against the row; paired "
        "by study, above 0 the blend is better. The first model answers the study by 1 − Π (1 − level). Intervals "
        "(95 %) redraw studies."
    )
    return PageSection("Models", (CAVEAT,), (PageTable("models", "", columns, tuple(rows), note),))


def _levels(experiment: WinnerExperiment) -> PageSection:
    variant = experiment.recipe.variants[0]
    answers, names = experiment.answers(variant), experiment.crops[variant].stacks.label_set.targets
    rows: Rows = []
    matrices: dict[str, Confusion] = {}
    areas: dict[str, list[float]] = {model: [] for model in MODELS}
    for k, name in enumerate(names):
        truth, p = answers.truth[:, k], answers.probability[:, k]
        found = figures_by_study(truth, p, answers.studies, np.random.default_rng(k))
        counts = confusion(truth, p)
        rows.append((name, int(truth.sum()), *(found[f] for f in FIGURES), counts.tn, counts.fp, counts.fn, counts.tp))
        matrices[name] = counts
        for model in MODELS:
            areas[model].append(roc_auc(truth, experiment.answers(variant, model).probability[:, k]))
    note = f"{len(answers.studies)} studies; both models; threshold 0.5. Support: fractured ones."
    columns = ("level", "support", *FIGURES, "tn", "fp", "fn", "tp")
    table = PageTable("levels", "", columns, tuple(rows), note)
    pictures = (bars(names, areas, "AUC"), confusions(matrices, ("whole", "fractured")))
    return PageSection("Each level", (), (table,), pictures)


def _patients(experiment: WinnerExperiment) -> Iterator[PageSection]:
    """Yield the first model's answers along the slices of patients, and slices of the vertebra that it is surest of."""
    variant = experiment.recipe.variants[0]
    run, crops = experiment.runs[variant][0], experiment.crops[variant]
    numbers = {one.uid: n for n, one in enumerate(crops.crops)}
    names = crops.stacks.label_set.levels
    order = np.argsort(-run.test.truth[:, 0], kind="stable")[: experiment.recipe.shown_patients].tolist()
    rows: Rows = [
        (run.test.studies[k], names[place // count], place % count + 1, float(p))
        for k in order
        for count in [run.recipe.crops.slices]
        for place, p in enumerate(run.slices[k])
        if np.isfinite(p)
    ]
    table = PageTable("slices", "", ("study", "level", "slice", "probability"), tuple(rows), shown=False)
    text = ("Each vertebra from its top to its bottom; the vertebra's answer is the mean of its slices' logits.",)
    yield PageSection("Patients, slice by slice", text, (table,), (_curves(run, order, names),))
    tiles = [tile for k in order for tile in _tiles(crops, numbers[run.test.studies[k]], run, k)]
    caption = "Slices of the vertebra with the highest answer, from top to bottom; colored: its mask."
    columns = min(run.recipe.crops.slices, SHOWN_SLICES)
    picture = draw_slices(tiles, "Crops of vertebrae", columns=columns, caption=caption)
    yield PageSection("Crops", (), (), (picture,))


def _curves(run: WinnerRun, order: list[int], names: Sequence[str]) -> PagePicture:
    count = run.recipe.crops.slices
    figure = Figure(figsize=(9.5, 1.9 * len(order)), layout="constrained")
    places = np.asarray(figure.subplots(len(order), 1, squeeze=False))[:, 0]
    for place, k in zip(places, order, strict=True):
        for level, color in zip(range(len(names)), cycle(colors())):
            at = np.arange(level * count, (level + 1) * count)
            place.plot(at, run.slices[k, at], color=color, marker=".", markersize=3)
            broken = bool(run.test.truth[k, 1 + level])
            name = f"{names[level]}{' fractured' if broken else ''}"
            place.text(at.mean(), 1.03, name, ha="center", fontsize=7, weight="bold" if broken else "regular")
        place.set(ylim=(0, 1.02), xticks=[], ylabel="P(fracture)")
        place.spines[["top", "right"]].set_visible(False)
    return drawn(figure, "Answers to the slices of all vertebrae of patients", "A row is a patient, head on the left.")


def _tiles(crops: CropSet, study: int, run: WinnerRun, k: int) -> Iterator[ShownSlice]:
    one, count = crops.crops[study], run.recipe.crops.slices
    means = [float(run.slices[k, level * count : (level + 1) * count].mean()) for level in one.levels.tolist()]
    best = int(np.argmax(means))
    level, names = int(one.levels[best]), crops.stacks.label_set.levels
    truth = "fractured" if run.test.truth[k, 1 + level] else "whole"
    for place in np.linspace(0, count - 1, min(count, SHOWN_SLICES)).round().astype(int).tolist():
        gray = np.asarray(one.pixels[best, place, one.pixels.shape[2] // 2])
        mask = np.asarray(one.mask[best, place]) * np.uint8(level + 1)
        told = f"{names[level]} ({truth}) {place + 1}: {run.slices[k, level * count + place]:.2f}"
        yield ShownSlice(gray, mask, (), told)


def _learning(experiment: WinnerExperiment) -> PageSection:
    long: Rows = []
    histories = {}
    for variant, runs in experiment.runs.items():
        for stage, history in runs[0].history.items():
            histories[f"{variant}, {stage}"] = history
            long += [(variant, stage, row.epoch, *pair) for row in history for pair in row.figures().items()]
    seconds: Rows = [(v, round(sum(r.about["seconds"] for r in runs))) for v, runs in experiment.runs.items()]
    tables = (
        PageTable("seconds", "Seconds, all folds", ("variant", "seconds"), tuple(seconds)),
        PageTable("curves", "", ("variant", "model", "epoch", "figure", "value"), tuple(long), shown=False),
    )
    return PageSection("Curves", ("First fold.",), tables, (curves(histories, scores=("auc",)),))
