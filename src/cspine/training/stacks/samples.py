"""Slices of stacks as numbered samples of `cspine.training.learning`.

Legend: N samples, K labels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from cspine.datasets import AugmentRange, sample_augmentation
from cspine.domain import ConfigError
from cspine.training.backbones import Start, normalized
from cspine.training.stacks.stack import StackSet

CHANNELS = ("gray", "neighbors")


@dataclass(frozen=True, eq=False)
class SliceSamples:
    """Single slices.

    Attributes
    ----------
    refs
        (N, 2): stack and slice, as in `Parts`.
    labels
        (N, K) float32; what a loss cannot take (NaN) must be gone.
    start
        Normalization that the network's first weights expect.
    augment
        How what is trained on changes; ``None``: not at all.
    size
        Rows and columns that the network gets; 0 for those of the stacks.
    channels
        ``gray``: the slice three times; ``neighbors``: the slice between its neighbors (2.5-D).
    """

    stacks: StackSet
    refs: np.ndarray
    labels: np.ndarray
    start: Start
    augment: AugmentRange | None = None
    size: int = 0
    channels: str = "gray"

    def __post_init__(self) -> None:
        if len(self.refs) != len(self.labels) or self.labels.ndim != 2:
            raise ConfigError(
                f"{len(self.refs)} slices with labels of shape {self.labels.shape}: (slices, labels) needed"
            )
        if self.channels not in CHANNELS:
            raise ConfigError(f"unknown channels {self.channels!r}; known are {', '.join(CHANNELS)}")

    def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        """Return an augmented slice, (3, rows, columns), normalized; its channels change together."""
        planes = self._planes(number)
        if self.augment is None:
            return self._ready(planes.astype(np.float32) / 255)
        change = sample_augmentation(self.augment, rng)
        return self._ready(np.stack([change.apply(plane) for plane in planes]))

    def plain(self, number: int) -> torch.Tensor:
        """Return a slice as it is."""
        return self._ready(self._planes(number).astype(np.float32) / 255)

    def name(self, number: int) -> str:
        """Return study and slice."""
        stack, k = (int(n) for n in self.refs[number])
        return f"{self.stacks.stacks[stack].uid}, slice {k + 1}"

    def _planes(self, number: int) -> np.ndarray:
        stack, k = (int(n) for n in self.refs[number])
        pixels = self.stacks.stacks[stack].pixels
        if self.channels == "gray":
            return np.asarray(pixels[k])[None]
        around = np.clip([k - 1, k, k + 1], 0, len(pixels) - 1)
        planes: np.ndarray = np.asarray(pixels[around])
        return planes

    def _ready(self, planes: np.ndarray) -> torch.Tensor:
        image = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))
        if self.size and image.shape[-1] != self.size:
            image = functional.interpolate(image[None], (self.size,) * 2, mode="bilinear", antialias=True)[0]
        return normalized(image.expand(3, -1, -1), self.start)


def level_targets(stacks: StackSet, refs: np.ndarray) -> np.ndarray:
    """Return whether each level is positive on each slice, (N, L) float32, NaN where it is not known."""
    found: np.ndarray = np.stack([stacks.stacks[n].levels[k] for n, k in refs.tolist()]).astype(np.float32)
    return found


def visible_targets(stacks: StackSet, refs: np.ndarray) -> np.ndarray:
    """Return whether each slice shows each level, (N, L) float32, NaN without a mask."""
    found: np.ndarray = np.stack([stacks.stacks[n].visible[k] for n, k in refs.tolist()]).astype(np.float32)
    return found
