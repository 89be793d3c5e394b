"""The tables of `study-multilabel`: four networks, folds, probabilities of unseen studies, and their page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.evaluation import Estimate, confusion, figures_by_study, roc_auc, rsna_log_loss, submitted_probability
from cspine.training.learning import Hardware
from cspine.training.recipes.answers import StudyAnswers
from cspine.training.recipes.charts import bars, confusions, curves
from cspine.training.recipes.classifier_run import ClassifierRun
from cspine.training.recipes.experiment_page import (
    Cell,
    ExperimentPage,
    PageOrigin,
    PageSection,
    PageTable,
    write_experiment,
)
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.study_multilabel.config import StudyMultilabelTable
from cspine.training.recipes.study_multilabel.published import FIGURES, PUBLISHED
from cspine.training.recipes.study_multilabel.run import (
    NAME,
    by_study,
    run_folds_study_multilabel,
    run_on_parts,
)
from cspine.training.recipes.study_multilabel.segmentation import (
    SegmentationResult,
    Segmented,
    run_segmentation,
    segmentation_section,
)
from cspine.training.recipes.study_scores import RSNA_TARGETS
from cspine.training.stacks import StackSet, held_out

LEAD = (
    "“Final Write-Up: RSNA Cervical Spine Fractures Detection” (capstone report, 2022), run again: a basic CNN, "
    "InceptionV3, ResNet50 and EfficientNetB5 answer for the study and for C1 to C7; and the U-Net that failed for "
    "them, working."
)
CAVEAT = (
    "The report does not say on how many studies, of which part, its figures stand; an accuracy of 0.95 to 1.00 is "
    "near what a "
    "network reaches that never answers yes to a level (the row “never yes”). AUC is named there, not printed."
)
DRAWS = 400
COLUMNS = (
    "network",
    "studies",
    "epoch",
    "train_loss",
    "valid_loss",
    "paper_loss",
    "accuracy",
    "paper_accuracy",
    "f1",
    "paper_f1",
    "auc",
    "auc_study",
    "log_loss",
    "seconds",
)
POOL_WORDS = {"mean": "mean", "max": "highest", "top": "mean of the highest quarter"}
OURS = ("log_loss", "accuracy", "f1", "auc", "auc_study")


@dataclass(frozen=True, eq=False)
class MultilabelExperiment:
    """The finished runs.

    Attributes
    ----------
    runs
        Network → run on the one division.
    folds
        Network → runs of all folds.
    segmentation
        ``None`` where it was left out.
    """

    recipe: StudyMultilabelTable
    stacks: StackSet
    runs: Mapping[str, ClassifierRun]
    folds: Mapping[str, Sequence[ClassifierRun]]
    segmentation: SegmentationResult | None

    def answers(self, network: str) -> StudyAnswers:
        """Return what a network says of the unseen studies."""
        return by_study(self.runs[network].test, self.recipe.base.pool)


def experiment_on(
    recipe: StudyMultilabelTable,
    stacks: StackSet,
    segmented: Segmented | None,
    out: Path,
    *,
    hardware: Hardware,
    say: Say,
) -> MultilabelExperiment:
    """Train every network, every fold and the U-Net below ``out/runs``; what was finished before is read.

    Parameters
    ----------
    segmented
        ``None`` leaves the U-Net out.
    """
    base = recipe.base
    parts = held_out(stacks, (base.valid_share, base.test_share), base.seed)
    runs: dict[str, ClassifierRun] = {}
    for name in recipe.networks:
        say(f"== {name}")
        one = replace(base, network=name)
        runs[name] = run_on_parts(one, stacks, parts, out / "runs" / name, hardware=hardware, say=say)
    folds: dict[str, list[ClassifierRun]] = {}
    for name in recipe.fold_networks if recipe.folds else ():
        say(f"== {name}, {recipe.folds} folds")
        one, folder = replace(base, network=name), out / "runs" / f"{name}-folds"
        folds[name] = run_folds_study_multilabel(one, stacks, recipe.folds, folder, hardware=hardware, say=say)
    segmentation = None
    if segmented is not None:
        segmentation = run_segmentation(recipe.unet, segmented, out / "runs" / "unet", hardware, say)
    return MultilabelExperiment(recipe, stacks, runs, folds, segmentation)


def write_study_multilabel(experiment: MultilabelExperiment, out: Path, command: str, origin: str = "") -> Path:
    """Write ``index.html`` and the CSV files; return the page.

    Parameters
    ----------
    origin
        What is known of the studies besides what they say themselves.
    """
    base, about = experiment.recipe.base, next(iter(experiment.runs.values())).about
    data = "; ".join(filter(None, (experiment.stacks.origin, origin)))
    sizes = sorted({run.trainee.size for run in experiment.runs.values()})
    counts = ", ".join(f"{part} {n[2]}" for part, n in about["counts"].items())
    facts = (
        f"Studies: {counts}; {base.slices} slices of each, channels {base.channels}, "
        f"images of {', '.join(map(str, sizes))} pixels",
        f"At most {base.fit.epochs} epochs, ends {base.fit.patience} after the lowest validation loss; "
        f"{base.fit.optimizer} "
        f"{base.fit.learning_rate:g}, loss {base.fit.loss.name}; start: {about['start']}; seed {base.seed}",
        f"A study's probability is the {POOL_WORDS[base.pool]} of those of its slices",
    )
    sections = [_results(experiment), _levels(experiment), _unseen(experiment), _learning(experiment)]
    if experiment.folds:
        sections.insert(2, _folds(experiment))
    if experiment.segmentation is not None:
        sections.append(segmentation_section(experiment.segmentation))
    page = ExperimentPage(
        NAME,
        "is the study fractured, and at which level?",
        LEAD,
        PageOrigin(data, about["split"], tuple(filter(None, (about["mark"],))), command),
        facts,
        tuple(sections),
    )
    return write_experiment(page, out)


def study_figures(answers: StudyAnswers) -> dict[str, Estimate]:
    """Return loss (challenge, of C1 … C7), mean accuracy, F1 and AUC over all answers; intervals redraw studies."""
    rng = np.random.default_rng(0)
    whole = _figures(answers.truth, answers.probability)
    drawn = []
    for _ in range(DRAWS):
        chosen = rng.integers(0, len(answers.truth), len(answers.truth))
        drawn.append(_figures(answers.truth[chosen], answers.probability[chosen]))
    found = {}
    for name, value in whole.items():
        known = [d[name] for d in drawn if np.isfinite(d[name])]
        low, high = np.quantile(known, [0.025, 0.975]) if known else (np.nan, np.nan)
        found[name] = Estimate(value, float(low), float(high), len(answers.truth))
    return found


def _figures(truth: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Return figures of (studies, labels): means over the labels where they are defined."""
    counts = [confusion(t, p) for t, p in zip(truth.T, probability.T, strict=True)]
    areas = [roc_auc(t, p) for t, p in zip(truth.T, probability.T, strict=True)]
    f1 = [c.f1_value for c in counts if c.tp + c.fn]
    known = [a for a in areas if np.isfinite(a)]
    loss = {}
    if truth.shape[1] == RSNA_TARGETS:
        loss["log_loss"] = rsna_log_loss(truth, submitted_probability(probability))
    return loss | {
        "accuracy": float(np.mean([c.accuracy().value for c in counts])),
        "f1": float(np.mean(f1)) if f1 else float("nan"),
        "auc": float(np.mean(known)) if known else float("nan"),
        "auc_study": areas[0],
    }


def _results(experiment: MultilabelExperiment) -> PageSection:
    rows: list[tuple[Cell, ...]] = []
    for name, run in experiment.runs.items():
        answers, row = experiment.answers(name), run.kept
        learned = (row.epoch, row.train_loss, row.valid_loss)
        rows.append((name, len(answers.studies), *_beside(study_figures(answers), learned, PUBLISHED.get(name))))
        rows[-1] = (*rows[-1], round(run.about["seconds"]))
    first = experiment.answers(next(iter(experiment.runs)))
    shares = experiment.stacks.targets.mean(axis=0).astype(float)
    for words, constant in (("never yes", np.zeros(len(shares))), ("prevalence of the set", shares)):
        found = study_figures(replace(first, probability=np.tile(constant, (len(first.truth), 1))))
        known = {
            name: value for name, value in found.items() if "auc" not in name and (constant.any() or "log" not in name)
        }
        rows.append((words, len(first.truth), *_beside(known, (None,) * 3, None), None))
    note = (
        "Accuracy, F1 and AUC are means over overall and all levels, F1 and AUC where a label has positives; threshold "
        "0.5. "
        "train and valid loss: of slices, of the epoch that was kept; log loss: the challenge's, global "
        "normalization, of "
        "studies. Intervals (95 %) redraw studies."
    )
    papers = frozenset(f"paper_{figure}" for figure in FIGURES)
    table = PageTable("networks", "Unseen studies", COLUMNS, tuple(rows), note, papers)
    matrices = {}
    for name in experiment.runs:
        answers = experiment.answers(name)
        matrices[f"{name}, overall"] = confusion(answers.truth[:, 0], answers.probability[:, 0])
    return PageSection("Results", (CAVEAT,), (table,), (confusions(matrices, ("whole", "fractured")),))


def _beside(
    found: Mapping[str, Estimate], learned: Sequence[Cell], paper: tuple[float, ...] | None
) -> tuple[Cell, ...]:
    """Return the cells of `COLUMNS` from epoch to log loss."""
    loss, accuracy, f1 = paper or (None,) * len(FIGURES)
    ours = (found["accuracy"], accuracy, found["f1"], f1, *(found.get(n) for n in ("auc", "auc_study", "log_loss")))
    return (*learned, loss, *ours)


def _levels(experiment: MultilabelExperiment) -> PageSection:
    names = ("overall", *experiment.stacks.label_set.levels)
    rows: list[tuple[Cell, ...]] = []
    areas: dict[str, list[float]] = {}
    for network in experiment.runs:
        answers = experiment.answers(network)
        areas[network] = []
        for k, label in enumerate(names):
            rng = np.random.default_rng(k)
            found = figures_by_study(answers.truth[:, k], answers.probability[:, k], answers.studies, rng)
            areas[network].append(found["auc"].value)
            figures = [found[f] for f in ("accuracy", "precision", "recall", "f1", "auc")]
            rows.append((network, label, int(answers.truth[:, k].sum()), *figures))
    columns = ("network", "label", "support", "accuracy", "precision", "recall", "f1", "auc")
    table = PageTable("labels", "Each answer", columns, tuple(rows), "Support: positive studies of the test part.")
    return PageSection("Overall and each level", (), (table,), (bars(names, areas, "AUC"),))


def _folds(experiment: MultilabelExperiment) -> PageSection:
    rows: list[tuple[Cell, ...]] = []
    pool = experiment.recipe.base.pool
    for network, runs in experiment.folds.items():
        answers = [by_study(run.test, pool) for run in runs]
        for k, one in enumerate(answers, start=1):
            plain = _figures(one.truth, one.probability)
            rows.append((network, f"fold {k}", len(one.studies), *(plain.get(f) for f in OURS)))
        together = StudyAnswers(
            tuple(uid for one in answers for uid in one.studies),
            np.concatenate([one.truth for one in answers]),
            np.concatenate([one.probability for one in answers]),
        )
        found = study_figures(together)
        rows.append((network, "all", len(together.studies), *(found.get(f) for f in OURS)))
    note = "Each study is tested once, by a network that saw no study of its patient. “all”: all studies together."
    table = PageTable(
        "folds", f"{experiment.recipe.folds} folds", ("network", "fold", "studies", *OURS), tuple(rows), note
    )
    return PageSection("Cross-validation", (), (table,))


def _unseen(experiment: MultilabelExperiment) -> PageSection:
    names = ("overall", *experiment.stacks.label_set.levels)
    rows: list[tuple[Cell, ...]] = []
    first = experiment.answers(next(iter(experiment.runs)))
    chosen = _varied(first.truth)[: experiment.recipe.shown_studies]
    for k in chosen:
        rows.append((first.studies[k], "truth", *(int(t) for t in first.truth[k])))
        rows += [(first.studies[k], n, *map(float, experiment.answers(n).probability[k])) for n in experiment.runs]
    spread = ", ".join(f"{n} {experiment.answers(n).probability.std(axis=0).mean():.3f}" for n in experiment.runs)
    text = (
        "In the report all five unseen studies got the same probabilities. Mean standard deviation over the unseen "
        "studies here: "
        f"{spread}.",
    )
    table = PageTable("unseen", "Probabilities beside the truth", ("study", "who", *names), tuple(rows))
    return PageSection("Unseen studies", text, (table,))


def _varied(truth: np.ndarray) -> list[int]:
    """Return the numbers of the studies, fractured and whole ones in turn."""
    yes, no = np.flatnonzero(truth[:, 0] > 0).tolist(), np.flatnonzero(truth[:, 0] == 0).tolist()
    pairs = [k for pair in zip(yes, no, strict=False) for k in pair]
    return pairs + [k for k in (*yes, *no) if k not in pairs]


def _learning(experiment: MultilabelExperiment) -> PageSection:
    picture = curves({n: run.history for n, run in experiment.runs.items()}, scores=("accuracy", "f1", "auc"))
    long: list[tuple[Cell, ...]] = [
        (name, row.epoch, figure, value)
        for name, run in experiment.runs.items()
        for row in run.history
        for figure, value in row.figures().items()
    ]
    table = PageTable("curves", "Curves", ("network", "epoch", "figure", "value"), tuple(long), shown=False)
    text = ("Of slices, each with the labels of its study; most slices of a fractured study show no fracture.",)
    return PageSection("Curves", text, (table,), (picture,))
