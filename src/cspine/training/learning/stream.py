"""Numbered samples as batches: what position p of a run shows depends on the seed and p alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from cspine.training.child_signals import loader_signals
from cspine.training.learning.balance import epoch_order
from cspine.training.learning.config import FitConfig, Hardware
from cspine.training.learning.consistency import Pairs, numbers_at


class Samples(Protocol):
    """Images with labels, by number."""

    @property
    def labels(self) -> np.ndarray:
        """0 and 1, (samples, labels), float32."""
        ...

    def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        """Return a sample as it is trained on, (channels, rows, columns), float32."""
        ...

    def plain(self, number: int) -> torch.Tensor:
        """Return a sample as it is tested on: no augmentation."""
        ...

    def name(self, number: int) -> str:
        """Return what to call a sample in a message."""
        ...


@dataclass(frozen=True)
class Walk:
    """The way through a training part: epochs cut into steps, steps into forward passes.

    Samples that do not fill a step at the end of an epoch are left out of it.
    """

    samples: Samples
    config: FitConfig

    @property
    def per_step(self) -> int:
        """Samples of one optimizer step; a part that is smaller than a step is seen whole."""
        return min(self.config.batch * self.config.accumulate, self._length)

    @property
    def _length(self) -> int:
        return len(self.order(0))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one epoch."""
        return self._length // self.per_step

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.config.epochs * self.steps_per_epoch

    def order(self, epoch: int) -> np.ndarray:
        """Return the sample numbers of an epoch."""
        return epoch_order(self.samples.labels, self.config.balance, self.config.seed, epoch)

    def numbers(self, step: int) -> np.ndarray:
        """Return the sample numbers of one optimizer step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return self.order(epoch)[place * self.per_step : (place + 1) * self.per_step]


@dataclass(frozen=True)
class Batch:
    """One forward pass: images (N, C, H, W), targets (N, K), numbers (N,).

    Attributes
    ----------
    mild, strong
        As many images without labels, changed in two ways; ``None`` where there are none.
    """

    images: torch.Tensor
    targets: torch.Tensor
    numbers: torch.Tensor
    mild: torch.Tensor | None = None
    strong: torch.Tensor | None = None


def training_batches(
    walk: Walk, hardware: Hardware, first_step: int, place: tuple[int, int], pairs: Pairs | None = None
) -> Iterator[Batch]:
    """Yield this process's share of every forward pass from a step on, in order.

    Parameters
    ----------
    place
        Number of this process, and how many there are.
    pairs
        Images without labels, one beside each labeled one.
    """
    chosen = _Passes(walk, first_step, *place)
    yield from _loader(_Drawn(walk, pairs), chosen, hardware)


def test_batches(samples: Samples, numbers: np.ndarray, batch: int, hardware: Hardware) -> Iterator[Batch]:
    """Yield plain samples in the given order."""
    cuts = [[(int(n), 0) for n in numbers[i : i + batch]] for i in range(0, len(numbers), batch)]
    yield from _loader(_Plain(samples), cuts, hardware)


Key = tuple[int, int]
Item = tuple[torch.Tensor, torch.Tensor, int] | tuple[torch.Tensor, torch.Tensor, int, torch.Tensor, torch.Tensor]


class _Passes(Sampler[list[Key]]):
    """(sample number, position in the run) of each forward pass."""

    def __init__(self, walk: Walk, first_step: int, rank: int, world: int) -> None:
        self.walk, self.first_step, self.rank, self.world = walk, first_step, rank, world

    def __iter__(self) -> Iterator[list[Key]]:
        for step in range(self.first_step, self.walk.steps):
            keys = [(int(n), step * self.walk.per_step + i) for i, n in enumerate(self.walk.numbers(step))]
            for i in range(0, len(keys), self.walk.config.batch):
                yield keys[i : i + self.walk.config.batch][self.rank :: self.world]


class _Drawn(Dataset[Item]):
    def __init__(self, walk: Walk, pairs: Pairs | None) -> None:
        self.walk, self.pairs = walk, pairs

    def __getitem__(self, key: Key) -> Item:
        number, position = key
        samples, seed = self.walk.samples, self.walk.config.seed
        image = samples.draw(number, np.random.default_rng([seed, 12, position]))
        labeled = image, torch.from_numpy(samples.labels[number]), number
        if self.pairs is None:
            return labeled
        (other,) = numbers_at(position, 1, len(self.pairs), seed)
        return *labeled, *self.pairs.pair(other, np.random.default_rng([seed, 14, position]))


class _Plain(Dataset[Item]):
    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __getitem__(self, key: Key) -> Item:
        return self.samples.plain(key[0]), torch.from_numpy(self.samples.labels[key[0]]), key[0]


def _loader(dataset: Dataset[Item], passes: object, hardware: Hardware) -> Iterator[Batch]:
    loader = DataLoader(
        dataset,
        batch_sampler=passes,  # type: ignore[arg-type]  # a list of lists is one, too
        num_workers=hardware.workers,
        prefetch_factor=4 if hardware.workers else None,
        multiprocessing_context="fork" if hardware.workers else None,
    )
    with loader_signals():
        for parts in loader:
            yield Batch(*parts)
