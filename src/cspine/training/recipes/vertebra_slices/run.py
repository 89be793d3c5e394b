"""Run `vertebra-slices`: levels by forest and network on segmented studies, fracture and boxes on boxed ones."""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cspine import __version__
from cspine.datasets import window_named
from cspine.dicom import write_atomically
from cspine.domain import NoImages
from cspine.training.backbones import Start
from cspine.training.devices import device_named
from cspine.training.learning import Hardware
from cspine.training.loop import Report, fit
from cspine.training.recipe_file import keep_recipe
from cspine.training.recipes.answers import Answered, write_answers
from cspine.training.recipes.classifier_run import (
    ClassifierRun,
    Labeled,
    LabeledParts,
    Trainee,
    dry_run_classifier,
    train_classifier,
    trainee_of,
)
from cspine.training.recipes.run_folder import ANSWERS_FILE, RESULT_FILE, Say
from cspine.training.recipes.system import Divide, Order
from cspine.training.recipes.vertebra_slices.config import VertebraSlices
from cspine.training.recipes.vertebra_slices.detector import (
    BoxTask,
    FoundBoxes,
    detect_boxes,
    make_detector,
    sample_boxes,
)
from cspine.training.recipes.vertebra_slices.forest import features_of, forest_answers, train_forest
from cspine.training.stacks import (
    SliceSamples,
    StackPlan,
    StackSet,
    held_out,
    label_set_named,
    stacks_of,
    visible_targets,
)
from cspine.training.state_files import load_state, save_state

NAME = "vertebra-slices"
DETECTOR_FILE = "detector.safetensors"


@dataclass(frozen=True, eq=False)
class ForestRun:
    """Answers of the forest to the test part."""

    test: Answered
    seconds: float
    trained_on: int


@dataclass(frozen=True, eq=False)
class BoxRun:
    """What the detector found on the test part, boxes in pixels of the network (`size`)."""

    parts: LabeledParts
    samples: SliceSamples
    truth: tuple[np.ndarray, ...]
    found: list[FoundBoxes]
    size: int
    seconds: float

    @property
    def answered(self) -> Answered:
        """Return the score of the surest box of each slice as the answer whether there is a fracture."""
        scores = [float(f.scores.max(initial=0.0)) for f in self.found]
        studies = tuple(self.parts.stacks.stacks[int(n)].uid for n in self.samples.refs[:, 0])
        slices = tuple(int(k) for k in self.samples.refs[:, 1])
        return Answered(studies, slices, self.samples.labels, np.array(scores, np.float32)[:, None])


def run_task(
    recipe: VertebraSlices,
    stacks: StackSet,
    run: Path,
    hardware: Hardware,
    say: Say,
    *,
    divide: Divide | None = None,
) -> ClassifierRun | ForestRun | BoxRun:
    """Run one task on studies that were read, from where an earlier run in `run` stopped.

    Parameters
    ----------
    divide
        Another division than that of the recipe, such as a fold.

    Raises
    ------
    ConfigError
        The run folder belongs to another recipe or other data, the split is impossible, or weights do not fit.
    NoImages
        No study is segmented (levels), or none has boxes (boxes).
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    """
    document = {"recipe": NAME, "config": asdict(recipe)}
    parts = parts_of(recipe, stacks, divide)
    if recipe.task == "forest":
        return run_forest(recipe, parts, run, document, say)
    if recipe.task == "boxes":
        return run_boxes(recipe, parts, run, document, hardware=hardware, say=say)
    return train_classifier(network_of(recipe), parts, run, document, hardware=hardware, say=say)


def parts_of(recipe: VertebraSlices, stacks: StackSet, divide: Divide | None = None) -> LabeledParts:
    """Return what the recipe's task is trained and tested on; raises as `level_parts` and `fracture_parts`."""
    if recipe.task in ("forest", "levels"):
        return level_parts(recipe, stacks, divide)
    return fracture_parts(recipe, stacks, divide)


def dry_run_vertebra_slices(recipe: VertebraSlices, stacks: StackSet, hardware: Hardware) -> list[str]:
    """Return what the networks of levels and fracture would cost. Raises as the run would."""
    if recipe.task not in ("levels", "fracture"):
        return [f"task {recipe.task} is not measured beforehand; levels and fracture are"]
    return dry_run_classifier(network_of(recipe), parts_of(recipe, stacks), hardware)


def read_slices(recipe: VertebraSlices, order: Order) -> StackSet:
    """Read the labeled studies of a set."""
    plan = StackPlan(size=recipe.stored_size, window=recipe.window, step_mm=recipe.step_mm)
    return stacks_of(order.data, plan, label_set_named(recipe.labels), cache=order.cache, say=order.say)


def level_parts(recipe: VertebraSlices, stacks: StackSet, divide: Divide | None = None) -> LabeledParts:
    """Return the slices of the segmented studies with the levels that each shows.

    Raises
    ------
    NoImages
        No study is segmented.
    ConfigError
        The split is impossible.
    """
    segmented = tuple(stack for stack in stacks.stacks if stack.mask is not None)
    if not segmented:
        raise NoImages(f"none of {len(stacks.stacks)} studies is segmented; levels are learned from masks")
    known = replace(stacks, stacks=segmented)
    parts = (divide or division_of(recipe))(known)
    made = [Labeled(refs, visible_targets(known, refs)) for refs in (parts.train, parts.valid, parts.test)]
    return LabeledParts(known, made[0], made[1], made[2], stacks.label_set.levels, parts.kind, parts.mark)


def fracture_parts(recipe: VertebraSlices, stacks: StackSet, divide: Divide | None = None) -> LabeledParts:
    """Return the slices of which it is known whether they show a fracture: of studies with boxes, and of whole ones.

    Raises
    ------
    NoImages
        No study has boxes.
    ConfigError
        The split is impossible.
    """
    known = replace(stacks, stacks=tuple(s for s in stacks.stacks if len(s.boxes) or not s.targets[0]))
    if not any(len(stack.boxes) for stack in known.stacks):
        raise NoImages(f"none of {len(stacks.stacks)} studies has fracture boxes; slices are labeled by them")
    parts = (divide or division_of(recipe))(known)
    made = [_fractured(known, refs) for refs in (parts.train, parts.valid, parts.test)]
    return LabeledParts(known, made[0], made[1], made[2], (stacks.label_set.finding,), parts.kind, parts.mark)


def run_forest(recipe: VertebraSlices, parts: LabeledParts, run: Path, document: dict[str, Any], say: Say) -> ForestRun:
    """Train the forest and answer the test part; validation slices are trained on, too: nothing is chosen by them."""
    keep_recipe({**document, "data": parts.stacks.digest, "split": parts.kind}, run)
    began = time.monotonic()
    window = window_named(recipe.window)
    refs = np.concatenate([parts.train.refs, parts.valid.refs])
    labels = np.concatenate([parts.train.labels, parts.valid.labels])
    say(f"forest of {recipe.forest.trees} trees: {len(refs)} slices to train on, {len(parts.test.refs)} to test on")
    forest = train_forest(features_of(parts.stacks, refs, window), labels, recipe.forest, recipe.seed)
    probability = forest_answers(forest, features_of(parts.stacks, parts.test.refs, window))
    studies = tuple(parts.stacks.stacks[int(n)].uid for n in parts.test.refs[:, 0])
    test = Answered(studies, tuple(int(k) for k in parts.test.refs[:, 1]), parts.test.labels, probability)
    seconds = time.monotonic() - began
    _finish(run, parts, test, seconds)
    return ForestRun(test, seconds, len(refs))


def run_boxes(
    recipe: VertebraSlices, parts: LabeledParts, run: Path, document: dict[str, Any], *, hardware: Hardware, say: Say
) -> BoxRun:
    """Train the detector, or read the finished one, and find boxes on the test part."""
    keep_recipe({**document, "data": parts.stacks.digest, "split": parts.kind}, run)
    plan, began = recipe.detector, time.monotonic()
    network, start = make_detector(plan, recipe.seed)
    samples = [_plain(parts, part, plan.image_size, start) for part in (parts.train, parts.test)]
    boxes = sample_boxes(samples[0], size=plan.image_size)
    say(f"detector: {len(boxes)} slices to train on, {sum(len(b) > 0 for b in boxes)} with boxes")
    path = run / DETECTOR_FILE
    if path.exists():
        network.load_state_dict(load_state(path))
        trained: torch.nn.Module = network.eval()
    else:
        task, report = BoxTask(samples[0], boxes, plan, network), _reporter(recipe, say)
        trained = fit(task, plan.fit, run, report=report, place=hardware.place)
        save_state(trained.state_dict(), path)
    found = detect_boxes(trained.to(device_named(hardware.device)), samples[1], plan)
    truth = sample_boxes(samples[1], size=plan.image_size)
    result = BoxRun(parts, samples[1], truth, found, plan.image_size, time.monotonic() - began)
    rows = [
        {
            "slice": samples[1].name(k),
            "truth": truth[k].tolist(),
            "found": f.edges.tolist(),
            "scores": f.scores.tolist(),
        }
        for k, f in enumerate(found)
        if len(f.scores) or len(truth[k])
    ]
    write_atomically(run / "boxes.json", json.dumps(rows).encode())
    _finish(run, parts, result.answered, result.seconds)
    return result


def network_of(recipe: VertebraSlices) -> Trainee:
    """Return the network of levels or fracture, and how it learns."""
    return trainee_of(recipe, recipe.backbone, recipe.augment)


def division_of(recipe: VertebraSlices) -> Divide:
    """Return how the recipe divides its studies."""
    return lambda stacks: held_out(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)


def _fractured(stacks: StackSet, refs: np.ndarray) -> Labeled:
    labels = np.array([[stacks.stacks[n].fractured[k]] for n, k in refs.tolist()], dtype=np.float32)
    return Labeled(refs, labels.reshape(-1, 1))


def _plain(parts: LabeledParts, part: Labeled, size: int, start: Start) -> SliceSamples:
    return SliceSamples(parts.stacks, part.refs, part.labels, start, size=size)


def _finish(run: Path, parts: LabeledParts, test: Answered, seconds: float) -> None:
    """Write the answers, and what came of the run."""
    write_answers(run / ANSWERS_FILE, parts.names, {"test": test})
    about = {
        "version": __version__,
        "split": parts.kind,
        "mark": parts.mark,
        "origin": parts.stacks.origin,
        "seconds": seconds,
    }
    write_atomically(run / RESULT_FILE, json.dumps(about, indent=2).encode())


def _reporter(recipe: VertebraSlices, say: Say) -> Report:
    config = recipe.detector.fit
    told = max(config.log_every, config.steps // 10)

    def report(step: int, means: dict[str, float]) -> None:
        if step % told < config.log_every:
            say(f"detector step {step}/{config.steps}: loss {means['loss']:.4f}")

    return report
