"""The tables of `efficientnet-c1`: every variant, group and loss, trained one after the other, and their page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from cspine.evaluation import Confusion, Estimate, confusion, figures_by_study
from cspine.training.backbones import stage_channels
from cspine.training.learning import Hardware
from cspine.training.recipes.charts import confusions, curves
from cspine.training.recipes.classifier_run import ClassifierRun
from cspine.training.recipes.efficientnet_c1.config import GROUPS, LOSSES, EfficientNetC1, EfficientNetC1Table
from cspine.training.recipes.efficientnet_c1.patient import patient_pictures
from cspine.training.recipes.efficientnet_c1.published import CHANNELS, FIGURES, LEARNING, PUBLISHED, STAGES, TIMES
from cspine.training.recipes.efficientnet_c1.run import NAME, of_group, run_on_stacks
from cspine.training.recipes.experiment_page import (
    Cell,
    ExperimentPage,
    PageOrigin,
    PageSection,
    PageTable,
    write_experiment,
)
from cspine.training.recipes.run_folder import Say
from cspine.training.stacks import StackSet

Key = tuple[str, str, str]
LEAD = (
    "Karno, Hastomo, Surawan, Lamandasa, Usuli, Kapuy, Digdoyo 2023, run again: EfficientNet B0 to B7, each at its own "
    "input size, global pooling, Adamax, on studies of at most and of more than 350 slices."
)
CAVEAT = (
    "The paper's figures come from slices of RSNA 2022 that were divided one by one, so that patients stand on both "
    "sides, and every slice carries the label of its study: what is beside ours is another task on other data."
)


@dataclass(frozen=True, eq=False)
class C1Experiment:
    """The finished runs: (loss, group, variant) → run."""

    recipe: EfficientNetC1Table
    stacks: StackSet
    runs: Mapping[Key, ClassifierRun]

    def figures(self, key: Key) -> dict[str, Estimate]:
        """Return the figures of a run's test part, intervals over studies."""
        test = self.runs[key].test
        rng = np.random.default_rng(0)
        return figures_by_study(test.truth[:, 0], test.probability[:, 0], test.studies, rng)

    def counts(self, key: Key) -> Confusion:
        """Return the confusion counts of a run's test part."""
        test = self.runs[key].test
        return confusion(test.truth[:, 0], test.probability[:, 0])

    @property
    def best(self) -> Key:
        """Return the run with the lowest validation loss among those with the binary loss, else among all."""
        candidates = [key for key in self.runs if key[0] == "bce"] or list(self.runs)
        return min(candidates, key=lambda key: self.runs[key].kept.valid_loss)


def experiment_on(
    recipe: EfficientNetC1Table, stacks: StackSet, out: Path, hardware: Hardware, say: Say
) -> C1Experiment:
    """Train every run below ``out/runs``; what was finished before is read. Raises as `run_on_stacks`."""
    runs: dict[Key, ClassifierRun] = {}
    for loss in recipe.losses:
        for group in recipe.groups:
            for variant in recipe.variants:
                say(f"== {variant}, {GROUPS[group]}, {LOSSES[loss]}")
                one = _one(recipe, loss, group, variant)
                folder = out / "runs" / f"{variant}-{group}-{loss}"
                runs[loss, group, variant] = run_on_stacks(one, stacks, folder, hardware, say)
    return C1Experiment(recipe, stacks, runs)


def write_efficientnet_c1(experiment: C1Experiment, out: Path, command: str, origin: str = "") -> Path:
    """Write ``index.html`` and the CSV files; return the page.

    Parameters
    ----------
    origin
        What is known of the studies besides what they say themselves.
    """
    recipe, about = experiment.recipe, experiment.runs[experiment.best].about
    base = recipe.base
    data = "; ".join(filter(None, (experiment.stacks.origin, origin)))
    sizes = sorted({run.trainee.size for run in experiment.runs.values()})
    facts = (
        f"Studies: {len(experiment.stacks.stacks)} after preset “{base.preset}”; groups by the slices of a study on "
        "disk: " + ", ".join(f"{GROUPS[g]}: {len(of_group(experiment.stacks, g).stacks)}" for g in recipe.groups),
        f"Label: {_LABEL_WORDS[base.label].format(level=base.level)}",
        f"Images of {', '.join(map(str, sizes))} pixels, slices at least {base.step_mm:g} mm apart; window "
        f"{base.window}",
        f"{base.fit.epochs} epochs, batch {base.fit.batch}, {base.fit.optimizer} {base.fit.learning_rate:g}; "
        f"start: {about['start']}; seed {base.seed}",
    )
    page = ExperimentPage(
        NAME,
        f"is there a fracture of {base.level} in this slice?",
        LEAD,
        PageOrigin(data, about["split"], tuple(filter(None, (about["mark"],))), command),
        facts,
        (*_results(experiment), *_networks(experiment), _learning(experiment), _patient(experiment)),
    )
    return write_experiment(page, out)


_LABEL_WORDS = {
    "slice": "a box of {level} lies on the slice, or without boxes the mask of a fractured {level}; others left out",
    "study": "every slice of a study with a fractured {level} is positive, as in the paper",
}


def _one(recipe: EfficientNetC1Table, loss: str, group: str, variant: str) -> EfficientNetC1:
    fit = replace(recipe.base.fit, loss=replace(recipe.base.fit.loss, name=loss))
    return replace(recipe.base, variant=variant, group=group, fit=fit)


def _results(experiment: C1Experiment) -> Iterator[PageSection]:
    for loss in experiment.recipe.losses:
        tables = []
        for group in experiment.recipe.groups:
            keys = [key for key in experiment.runs if key[:2] == (loss, group)]
            tables += [_test_table(experiment, keys), _learning_table(experiment, keys)]
        found = {
            f"{k[2].removeprefix('efficientnet-')}, {GROUPS[k[1]]}": experiment.counts(k)
            for k in experiment.runs
            if k[0] == loss
        }
        words = {
            "bce": "one sigmoid output, binary cross entropy",
            "categorical-ce": "two softmax outputs, categorical cross entropy",
        }
        yield PageSection(
            f"Results: {words[loss]}",
            (CAVEAT,) if loss == experiment.recipe.losses[0] else (),
            tuple(tables),
            (confusions(found, ("whole", "fractured")),),
        )


def _test_table(experiment: C1Experiment, keys: list[Key]) -> PageTable:
    loss, group, _ = keys[0]
    pairs = [name for figure in FIGURES for name in (figure, f"paper_{figure}")]
    columns = ("variant", "pixels", "slices", "studies", "support", *pairs, "auc")
    rows: list[tuple[Cell, ...]] = []
    for key in keys:
        run, found, paper = experiment.runs[key], experiment.figures(key), PUBLISHED.get(key[1:])
        n, positive, studies = run.about["counts"]["test"]
        theirs = paper[4:] if paper else (None,) * len(FIGURES)
        beside: list[Cell] = [
            value for name, their in zip(FIGURES, theirs, strict=True) for value in (found[name], their)
        ]
        rows.append((key[2], run.trainee.size, n, studies, positive, *beside, found["auc"]))
    return PageTable(
        f"test_{group}_{loss}",
        f"Test part, {GROUPS[group]}",
        columns,
        tuple(rows),
        "Threshold 0.5. Support: positive slices. Intervals (95 %) redraw whole studies, as slices of a study are "
        "alike; "
        "with few studies they are wide.",
        frozenset(f"paper_{f}" for f in FIGURES),
    )


def _learning_table(experiment: C1Experiment, keys: list[Key]) -> PageTable:
    loss, group, _ = keys[0]
    rows: list[tuple[Cell, ...]] = []
    for key in keys:
        run, paper = experiment.runs[key], PUBLISHED.get(key[1:])
        row = run.kept
        spent = str(timedelta(seconds=round(run.about["seconds"])))
        ours: tuple[Cell, ...] = (row.train_accuracy, row.train_loss, row.scores["accuracy"], row.valid_loss, spent)
        theirs: tuple[Cell, ...] = (*(paper[:4] if paper else (None,) * 4), TIMES.get(key[1:]))
        beside: list[Cell] = []
        for own, their in zip(ours, theirs, strict=True):
            beside += [own, their]
        rows.append((key[2], row.epoch, *beside))
    names = (*LEARNING, "time")
    papers = [f"paper_{name}" for name in names]
    return PageTable(
        f"learning_{group}_{loss}",
        f"Training, {GROUPS[group]}",
        ("variant", "epoch", *(name for pair in zip(names, papers, strict=True) for name in pair)),
        tuple(rows),
        "Of the epoch whose weights were kept (lowest validation loss). The paper's losses hold a penalty on weights "
        "that it "
        "does not describe; its times are those of two T4.",
        frozenset(papers),
    )


def _networks(experiment: C1Experiment) -> Iterator[PageSection]:
    rows: list[tuple[Cell, ...]] = []
    for variant in experiment.recipe.variants:
        if variant not in CHANNELS:
            continue
        found, paper = tuple(stage_channels(variant)), CHANNELS[variant]
        rows.append((variant, *found, "as printed" if found == paper else f"paper: {paper}"))
    note = "Read off the networks that were trained; the last column compares with the paper's Table 1."
    table = PageTable(
        "channels", "Channels of each stage", ("variant", *STAGES, "paper"), tuple(rows), note, frozenset({"paper"})
    )
    if rows:
        yield PageSection("Networks", (), (table,))


def _learning(experiment: C1Experiment) -> PageSection:
    pictures = []
    long: list[tuple[Cell, ...]] = []
    for loss in experiment.recipe.losses:
        for group in experiment.recipe.groups:
            runs = {key: run for key, run in experiment.runs.items() if key[:2] == (loss, group)}
            picture = curves({key[2]: run.history for key, run in runs.items()}, scores=("accuracy", "auc"))
            pictures.append(replace(picture, caption=f"{GROUPS[group]}, {LOSSES[loss]} loss. {picture.caption}"))
            for key, run in runs.items():
                for row in run.history:
                    long += [(*key, row.epoch, name, value) for name, value in row.figures().items()]
    table = PageTable(
        "curves", "Curves", ("loss", "group", "variant", "epoch", "figure", "value"), tuple(long), shown=False
    )
    return PageSection("Curves", (), (table,), tuple(pictures))


def _patient(experiment: C1Experiment) -> PageSection:
    key = experiment.best
    stacks, place = of_group(experiment.stacks, key[1]), experiment.recipe.base.place_in(experiment.stacks.label_set)
    shown = patient_pictures(stacks, experiment.runs[key], experiment.recipe.shown_slices, place)
    text = (f"Best by validation loss: {key[2]}, {GROUPS[key[1]]}, {LOSSES[key[0]]} loss. {shown.text}",)
    return PageSection("One patient of the test part", text, (shown.table,) if shown.table else (), shown.pictures)
