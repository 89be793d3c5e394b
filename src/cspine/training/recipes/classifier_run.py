"""Train one classifier of slices on a division of studies, and keep everything that tables need in a run folder.

::

    run/recipe.json        what the run is; another recipe, other data or another split are refused
    run/fit/               checkpoint, curve and weights of `cspine.training.learning.fit`
    run/predictions.csv    study, slice, truth and probability of every label, validation and test part
    run/result.json        counts, split, start, seconds

Legend: N slices, K labels.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cspine import __version__
from cspine.datasets import AugmentRange
from cspine.dicom import write_atomically
from cspine.domain import ConfigError
from cspine.training.backbones import HeadPlan, SliceClassifier, Start, begin, build_classifier
from cspine.training.learning import EpochRow, FitConfig, Hardware, Loss, Problem, fit, make_loss, predict
from cspine.training.recipe_file import keep_recipe
from cspine.training.recipes.answers import Answered, read_answers, write_answers
from cspine.training.recipes.dry_run import cost_of
from cspine.training.recipes.exported import Exported, ExportedNetwork
from cspine.training.recipes.run_folder import ANSWERS_FILE, RESULT_FILE, Say
from cspine.training.stacks import SliceSamples, StackSet
from cspine.training.state_files import load_state

STAGE = "fit"


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


class Learner(Protocol):
    """What the recipes of one classifier have in common."""

    @property
    def size(self) -> int:
        """Rows and columns that the network gets."""
        ...

    @property
    def fit(self) -> FitConfig:
        """How it learns."""
        ...

    @property
    def weights(self) -> str:
        """What it begins with."""
        ...

    @property
    def head(self) -> HeadPlan:
        """What stands on the pooled features."""
        ...

    @property
    def seed(self) -> int:
        """Of its first weights."""
        ...


def trainee_of(recipe: Learner, backbone: str, augment: AugmentRange | None = None, channels: str = "gray") -> Trainee:
    """Return the network of a recipe and how it learns."""
    return Trainee(
        backbone, recipe.size, recipe.fit, recipe.weights, recipe.head, augment, channels=channels, seed=recipe.seed
    )


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
        return trained_network(self.trainee, self.folder, len(self.about["labels"]))

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
    keep_recipe(document, run)
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
        "origin": parts.stacks.origin,
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


def exported_classifier(
    trainee: Trainee, run: Path, result: Mapping[str, Any], answers: str, preprocess: Mapping[str, Any]
) -> Exported:
    """Return the network of a finished run as it goes into a bundle.

    Parameters
    ----------
    preprocess
        How slices are made besides size and normalization.
    """
    names = tuple(result["labels"])
    network = trained_network(trainee, run, len(names))
    outputs = network.head[-1].out_features
    labels = names if outputs == len(names) else ("other", *names)
    normalization = {"mean": result["mean"], "std": result["std"], "range": [0, 1]}
    return Exported(
        f"{trainee.backbone} on single slices",
        answers,
        (ExportedNetwork("slice", network, (3, trainee.size, trainee.size), "image", ("logits",)),),
        {"logits": labels},
        {"size": trainee.size, "channels": trainee.channels, **normalization, **preprocess},
    )


def trained_network(trainee: Trainee, run: Path, labels: int) -> SliceClassifier:
    """Return the trained network of a finished run in evaluation mode."""
    loss = make_loss(trainee.fit.loss, np.zeros((1, labels)))
    network = build_classifier(trainee.backbone, loss.outputs, trainee.head, trainee.seed)
    network.load_state_dict(load_state(run / STAGE / "network.safetensors"))
    return network.eval()


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
    write_answers(result.folder / ANSWERS_FILE, names, {"valid": result.valid, "test": result.test})
    write_atomically(result.folder / RESULT_FILE, json.dumps(result.about, indent=2).encode())


def _read(trainee: Trainee, run: Path) -> ClassifierRun | None:
    """Return what a finished run left, or ``None``; its folder was checked to be of this recipe and data."""
    paths = (run / RESULT_FILE, run / STAGE / "history.json")
    if not all(path.exists() for path in paths):
        return None
    about = json.loads(paths[0].read_text(encoding="utf-8"))
    history = tuple(EpochRow(**row) for row in json.loads(paths[1].read_text(encoding="utf-8")))
    _, parts = read_answers(run / ANSWERS_FILE)
    valid, test = parts["valid"], parts["test"]
    assert isinstance(valid, Answered)
    assert isinstance(test, Answered)
    return ClassifierRun(trainee, run, history, valid, test, about)
