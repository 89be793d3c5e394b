"""Slices without labels, as pairs of views: for agreement, and for the contrastive start."""

from dataclasses import dataclass

import numpy as np
import torch

from cspine.datasets import AugmentRange
from cspine.training.backbones import Start
from cspine.training.stacks import SliceSamples, StackSet


@dataclass(frozen=True, eq=False)
class UnlabeledSlices:
    """Slices (N, 2) that are seen changed mildly and strongly."""

    stacks: StackSet
    refs: np.ndarray
    start: Start
    mild: AugmentRange
    strong: AugmentRange

    def __len__(self) -> int:
        return len(self.refs)

    def pair(self, number: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the slice changed mildly and changed strongly."""
        return self.view(self.mild, number, rng), self.view(self.strong, number, rng)

    def view(self, change: AugmentRange, number: int, rng: np.random.Generator) -> torch.Tensor:
        """Return one changed view."""
        labels = np.zeros((len(self.refs), 1), dtype=np.float32)
        return SliceSamples(self.stacks, self.refs, labels, self.start, change).draw(number, rng)


@dataclass(frozen=True, eq=False)
class TwinSlices:
    """Two strongly changed views of one slice as six channels; the label says nothing."""

    slices: UnlabeledSlices
    labels: np.ndarray
    seed: int

    @classmethod
    def of(cls, slices: UnlabeledSlices, seed: int) -> "TwinSlices":
        """Return twins of slices; half of the labels are 1, so that what counts classes has two."""
        labels = (np.arange(len(slices)) % 2).astype(np.float32)[:, None]
        return cls(slices, labels, seed)

    def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        """Return two views, (6, rows, columns)."""
        change = self.slices.strong
        return torch.cat([self.slices.view(change, number, rng), self.slices.view(change, number, rng)])

    def plain(self, number: int) -> torch.Tensor:
        """Return the two views that validation always looks at."""
        return self.draw(number, np.random.default_rng([self.seed, 53, number]))

    def name(self, number: int) -> str:
        """Return study and slice."""
        stack, k = (int(n) for n in self.slices.refs[number])
        return f"{self.slices.stacks.stacks[stack].uid}, slice {k + 1}"
