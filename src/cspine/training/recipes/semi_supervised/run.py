"""Run `semi-supervised` on one division of studies.

::

    run/recipe.json         what the run is
    run/visibility/         the network that spreads vertebra labels, and its answers
    run/pretext/            method features: the contrastive start
    run/fit/                the two heads
    run/predictions.csv     part, study, truth and probability of every target
    run/slices.npz          test part: stack and slice, fracture and visibility probabilities
    run/result.json         counts, split, losses, seconds

Legend: N slices, L levels.
"""

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cspine import __version__
from cspine.dicom import write_atomically
from cspine.training.backbones import SliceClassifier, Start, begin, thaw_last
from cspine.training.learning import EpochRow, FitConfig, Fitted, Hardware, Problem, Unlabeled, fit, predict
from cspine.training.recipe_file import keep_recipe
from cspine.training.recipes.answers import StudyAnswers, read_answers, write_answers
from cspine.training.recipes.run_folder import ANSWERS_FILE, RESULT_FILE, Say
from cspine.training.recipes.semi_supervised.config import SemiSupervised
from cspine.training.recipes.semi_supervised.network import TwoViews, embedding, two_headed
from cspine.training.recipes.semi_supervised.planes import in_plane, parts_in_plane
from cspine.training.recipes.semi_supervised.samples import TwinSlices, UnlabeledSlices
from cspine.training.recipes.semi_supervised.score import patient_scores
from cspine.training.recipes.semi_supervised.targets import labeled_studies, taught, with_flips
from cspine.training.recipes.semi_supervised.visibility import Visibility, spread_visibility
from cspine.training.recipes.study_scores import log_losses
from cspine.training.recipes.system import Divide, Order
from cspine.training.stacks import Parts, SliceSamples, StackSet, held_out, label_set_named, stacks_of
from cspine.training.state_files import load_state

NAME = "semi-supervised"
SLICES_FILE, STAGE = "slices.npz", "fit"


@dataclass(frozen=True, eq=False)
class SliceAnswers:
    """Answers for slices: stack and slice (N, 2), fracture and visibility probabilities (N, L)."""

    refs: np.ndarray
    finding: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True, eq=False)
class SemiRun:
    """A finished run.

    Attributes
    ----------
    slices
        Of the test part.
    about
        Counts, split, mark, start, seconds, losses, quality of the spread labels.
    """

    recipe: SemiSupervised
    folder: Path
    history: tuple[EpochRow, ...]
    valid: StudyAnswers
    test: StudyAnswers
    slices: SliceAnswers
    about: dict[str, Any]

    def network(self) -> SliceClassifier:
        """Return the trained network in evaluation mode."""
        return trained_network(self.recipe, self.folder, len(self.about["targets"]) - 1)


@dataclass(frozen=True, eq=False)
class Setting:
    """What a run works on.

    Attributes
    ----------
    stacks, parts
        Axial; a run cuts them as its recipe says.
    shared
        Folder of what does not depend on the method: visibility and contrastive start.
    """

    stacks: StackSet
    parts: Parts
    shared: Path
    hardware: Hardware
    say: Say


def trained_network(recipe: SemiSupervised, run: Path, levels: int) -> SliceClassifier:
    """Return the two heads of a finished run in evaluation mode."""
    made = two_headed(recipe.backbone, levels, recipe.dropout, recipe.seed)
    made.load_state_dict(load_state(run / STAGE / "network.safetensors"))
    return made.eval()


def read_labeled(recipe: SemiSupervised, order: Order) -> StackSet:
    """Read the labeled studies of a set."""
    labels = label_set_named(recipe.labels)
    return stacks_of(order.data, recipe.stacks, labels, cache=order.cache, say=order.say)


def division_of(recipe: SemiSupervised) -> Divide:
    """Return how the recipe divides its studies."""
    return lambda stacks: held_out(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)


def run_semi_supervised(recipe: SemiSupervised, setting: Setting, run: Path) -> SemiRun:
    """Train one network from where an earlier run in the folder stopped, or read what it found.

    Raises
    ------
    ConfigError
        The folder holds another run, too few studies are segmented, or weights do not fit.
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    StoreError
        A folder cannot be written, or the disk is full.
    """
    data = {"data": setting.stacks.digest, "split": setting.parts.kind}
    document = {"recipe": NAME, "config": asdict(recipe), **data}
    keep_recipe(document, run)
    finished = _read(recipe, run)
    if finished is not None:
        setting.say(f"{run.name}: finished before")
        return finished
    began = time.monotonic()
    cut = _cut(recipe, setting)
    visibility = spread_visibility(
        recipe, cut.stacks, cut.parts, cut.shared / f"visibility-{recipe.plane}", cut.hardware
    )
    fitted, start, counts = _fitted(recipe, cut, visibility, run, document)
    answers, judged = {}, {}
    for part, refs in (("valid", cut.parts.valid), ("test", cut.parts.test)):
        samples = SliceSamples(cut.stacks, refs, _blank(refs, cut.stacks), start)
        answers[part] = _slice_answers(fitted, samples, recipe.fit.batch, cut.hardware)
        judged[part] = study_answers(cut.stacks, answers[part])
    about = {
        "version": __version__,
        "split": cut.parts.kind,
        "mark": cut.parts.mark,
        "origin": cut.stacks.origin,
        "targets": list(cut.stacks.label_set.targets),
        "studies": {part: len(cut.parts.stacks(part)) for part in ("train", "valid", "test")},
        **counts,
        "start": start.source,
        "mean": start.mean,
        "std": start.std,
        "visibility": dict(visibility.quality),
        "losses": log_losses(judged["test"]),
        "seconds": time.monotonic() - began,
    }
    result = SemiRun(recipe, run, fitted.history, judged["valid"], judged["test"], answers["test"], about)
    _write(result)
    return result


def study_answers(stacks: StackSet, answers: SliceAnswers) -> StudyAnswers:
    """Return the patient scores of every study that slices belong to."""
    numbers = np.unique(answers.refs[:, 0])
    scores = [
        patient_scores(*(a[answers.refs[:, 0] == n] for a in (answers.finding, answers.visible))) for n in numbers
    ]
    chosen = [stacks.stacks[int(n)] for n in numbers]
    truth = np.stack([s.targets for s in chosen])
    return StudyAnswers(tuple(s.uid for s in chosen), truth, np.stack(scores).astype(np.float32))


def _cut(recipe: SemiSupervised, setting: Setting) -> Setting:
    if recipe.plane == "axial":
        return setting
    stacks = in_plane(setting.stacks, recipe.plane)
    return replace(setting, stacks=stacks, parts=parts_in_plane(setting.parts, stacks))


def _fitted(
    recipe: SemiSupervised, cut: Setting, visibility: Visibility, run: Path, document: dict[str, Any]
) -> tuple[Fitted, Start, dict[str, Any]]:
    """Train the two heads; return also what the network began with, and counts of what it learned from."""
    training = cut.parts.stacks("train")
    studies = labeled_studies(cut.stacks, training, recipe.labeled_share, recipe.seed)
    told, turned = with_flips(cut.stacks, studies, recipe.flipped_share, recipe.seed)
    network, start = _begun(recipe, cut)
    learned = _repeated(cut.parts.train, studies)
    train = SliceSamples(told, learned, taught(told, learned, visibility.shown), start, recipe.augment)
    valid = SliceSamples(cut.stacks, cut.parts.valid, taught(cut.stacks, cut.parts.valid, visibility.shown), start)
    extra, config = None, replace(recipe.fit, freeze_norm=recipe.fit.freeze_norm or start.folded)
    if recipe.method == "semi-supervised":
        extra = Unlabeled(
            UnlabeledSlices(cut.stacks, cut.parts.train, start, recipe.weak, recipe.augment), recipe.consistency
        )
    cut.say(f"{run.name}: {len(studies)} of {len(training)} studies labeled, {turned} labels turned round")
    problem = Problem(network, train, valid, {**document, "stage": STAGE}, extra)
    fitted = fit(problem, config, run / STAGE, cut.hardware, _reporter(run.name, config, cut.say))
    counts = {"labeled": len(studies), "turned": turned, "slices": len(np.unique(learned, axis=0))}
    return fitted, start, counts


def _begun(recipe: SemiSupervised, cut: Setting) -> tuple[SliceClassifier, Start]:
    """Return the network before it learns, all of it thawed, or its features learned without labels and frozen."""
    levels = len(cut.stacks.label_set.levels)
    network = two_headed(recipe.backbone, levels, recipe.dropout, recipe.seed)
    start = begin(network, recipe.backbone, recipe.weights)
    if recipe.method != "features":
        return network, start
    views = TwoViews(embedding(recipe.backbone, recipe.seed))
    begin(views.body, recipe.backbone, recipe.weights)
    slices, watched = (
        UnlabeledSlices(cut.stacks, refs, start, recipe.weak, recipe.augment)
        for refs in (cut.parts.train, cut.parts.valid)
    )
    names = ("backbone", "weights", "stacks", "labels", "plane", "augment", "pretext", "seed")
    config = {name: value for name, value in asdict(recipe).items() if name in names}
    document = {"recipe": f"{NAME} pretext", "config": config, "data": cut.stacks.digest, "split": cut.parts.kind}
    problem = Problem(views, TwinSlices.of(slices, recipe.seed), TwinSlices.of(watched, recipe.seed), document)
    fitted = fit(problem, recipe.pretext, cut.shared / f"pretext-{recipe.plane}", cut.hardware)
    assert isinstance(fitted.network, TwoViews)
    network.backbone.load_state_dict(fitted.network.body.backbone.state_dict())
    thaw_last(network, 0.0)
    return network, start


def _repeated(training: np.ndarray, studies: Sequence[int]) -> np.ndarray:
    """Return the slices of the labeled studies, repeated until an epoch is as long as with all labels."""
    labeled = training[np.isin(training[:, 0], np.asarray(studies))]
    return np.resize(labeled, (len(training), 2))


def _blank(refs: np.ndarray, stacks: StackSet) -> np.ndarray:
    return np.zeros((len(refs), 2 * len(stacks.label_set.levels)), dtype=np.float32)


def _slice_answers(fitted: Fitted, samples: SliceSamples, batch: int, hardware: Hardware) -> SliceAnswers:
    found = predict(fitted.network, samples, fitted.loss, batch, hardware).probabilities.numpy()
    finding, visible = np.split(found, 2, axis=1)
    return SliceAnswers(samples.refs, finding, visible)


def _reporter(name: str, config: FitConfig, say: Say) -> Callable[[EpochRow], None]:
    def report(row: EpochRow) -> None:
        head = f"{name} {row.epoch}/{config.epochs}: loss {row.train_loss:.4f}, validation {row.valid_loss:.4f}"
        waited = f"{row.waited_s / max(row.seconds, 1e-9):.0%} waiting for slices"
        say(f"{head}, AUC {row.scores['auc']:.3f}, {row.seconds:.1f} s, {waited}")

    return report


def _write(result: SemiRun) -> None:
    arrays = io.BytesIO()
    np.savez_compressed(arrays, refs=result.slices.refs, finding=result.slices.finding, visible=result.slices.visible)
    history = json.dumps([asdict(row) for row in result.history], indent=2)
    parts = {"valid": result.valid, "test": result.test}
    write_answers(result.folder / ANSWERS_FILE, result.about["targets"], parts)
    for name, content in (
        (SLICES_FILE, arrays.getvalue()),
        ("history.json", history.encode()),
        (RESULT_FILE, json.dumps(result.about, indent=2).encode()),
    ):
        write_atomically(result.folder / name, content)


def _read(recipe: SemiSupervised, run: Path) -> SemiRun | None:
    """Return what a finished run left; ``result.json`` is written last."""
    if not (run / RESULT_FILE).exists():
        return None
    about = json.loads((run / RESULT_FILE).read_text(encoding="utf-8"))
    with np.load(run / SLICES_FILE, allow_pickle=False) as kept:
        slices = SliceAnswers(kept["refs"], kept["finding"], kept["visible"])
    history = tuple(EpochRow(**row) for row in json.loads((run / "history.json").read_text(encoding="utf-8")))
    _, parts = read_answers(run / ANSWERS_FILE)
    valid, test = parts["valid"], parts["test"]
    assert isinstance(valid, StudyAnswers)
    assert isinstance(test, StudyAnswers)
    return SemiRun(recipe, run, history, valid, test, slices, about)
