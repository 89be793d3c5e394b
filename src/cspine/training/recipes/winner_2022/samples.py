"""Vertebrae, and whole studies as features, as numbered samples of `cspine.training.learning`.

Legend: N samples, Z slices, C channels, R rows = columns, L levels, F features of a slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cspine.datasets import Augmentation, AugmentRange, sample_augmentation
from cspine.training.backbones import Start
from cspine.training.recipes.winner_2022.crops import CropSet


@dataclass(frozen=True, eq=False)
class VertebraSamples:
    """Single vertebrae.

    Attributes
    ----------
    refs
        (N, 2): study, and number of the vertebra in it.
    masked
        Whether the mask is the last channel.
    """

    crops: CropSet
    refs: np.ndarray
    start: Start
    masked: bool
    augment: AugmentRange | None = None

    @property
    def labels(self) -> np.ndarray:
        """Whether each is fractured, (N, 1) float32, by the row of its study."""
        rows = [(int(n), int(self.crops.crops[n].levels[k])) for n, k in self.refs.tolist()]
        return np.array([[self.crops.stacks.stacks[n].targets[1 + level]] for n, level in rows], dtype=np.float32)

    def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        """Return the slices of a vertebra, all changed alike, (Z, C, R, R), normalized."""
        return self._ready(number, None if self.augment is None else sample_augmentation(self.augment, rng))

    def plain(self, number: int) -> torch.Tensor:
        """Return the slices as they are."""
        return self._ready(number, None)

    def name(self, number: int) -> str:
        """Return study and level."""
        study, k = (int(n) for n in self.refs[number])
        levels = self.crops.stacks.label_set.levels
        return f"{self.crops.crops[study].uid}, {levels[int(self.crops.crops[study].levels[k])]}"

    def _ready(self, number: int, change: Augmentation | None) -> torch.Tensor:
        study, k = (int(n) for n in self.refs[number])
        one = self.crops.crops[study]
        gray, mask = np.asarray(one.pixels[k]), np.asarray(one.mask[k])[:, None] * np.uint8(255)
        planes = np.concatenate([gray, mask], axis=1) if self.masked else gray
        shares = planes.astype(np.float32) / 255 if change is None else _changed(planes, change)
        image = torch.from_numpy(np.ascontiguousarray(shares))
        mean, std = float(np.mean(self.start.mean)), float(np.mean(self.start.std))
        normalized: torch.Tensor = (image - mean) / std
        return normalized


@dataclass(frozen=True, eq=False)
class StudySamples:
    """Whole studies as features of their slices.

    Attributes
    ----------
    features
        (studies, L × Z, F + 1) float16; the last is 1 where the level was found.
    numbers
        Which studies are the samples (N,).
    """

    crops: CropSet
    features: np.ndarray
    numbers: Sequence[int]

    @property
    def labels(self) -> np.ndarray:
        """Rows of the studies, (N, 1 + L) float32."""
        found: np.ndarray = self.crops.stacks.targets[list(self.numbers)]
        return found

    def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        """Return the features of a study: they do not change."""
        return self.plain(number)

    def plain(self, number: int) -> torch.Tensor:
        """Return the features of a study, (L × Z, F + 1)."""
        return torch.from_numpy(np.asarray(self.features[self.numbers[number]], dtype=np.float32))

    def name(self, number: int) -> str:
        """Return the study."""
        return self.crops.crops[self.numbers[number]].uid


def vertebra_refs(crops: CropSet, studies: Sequence[int]) -> np.ndarray:
    """Return every vertebra of some studies, (N, 2) int32: study, number in it."""
    pairs = [(n, k) for n in studies for k in range(len(crops.crops[n].levels))]
    return np.array(pairs, dtype=np.int32).reshape(-1, 2)


def _changed(planes: np.ndarray, change: Augmentation) -> np.ndarray:
    """Return all planes (Z, C, R, R) changed alike, float32 0 … 1, in one pass."""
    stacked = np.moveaxis(planes.reshape(-1, *planes.shape[-2:]), 0, -1)
    return np.moveaxis(change.apply(stacked), -1, 0).reshape(planes.shape)
