"""Trainings of the toy as programs: one that is killed, and one that shares its batch with another process.

python -m tests.training.learning.processes killed RUN COUNT     SIGKILL at that sample
python -m tests.training.learning.processes shared RUN           below torchrun, or alone
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cspine.training.learning import Fitted, Problem, fit
from tests.training.learning.toy import CONFIG, QUICK, Bright, problem

SHARED = replace(CONFIG, batch=4, accumulate=2, ema=0.5)


class Killed(Bright):
    """The toy, until a sample at which the process is killed: no handler runs, no file is closed."""

    left = -1

    def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        """Return a sample, or die."""
        Killed.left -= 1
        if Killed.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(number, rng)


def without_chance() -> Problem:
    """Return the toy with group norm and without dropout, whose masks would differ by process."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1))
    return Problem(net, Bright(), Bright(8, seed=1), {"recipe": "shared"})


def shared(run: Path) -> Fitted:
    """Train on a batch that all processes share."""
    return fit(without_chance(), SHARED, run, QUICK)


def main() -> None:
    """Do what the first word says."""
    what, run = sys.argv[1], Path(sys.argv[2])
    if what == "killed":
        Killed.left = int(sys.argv[3])
        fit(problem(Killed()), CONFIG, run, QUICK)
    else:
        shared(run)


if __name__ == "__main__":
    main()
