"""Averaged weights (exponential moving average, Polyak) that keep up with a short training."""

from collections.abc import Callable
from typing import Any

import torch


def warm_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return what `torch.optim.swa_utils.AveragedModel` averages with.

    At step t the decay is at most (1 + t) / (10 + t), as in the moving averages of TensorFlow and, with another
    constant, of mean teachers (Tarvainen and Valpola, NeurIPS 2017): the average remembers about a tenth of the steps
    so far. A fixed decay of .995 remembers two hundred, so that the average of a run of three hundred is still that
    of its beginning.
    """

    def update(averaged: Any, current: Any, number: Any) -> None:
        seen = int(number)
        now = min(decay, (1 + seen) / (10 + seen))
        average = torch.optim.swa_utils.get_ema_multi_avg_fn(now)  # type: ignore[no-untyped-call]  # torch has no annotation
        average(averaged, current, number)

    return update
