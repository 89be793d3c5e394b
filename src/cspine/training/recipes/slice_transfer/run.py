"""Run `slice-transfer`: split, frozen stage, fine-tuning, answers on validation and test part, kept in a run folder."""

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cspine import __version__
from cspine.dicom import write_atomically
from cspine.training.backbones import SliceClassifier, begin, build_classifier, thaw_last
from cspine.training.learning import EpochRow, FitConfig, Fitted, Hardware, Loss, Problem, fit, make_loss, predict
from cspine.training.recipe_file import keep_recipe
from cspine.training.recipes.dry_run import cost_of
from cspine.training.recipes.run_folder import ANSWERS_FILE, RESULT_FILE, Say
from cspine.training.recipes.slice_transfer.config import SliceTransfer
from cspine.training.recipes.slice_transfer.images import FolderImages, list_images
from cspine.training.recipes.slice_transfer.samples import FolderSamples, Split, fold_splits, load_samples, split_folder
from cspine.training.recipes.system import Order

NAME = "slice-transfer"


@dataclass(frozen=True)
class Answers:
    """What a run says of one part: names and patients, truth (n,) and probability (n,)."""

    names: tuple[str, ...]
    patients: tuple[str, ...]
    truth: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes
    ----------
    history
        Rows of both stages in order, each with its stage's name.
    about
        Split, leaks, counts, start, seconds.
    """

    recipe: SliceTransfer
    history: tuple[tuple[str, EpochRow], ...]
    valid: Answers
    test: Answers
    about: dict[str, Any]


def read_images(recipe: SliceTransfer, order: Order) -> FolderImages:
    """List the labeled images of a folder; raises as `list_images`."""
    return list_images(order.data, recipe.patient_pattern)


def run_slice_transfer(
    recipe: SliceTransfer, folder: FolderImages, run: Path, hardware: Hardware, say: Say
) -> RunResult:
    """Train one network on a folder's split, from where an earlier run in `run` stopped.

    Raises
    ------
    ConfigError
        The run folder belongs to another recipe or other images, the split is impossible, or weights do not fit.
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    """
    return _on_split(recipe, folder, split_folder(folder, recipe), run, hardware=hardware, say=say)


def run_folds(
    recipe: SliceTransfer, folder: FolderImages, run: Path, folds: int, *, hardware: Hardware, say: Say
) -> list[RunResult]:
    """Train one network per fold below `run`; errors as in `run_slice_transfer`, and impossible folds."""
    results = []
    for number, split in enumerate(fold_splits(folder, recipe, folds), start=1):
        say(f"fold {number} of {folds}")
        results.append(_on_split(recipe, folder, split, run / f"fold-{number}", hardware=hardware, say=say))
    return results


def dry_run_slice_transfer(recipe: SliceTransfer, folder: FolderImages, hardware: Hardware) -> list[str]:
    """Return what each stage of a run would cost, measured on noise; the weights of the start are not needed.

    Raises
    ------
    ConfigError, TrainingStopped
        As the run itself would.
    """
    split = split_folder(folder, recipe)
    lines = [f"{split.kind}: {len(split.train)} train, {len(split.valid)} valid, {len(split.test)} test"]
    for stage, config, share in _stages(recipe):
        loss = make_loss(config.loss, np.zeros((1, 1)))
        network = build_classifier(recipe.backbone, loss.outputs, recipe.head, recipe.seed)
        thawed = thaw_last(network, share)
        cost = cost_of(network, (3, recipe.image_size, recipe.image_size), loss.compute, config, hardware)
        steps = config.epochs * max(1, len(split.train) // (config.batch * config.accumulate))
        lines += [f"{stage}: {', '.join(thawed) or 'head'} learns", *(f"  {line}" for line in cost.lines(steps))]
    return lines


def _stages(recipe: SliceTransfer) -> list[tuple[str, FitConfig, float]]:
    """Return name, config and thawed share of each stage."""
    stages = [("frozen", recipe.frozen, 0.0)]
    return [*stages, ("finetune", recipe.finetune, recipe.thaw)] if recipe.thaw else stages


def _on_split(
    recipe: SliceTransfer, folder: FolderImages, split: Split, run: Path, *, hardware: Hardware, say: Say
) -> RunResult:
    began = time.monotonic()
    document = {"recipe": NAME, "config": asdict(recipe), "data": folder.digest, "split": split.kind}
    keep_recipe(document, run)
    loss = make_loss(recipe.frozen.loss, np.zeros((1, 1)))
    network = build_classifier(recipe.backbone, loss.outputs, recipe.head, recipe.seed)
    start = begin(network, recipe.backbone, recipe.weights)
    train, valid, test = (load_samples(part, recipe, start) for part in (split.train, split.valid, split.test))
    counts = {name: _counts(part) for name, part in (("train", train), ("valid", valid), ("test", test))}
    say(f"{split.kind}: " + ", ".join(f"{name} {n} ({p} positive)" for name, (n, p) in counts.items()))
    history: list[tuple[str, EpochRow]] = []
    for stage, config, share in _stages(recipe):
        thaw_last(network, share)
        still = replace(config, freeze_norm=config.freeze_norm or start.folded)
        problem = Problem(network, train, valid, {**document, "stage": stage})
        fitted = fit(problem, still, run / stage, hardware, _reporter(stage, still, say))
        network, loss = _classifier(fitted), fitted.loss
        history += [(stage, row) for row in fitted.history]
    about = {
        "version": __version__,
        "split": split.kind,
        "leaks": list(split.leaks),
        "counts": counts,
        "start": start.source,
        "mean": start.mean,
        "std": start.std,
        "stage": _stages(recipe)[-1][0],
        "seconds": max(time.monotonic() - began, _seconds_before(run)),
    }
    judged = [_answers(network, part, loss, recipe.frozen.batch, hardware) for part in (valid, test)]
    result = RunResult(recipe, tuple(history), judged[0], judged[1], about)
    _write(run, result)
    return result


def _seconds_before(run: Path) -> float:
    """Return what a finished run took: reading it again takes nothing."""
    path = run / RESULT_FILE
    return float(json.loads(path.read_text())["seconds"]) if path.exists() else 0.0


def _classifier(fitted: Fitted) -> SliceClassifier:
    assert isinstance(fitted.network, SliceClassifier)
    return fitted.network


def _counts(samples: FolderSamples) -> tuple[int, int]:
    return len(samples.labels), int(samples.labels.sum())


def _reporter(stage: str, config: FitConfig, say: Say) -> Callable[[EpochRow], None]:
    def report(row: EpochRow) -> None:
        head = f"{stage} {row.epoch}/{config.epochs}: loss {row.train_loss:.4f}, validation {row.valid_loss:.4f}"
        scores = f"accuracy {row.scores['accuracy']:.3f}, AUC {row.scores['auc']:.3f}"
        waited = f"{row.waited_s / max(row.seconds, 1e-9):.0%} waiting for images"
        say(f"{head}, {scores}, {row.seconds:.1f} s, {waited}")

    return report


def _answers(network: SliceClassifier, samples: FolderSamples, loss: Loss, batch: int, hardware: Hardware) -> Answers:
    found = predict(network, samples, loss, batch, hardware)
    return Answers(samples.names, samples.patients, found.truth[:, 0].numpy(), found.probabilities[:, 0].numpy())


def _write(run: Path, result: RunResult) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["part", "image", "patient", "truth", "probability"])
    for part, answers in (("valid", result.valid), ("test", result.test)):
        for name, patient, truth, p in zip(
            answers.names, answers.patients, answers.truth, answers.probability, strict=True
        ):
            table.writerow([part, name, patient, int(truth), f"{p:.6f}"])
    write_atomically(run / ANSWERS_FILE, text.getvalue().encode())
    write_atomically(run / RESULT_FILE, json.dumps(result.about, indent=2).encode())
