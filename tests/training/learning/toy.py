"""A toy that is learned in a few steps: bright images are positive."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from cspine.training.learning import FitConfig, Hardware, Problem

QUICK = Hardware(device="cpu", threads=1)
CONFIG = FitConfig(epochs=3, batch=4, learning_rate=0.05, optimizer="adam", save_every=2)


@dataclass(frozen=True)
class Bright:
    """Images of 8×8 whose mean tells the label; `poison` is a sample that is not a number."""

    count: int = 16
    seed: int = 0
    poison: int | None = None
    stop_at: int | None = None
    labels: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        labels = (np.arange(self.count) % 2).astype(np.float32)[:, None]
        object.__setattr__(self, "labels", labels)

    def plain(self, number: int) -> torch.Tensor:
        rng = np.random.default_rng([self.seed, number])
        image = rng.normal(2.0 * self.labels[number, 0] - 1.0, 0.5, (1, 8, 8)).astype(np.float32)
        return torch.from_numpy(image)

    def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        if number == self.stop_at:
            raise KeyboardInterrupt
        image = self.plain(number) * float(rng.uniform(0.8, 1.2))
        return image * float("nan") if number == self.poison else image

    def name(self, number: int) -> str:
        return f"image-{number}"


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 1)
    )


def problem(train: Bright | None = None, recipe: str = "toy") -> Problem:
    return Problem(network(), train or Bright(), Bright(8, seed=1), {"recipe": recipe})
