"""Optimizers by name. All are torch's own, except Lion, which is timm's."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from cspine.training.names import pick

Make = Callable[[list[nn.Parameter], float, float], torch.optim.Optimizer]


def _sgd(parameters: list[nn.Parameter], rate: float, decay: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9, nesterov=True)


def _lion(parameters: list[nn.Parameter], rate: float, decay: float) -> torch.optim.Optimizer:
    from timm.optim import Lion  # noqa: PLC0415  # timm is slow to import and needed for this one alone

    made: torch.optim.Optimizer = Lion(parameters, lr=rate, weight_decay=decay)
    return made


def _of(kind: Any) -> Make:
    return lambda parameters, rate, decay: kind(parameters, lr=rate, weight_decay=decay)


OPTIMIZERS: dict[str, Make] = {
    "adam": _of(torch.optim.Adam),
    "adamw": _of(torch.optim.AdamW),
    "nadam": _of(torch.optim.NAdam),
    "adamax": _of(torch.optim.Adamax),
    "sgd": _sgd,
    "lion": _lion,
}


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], rate: float, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Return an optimizer of those parameters that are trained.

    Raises
    ------
    ConfigError
        The name is unknown.
    """
    return pick(OPTIMIZERS, name, "optimizer")([p for p in parameters if p.requires_grad], rate, weight_decay)
