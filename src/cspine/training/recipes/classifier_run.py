"""Train one classifier of slices on a division of studies, and keep everything that tables need in a run folder.

::

    run/recipe.json        what the run is; another recipe, other data or another split are refused
    run/fit/               checkpoint, curve and weights of `cspine.training.learning.fit`
    run/predictions.csv    study, slice, truth and probability of every label, validation and test part
    run/result.json        counts, split, start, seconds

Legend: N slices, K labels.
"""

import csv
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cspine import __version__
from cspine.datasets import AugmentRange
from cspine.dicom import write_atomically
from cspine.domain import ConfigError
from cspine.training.backbones import HeadPlan, SliceClassifier, Start, begin, build_classifier
from cspine.training.learning import EpochRow, FitConfig, Hardware, Loss, Problem, fit, make_loss, predict
from cspine.training.recipes.dry_run import cost_of
from cspine.training.recipes.run_slice_transfer import RECIPE_FILE, RESULT_FILE, remember
from cspine.training.stacks import SliceSamples, StackSet
from cspine.training.state_files import load_state

Say = Callable[[str], None]
ANSWERS_FILE = "predictions.csv"
STAGE = "fit"
SLICE_DIGITS = 6


@dataclass(frozen=True)
class Trainee:
    """A network and how it learns.

    Attributes
    ----------
    size
        Rows and columns that it gets.
    channels
        ``gray`` or ``neighbors``, as in `SliceSamples`.
    """

    backbone: str
    size: int
    fit: FitConfig
    weights: str = "none"
    head: HeadPlan = field(default_factory=HeadPlan)
    augment: AugmentRange | None = None
    channels: str = "gray"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Labeled:
    """Slices with labels: (N, 2) stack and slice, (N, K) float32."""

    refs: np.ndarray
    labels: np.ndarray

    @property
    def counts(self) -> tuple[int, int, int]:
        """Return slices, those with any positive label, and studies."""
        return len(self.refs), int(self.labels.any(axis=1).sum()), len(np.unique(self.refs[:, 0]))


@dataclass(frozen=True, eq=False)
class LabeledParts:
    """What is trained on, validated on and tested on.

    Attributes
    ----------
    names
        Of the labels (K).
    kind, mark
        As in `Parts`.
    """

    stacks: StackSet
    train: Labeled
    valid: Labeled
    test: Labeled
    names: tuple[str, ...]
    kind: str
    mark: str = ""

    def __post_init__(self) -> None:
        for words, part in (("training", self.train), ("validation", self.valid), ("test", self.test)):
            share = part.labels.sum(axis=0) / max(1, len(part.labels))
            lacking = [n for n, s in zip(self.names, share, strict=True) if not 0 < s < 1]
            if len(lacking) == len(self.names):
                raise ConfigError(
                    f"the {words} part ({self.kind}) has only one answer to {', '.join(lacking)} among "
                    f"{len(part.labels)} slices; use more studies or other shares"
                )


@dataclass(frozen=True, eq=False)
class Answered:
    """Answers to one part: study and slice of each, truth and probability (N, K)."""

    studies: tuple[str, ...]
    slices: tuple[int, ...]
    truth: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True, eq=False)
class ClassifierRun:
    """A finished run.

    Attributes
    ----------
    about
        Counts, split, mark, start, seconds.
    """

    trainee: Trainee
    folder: Path
    history: tuple[EpochRow, ...]
    valid: Answered
    test: Answered
    about: dict[str, Any]

    @property
    def kept(self) -> EpochRow:
        """Return the epoch whose weights were kept."""
        if self.trainee.fit.keep == "last":
            return self.history[-1]
        return min(self.history, key=lambda row: row.valid_loss)

    def network(self) -> SliceClassifier:
        """Return the trained network in evaluation mode."""
        loss = make_loss(self.trainee.fit.loss, np.zeros((1, len(self.about["labels"]))))
        network = build_classifier(self.trainee.backbone, loss.outputs, self.trainee.head, self.trainee.seed)
        network.load_state_dict(load_state(self.folder / STAGE / "network.safetensors"))
        network.eval()
        return network

    @property
    def start(self) -> Start:
        """Return the normalization that the network expects."""
        return Start(self.about["start"], _triple(self.about["mean"]), _triple(self.about["std"]))


def train_classifier(
    trainee: Trainee, parts: LabeledParts, run: Path, document: Mapping[str, Any], *, hardware: Hardware, say: Say
) -> ClassifierRun:
    """Train from where an earlier run in `run` stopped, or read what it found when it is finished.

    Parameters
    ----------
    document
        What the run is: recipe and config, plain JSON.

    Raises
    ------
    ConfigError
        The folder holds another run, or weights do not fit.
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    """
    document = {**document, "data": parts.stacks.digest, "split": parts.kind}
    remember(run, document)
    finished = _read(trainee, run)
    if finished is not None:
        say(f"{run.name}: finished before")
        return finished
    began = time.monotonic()
    loss = make_loss(trainee.fit.loss, parts.train.labels)
    network = build_classifier(trainee.backbone, loss.outputs, trainee.head, trainee.seed)
    start = begin(network, trainee.backbone, trainee.weights)
    train, valid, test = (samples_of(parts, part, trainee, start) for part in (parts.train, parts.valid, parts.test))
    counts = {name: getattr(parts, name).counts for name in ("train", "valid", "test")}
    say(
        f"{parts.kind}: "
        + ", ".join(f"{k} {n} slices, {p} positive, of {s} studies" for k, (n, p, s) in counts.items())
    )
    config = replace(trainee.fit, freeze_norm=trainee.fit.freeze_norm or start.folded)
    problem = Problem(network, train, valid, document)
    fitted = fit(problem, config, run / STAGE, hardware, _reporter(trainee, say))
    about = {
        "version": __version__,
        "labels": list(parts.names),
        "split": parts.kind,
        "mark": parts.mark,
        "counts": counts,
        "start": start.source,
        "mean": start.mean,
        "std": start.std,
        "seconds": time.monotonic() - began,
    }
    assert isinstance(fitted.network, SliceClassifier)
    judged = [
        _answers(fitted.network, parts.stacks, samples, fitted.loss, (config.batch, hardware))
        for samples in (valid, test)
    ]
    result = ClassifierRun(trainee, run, fitted.history, judged[0], judged[1], about)
    _write(result, parts.names)
    return result


def dry_run_classifier(trainee: Trainee, parts: LabeledParts, hardware: Hardware) -> list[str]:
    """Return what a run would cost, measured on noise."""
    loss = make_loss(trainee.fit.loss, parts.train.labels)
    network = build_classifier(trainee.backbone, loss.outputs, trainee.head, trainee.seed)
    image = (3, trainee.size, trainee.size)
    cost = cost_of(network, image, loss.compute, trainee.fit, hardware, labels=len(parts.names))
    steps = trainee.fit.epochs * max(1, len(parts.train.refs) // (trainee.fit.batch * trainee.fit.accumulate))
    counts = ", ".join(f"{name} {getattr(parts, name).counts[0]}" for name in ("train", "valid", "test"))
    return [f"{trainee.backbone}, {trainee.size} pixels; {parts.kind}: slices {counts}", *cost.lines(steps)]


def samples_of(parts: LabeledParts, part: Labeled, trainee: Trainee, start: Start) -> SliceSamples:
    """Return the slices of a part as the network gets them."""
    return SliceSamples(
        parts.stacks, part.refs, part.labels, start, trainee.augment, size=trainee.size, channels=trainee.channels
    )


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third


def _reporter(trainee: Trainee, say: Say) -> Callable[[EpochRow], None]:
    def report(row: EpochRow) -> None:
        head = f"{trainee.backbone} {row.epoch}/{trainee.fit.epochs}: loss {row.train_loss:.4f}"
        scores = f"validation {row.valid_loss:.4f}, accuracy {row.scores['accuracy']:.3f}, AUC {row.scores['auc']:.3f}"
        waited = f"{row.waited_s / max(row.seconds, 1e-9):.0%} waiting for images"
        say(f"{head}, {scores}, {row.seconds:.1f} s, {waited}")

    return report


def _answers(
    network: SliceClassifier, stacks: StackSet, samples: SliceSamples, loss: Loss, how: tuple[int, Hardware]
) -> Answered:
    found = predict(network, samples, loss, *how)
    return Answered(
        tuple(stacks.stacks[int(n)].uid for n in samples.refs[:, 0]),
        tuple(int(k) for k in samples.refs[:, 1]),
        found.truth.numpy(),
        found.probabilities.numpy(),
    )


def _write(result: ClassifierRun, names: tuple[str, ...]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["part", "study", "slice", *(f"truth_{n}" for n in names), *(f"probability_{n}" for n in names)])
    for part, answered in (("valid", result.valid), ("test", result.test)):
        for study, k, truth, p in zip(
            answered.studies, answered.slices, answered.truth, answered.probability, strict=True
        ):
            table.writerow([part, study, k, *(int(t) for t in truth), *(f"{v:.{SLICE_DIGITS}f}" for v in p)])
    write_atomically(result.folder / ANSWERS_FILE, text.getvalue().encode())
    write_atomically(result.folder / RESULT_FILE, json.dumps(result.about, indent=2).encode())


def _read(trainee: Trainee, run: Path) -> ClassifierRun | None:
    """Return what a finished run left, or ``None``; its folder was checked to be of this recipe and data."""
    paths = (run / RESULT_FILE, run / ANSWERS_FILE, run / STAGE / "history.json", run / RECIPE_FILE)
    if not all(path.exists() for path in paths):
        return None
    about = json.loads(paths[0].read_text(encoding="utf-8"))
    with paths[1].open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    history = tuple(EpochRow(**row) for row in json.loads(paths[2].read_text(encoding="utf-8")))
    count = len(about["labels"])
    valid, test = (_answered([row for row in rows if row[0] == part], count) for part in ("valid", "test"))
    return ClassifierRun(trainee, run, history, valid, test, about)


def _answered(rows: list[list[str]], count: int) -> Answered:
    numbers = np.array([[float(cell) for cell in row[3:]] for row in rows], dtype=np.float32)
    return Answered(
        tuple(row[1] for row in rows), tuple(int(row[2]) for row in rows), numbers[:, :count], numbers[:, count:]
    )
