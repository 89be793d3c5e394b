"""Run `winner-2022` on one division of studies.

::

    run/recipe.json         what the run is
    run/vertebra/           first model: one vertebra
    run/features.npy        of all slices of all vertebrae, by the first model
    run/study/              second model: the whole study
    run/predictions.csv     part, study, truth and probability of every target, both models blended
    run/models.npz          test part: probabilities of each model, logits of every slice by the first
    run/result.json         counts, split, losses, seconds

Legend: S studies, T = 1 + L targets, Z slices of a vertebra, F features of a slice.
"""

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cspine import __version__
from cspine.dicom import write_atomically
from cspine.evaluation import noisy_or
from cspine.training.backbones import Start, begin
from cspine.training.learning import EpochRow, FitConfig, Hardware, LossPlan, Problem, fit, make_loss, predict
from cspine.training.recipe_file import keep_recipe
from cspine.training.recipes.answers import StudyAnswers, read_answers, write_answers
from cspine.training.recipes.run_folder import ANSWERS_FILE, RESULT_FILE, Say
from cspine.training.recipes.study_scores import log_losses
from cspine.training.recipes.system import Divide
from cspine.training.recipes.winner_2022.config import Winner2022
from cspine.training.recipes.winner_2022.crops import CropSet
from cspine.training.recipes.winner_2022.network import (
    StudyNet,
    VertebraNet,
    build_body,
    feature_count,
    widened,
)
from cspine.training.recipes.winner_2022.samples import StudySamples, VertebraSamples, vertebra_refs
from cspine.training.stacks import Parts, held_out
from cspine.training.state_files import load_state

NAME = "winner-2022"
VERTEBRA, STUDY, MODELS_FILE, FEATURES_FILE = "vertebra", "study", "models.npz", "features.npy"


@dataclass(frozen=True, eq=False)
class WinnerRun:
    """A finished run.

    Attributes
    ----------
    history
        Of the first and of the second model.
    valid, test
        Both models blended.
    models
        Test part: "first model" (vertebrae, study by noisy-OR), "second model" (study) → answers.
    slices
        Test part: probability of each slice by the first model, (S, L × Z), NaN where no vertebra was found.
    about
        Counts, split, mark, start, seconds, losses.
    """

    recipe: Winner2022
    folder: Path
    history: Mapping[str, tuple[EpochRow, ...]]
    valid: StudyAnswers
    test: StudyAnswers
    models: Mapping[str, StudyAnswers]
    slices: np.ndarray
    about: dict[str, Any]


def division_of(recipe: Winner2022) -> Divide:
    """Return how the recipe divides its studies."""
    return lambda stacks: held_out(stacks, (recipe.valid_share, recipe.test_share), recipe.seed)


def build_networks(recipe: Winner2022, levels: int) -> tuple[VertebraNet, StudyNet]:
    """Return both networks with random weights, the same for the same seed."""
    body = build_body(recipe.backbone, recipe.seed)
    return _networks(recipe, body, levels)


def trained_networks(recipe: Winner2022, run: Path, levels: int) -> tuple[VertebraNet, StudyNet]:
    """Return both networks of a finished run in evaluation mode."""
    first, second = build_networks(recipe, levels)
    for network, stage in ((first, VERTEBRA), (second, STUDY)):
        network.load_state_dict(load_state(run / stage / "network.safetensors"))
    return first.eval(), second.eval()


def run_winner_2022(
    recipe: Winner2022, crops: CropSet, parts: Parts, run: Path, *, hardware: Hardware, say: Say
) -> WinnerRun:
    """Train both models from where an earlier run in the folder stopped, or read what it found.

    Raises
    ------
    ConfigError
        The folder holds another run, or weights do not fit.
    TrainingStopped
        The loss is not a number, or the memory does not suffice.
    StoreError
        A folder cannot be written, or the disk is full.
    """
    document = {"recipe": NAME, "config": asdict(recipe), "data": crops.digest, "split": parts.kind}
    keep_recipe(document, run)
    finished = _read(recipe, run)
    if finished is not None:
        say(f"{run.name}: finished before")
        return finished
    began = time.monotonic()
    studies = {part: parts.stacks(part) for part in ("train", "valid", "test")}
    body = build_body(recipe.backbone, recipe.seed)
    start = begin(body, recipe.backbone, recipe.weights)
    first, second = _networks(recipe, body, crops.levels)
    trainer = _Trainer(run, document, hardware, say)
    vertebrae = {
        part: VertebraSamples(crops, vertebra_refs(crops, n), start, recipe.mask_channel, recipe.augment)
        for part, n in studies.items()
    }
    config = replace(recipe.vertebra, freeze_norm=recipe.vertebra.freeze_norm or start.folded)
    counts = {part: (len(studies[part]), len(own.refs), int(own.labels.sum())) for part, own in vertebrae.items()}
    words = [f"{part} {s} studies, {v} vertebrae, {p} fractured" for part, (s, v, p) in counts.items()]
    say(f"{parts.kind}: {', '.join(words)}")
    told = {VERTEBRA: trainer.fit(first, (vertebrae["train"], vertebrae["valid"]), config, VERTEBRA)}
    features, slices = _features(first, crops, start, recipe, run / FEATURES_FILE)
    samples = {part: StudySamples(crops, features, numbers) for part, numbers in studies.items()}
    told[STUDY] = trainer.fit(second, (samples["train"], samples["valid"]), recipe.study, STUDY)
    shares = _shares(vertebrae["train"])
    by_part = {
        part: _answers(trainer, (first, second), (vertebrae[part], samples[part]), shares) for part in ("valid", "test")
    }
    blends = {part: _blended(*both) for part, both in by_part.items()}
    about = {
        **_about(crops, parts, start),
        "counts": counts,
        "shares": shares.tolist(),
        "losses": log_losses(blends["test"]),
        "seconds": time.monotonic() - began,
    }
    models = dict(zip(("first model", "second model"), by_part["test"], strict=True))
    result = WinnerRun(recipe, run, told, blends["valid"], blends["test"], models, slices[list(studies["test"])], about)
    _write(result)
    return result


def _about(crops: CropSet, parts: Parts, start: Start) -> dict[str, Any]:
    """Return what is known of a run before it learns."""
    return {
        "version": __version__,
        "split": parts.kind,
        "mark": parts.mark,
        "origin": crops.stacks.origin,
        "targets": list(crops.stacks.label_set.targets),
        "start": start.source,
        "mean": start.mean,
        "std": start.std,
    }


@dataclass(frozen=True)
class _Trainer:
    """Where and how the models of one run are trained."""

    run: Path
    document: dict[str, Any]
    hardware: Hardware
    say: Say

    def fit(
        self, network: torch.nn.Module, samples: tuple[Any, Any], config: FitConfig, stage: str
    ) -> tuple[EpochRow, ...]:
        """Train a network in place and return its curve."""
        problem = Problem(network, *samples, {**self.document, "stage": stage})
        fitted = fit(problem, config, self.run / stage, self.hardware, _reporter(stage, config, self.say))
        network.load_state_dict(fitted.network.state_dict())
        network.eval()
        return fitted.history

    def probabilities(self, network: torch.nn.Module, samples: Any, batch: int) -> np.ndarray:
        """Return what a network says of samples, (N, labels)."""
        sigmoid = make_loss(LossPlan("bce"), samples.labels)
        found: np.ndarray = predict(network, samples, sigmoid, batch, self.hardware).probabilities.numpy()
        return found


def _networks(recipe: Winner2022, body: Any, levels: int) -> tuple[VertebraNet, StudyNet]:
    features = feature_count(body)
    wide = widened(body, recipe.channels)
    torch.manual_seed(recipe.seed + 1)
    return VertebraNet(wide, features, recipe.sequence), StudyNet(features, recipe.sequence, levels)


def _features(
    network: VertebraNet, crops: CropSet, start: Start, recipe: Winner2022, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return features (studies, L × Z, F + 1), kept in a file, and the first model's answer to each slice."""
    count, device = recipe.crops.slices, next(network.parameters()).device
    found: np.ndarray | None = None
    slices = np.full((len(crops.crops), crops.levels * count), np.nan, np.float32)
    for study, one in enumerate(crops.crops):
        own = VertebraSamples(crops, vertebra_refs(crops, [study]), start, recipe.mask_channel)
        with torch.no_grad():
            known = network.features(torch.stack([own.plain(k) for k in range(len(one.levels))]).to(device))
            answers, known = torch.sigmoid(network.per_slice(known)).cpu().numpy(), known.cpu()
        if found is None:
            found = np.zeros((len(crops.crops), crops.levels * count, known.shape[-1] + 1), np.float16)
        for place, level in enumerate(one.levels.tolist()):
            rows = slice(level * count, (level + 1) * count)
            found[study, rows, :-1], found[study, rows, -1] = known[place].numpy(), 1.0
            slices[study, rows] = answers[place]
    assert found is not None
    buffer = io.BytesIO()
    np.save(buffer, found)
    write_atomically(path, buffer.getvalue())
    return found, slices


def _shares(vertebrae: VertebraSamples) -> np.ndarray:
    """Return the share of fractured ones of each level in the training part (L,): the answer where none is seen."""
    levels = [int(vertebrae.crops.crops[n].levels[k]) for n, k in vertebrae.refs.tolist()]
    most = vertebrae.crops.levels
    counts = np.bincount(levels, minlength=most)
    broken = np.bincount(levels, weights=vertebrae.labels[:, 0], minlength=most)
    found: np.ndarray = np.where(counts > 0, broken / np.maximum(counts, 1), vertebrae.labels.mean())
    return found


def _answers(
    trainer: _Trainer,
    networks: tuple[VertebraNet, StudyNet],
    samples: tuple[VertebraSamples, StudySamples],
    shares: np.ndarray,
) -> tuple[StudyAnswers, StudyAnswers]:
    """Return the answers of the first and of the second model to the studies of a part."""
    vertebrae, studies = samples
    by_vertebra = trainer.probabilities(networks[0], vertebrae, 8)[:, 0]
    levels = np.full((len(studies.numbers), studies.crops.levels), np.nan)
    place = {n: row for row, n in enumerate(studies.numbers)}
    for (n, k), p in zip(vertebrae.refs.tolist(), by_vertebra, strict=True):
        levels[place[n], int(vertebrae.crops.crops[n].levels[k])] = p
    overall = noisy_or(levels)
    first = np.column_stack([overall, np.where(np.isnan(levels), shares, levels)])
    second = trainer.probabilities(networks[1], studies, 32)
    uids, truth = tuple(studies.name(k) for k in range(len(studies.numbers))), studies.labels
    return StudyAnswers(uids, truth, first.astype(np.float32)), StudyAnswers(uids, truth, second)


def _blended(first: StudyAnswers, second: StudyAnswers) -> StudyAnswers:
    return replace(first, probability=(first.probability + second.probability) / 2)


def _reporter(stage: str, config: FitConfig, say: Say) -> Callable[[EpochRow], None]:
    def report(row: EpochRow) -> None:
        head = f"{stage} {row.epoch}/{config.epochs}: loss {row.train_loss:.4f}, validation {row.valid_loss:.4f}"
        waited = f"{row.waited_s / max(row.seconds, 1e-9):.0%} waiting for crops"
        say(f"{head}, AUC {row.scores['auc']:.3f}, {row.seconds:.1f} s, {waited}")

    return report


def _write(result: WinnerRun) -> None:
    arrays = io.BytesIO()
    models = {name.replace(" ", "_"): answers.probability for name, answers in result.models.items()}
    np.savez_compressed(arrays, slices=result.slices, **models)  # type: ignore[arg-type]  # names are not numpy's own
    write_answers(result.folder / ANSWERS_FILE, result.about["targets"], {"valid": result.valid, "test": result.test})
    write_atomically(result.folder / MODELS_FILE, arrays.getvalue())
    write_atomically(result.folder / RESULT_FILE, json.dumps(result.about, indent=2).encode())


def _read(recipe: Winner2022, run: Path) -> WinnerRun | None:
    """Return what a finished run left; ``result.json`` is written last."""
    if not (run / RESULT_FILE).exists():
        return None
    about = json.loads((run / RESULT_FILE).read_text(encoding="utf-8"))
    _, parts = read_answers(run / ANSWERS_FILE)
    valid, test = parts["valid"], parts["test"]
    assert isinstance(valid, StudyAnswers)
    assert isinstance(test, StudyAnswers)
    with np.load(run / MODELS_FILE, allow_pickle=False) as kept:
        slices = kept["slices"]
        models = {
            name: replace(test, probability=kept[name.replace(" ", "_")]) for name in ("first model", "second model")
        }
    return WinnerRun(recipe, run, dict(_histories(run)), valid, test, models, slices, about)


def _histories(run: Path) -> Iterator[tuple[str, tuple[EpochRow, ...]]]:
    for stage in (VERTEBRA, STUDY):
        rows = json.loads((run / stage / "history.json").read_text(encoding="utf-8"))
        yield stage, tuple(EpochRow(**row) for row in rows)
