"""Vertebra labels for every study: a network learns them from the few segmented studies and tells them of the others.

Legend: S slices of a stack, L levels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cspine.dicom import write_atomically
from cspine.domain import ConfigError
from cspine.training.backbones import HeadPlan, begin, build_classifier
from cspine.training.learning import Hardware, Problem, fit, predict
from cspine.training.recipes.semi_supervised.config import SemiSupervised
from cspine.training.stacks import Parts, SliceSamples, StackSet, visible_targets

VALID_SHARE = 0.2
TOLD, QUALITY = "told.npz", "quality.json"


@dataclass(frozen=True, eq=False)
class Visibility:
    """Which levels each slice shows.

    Attributes
    ----------
    shown
        Of each stack (S, L), 0 or 1: its mask where it has one and is not tested on, else the network's answer.
    probability
        Of each stack (S, L), the network's answer.
    quality
        Level → share of right answers on slices of segmented studies outside the training part; ``slices``: how many.
    """

    shown: tuple[np.ndarray, ...]
    probability: tuple[np.ndarray, ...]
    quality: Mapping[str, float]


def spread_visibility(
    recipe: SemiSupervised, stacks: StackSet, parts: Parts, run: Path, hardware: Hardware
) -> Visibility:
    """Train on the segmented studies of the training part and answer for all studies.

    Raises
    ------
    ConfigError
        Fewer than two studies of the training part are segmented, or the folder holds another run.
    """
    training = [n for n in parts.stacks("train") if stacks.stacks[n].mask is not None]
    if len(training) < 2:
        raise ConfigError(
            f"{len(training)} studies of the training part ({parts.kind}) are segmented, at least 2 are needed to "
            "spread vertebra labels; segment more studies or use fewer folds"
        )
    held = max(1, round(VALID_SHARE * len(training)))
    learned, watched = (_refs(stacks, chosen) for chosen in (training[held:], training[:held]))
    probability = _told(run / TOLD, stacks)
    if probability is None:
        levels = len(stacks.label_set.levels)
        network = build_classifier(recipe.backbone, levels, HeadPlan(0, recipe.dropout), recipe.seed)
        start = begin(network, recipe.backbone, recipe.weights)
        problem = Problem(
            network,
            SliceSamples(stacks, learned, visible_targets(stacks, learned), start, recipe.augment),
            SliceSamples(stacks, watched, visible_targets(stacks, watched), start),
            visibility_document(recipe, stacks, parts),
        )
        fitted = fit(problem, recipe.visibility, run, hardware)
        refs = np.array(list(stacks.refs()), dtype=np.int32)
        blank = np.zeros((len(refs), levels), dtype=np.float32)
        samples = SliceSamples(stacks, refs, blank, start)
        answers = predict(fitted.network, samples, fitted.loss, recipe.visibility.batch, hardware)
        probability = _by_stack(answers.probabilities.numpy(), refs, len(stacks.stacks))
        told = {str(n): p for n, p in enumerate(probability)}
        np.savez_compressed(run / TOLD, **told)  # type: ignore[arg-type]  # names are not numpy's own
    quality = _quality(stacks, probability, [n for n in range(len(stacks.stacks)) if n not in training])
    write_atomically(run / QUALITY, json.dumps(quality, indent=2).encode())
    tested = set(parts.stacks("test"))
    shown = [
        (p >= recipe.visible_from).astype(np.float32) if s.mask is None or n in tested else s.visible
        for n, (s, p) in enumerate(zip(stacks.stacks, probability, strict=True))
    ]
    return Visibility(tuple(shown), tuple(probability), quality)


def visibility_document(recipe: SemiSupervised, stacks: StackSet, parts: Parts) -> dict[str, Any]:
    """Return what the network of visibility depends on: runs that differ in anything else share it."""
    names = ("backbone", "weights", "stacks", "labels", "plane", "dropout", "augment", "visibility", "seed")
    config = {name: value for name, value in asdict(recipe).items() if name in names}
    return {"recipe": "semi-supervised visibility", "config": config, "data": stacks.digest, "split": parts.kind}


def _refs(stacks: StackSet, numbers: Sequence[int]) -> np.ndarray:
    return np.array([(n, k) for n in numbers for k in range(len(stacks.stacks[n]))], dtype=np.int32)


def _told(path: Path, stacks: StackSet) -> list[np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        found = [kept[str(n)] for n in range(len(stacks.stacks)) if str(n) in kept.files]
    fits = len(found) == len(stacks.stacks) and all(len(p) == len(s) for p, s in zip(found, stacks.stacks, strict=True))
    return found if fits else None


def _by_stack(values: np.ndarray, refs: np.ndarray, count: int) -> list[np.ndarray]:
    return [values[refs[:, 0] == n] for n in range(count)]


def _quality(stacks: StackSet, probability: Sequence[np.ndarray], unseen: Sequence[int]) -> dict[str, float]:
    """Return the share of right answers of each level over slices of segmented studies that were not trained on."""
    chosen = [n for n in unseen if stacks.stacks[n].mask is not None]
    if not chosen:
        return {"slices": 0.0}
    truth = np.concatenate([stacks.stacks[n].visible for n in chosen]) >= 0.5
    said = np.concatenate([probability[n] for n in chosen]) >= 0.5
    right = (truth == said).mean(axis=0)
    levels = {name: float(share) for name, share in zip(stacks.label_set.levels, right, strict=True)}
    return {**levels, "all": float(right.mean()), "slices": float(len(truth))}
