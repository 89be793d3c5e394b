"""What images without labels teach: answers must not change when an image is changed.

Two ways. ``mean-teacher`` (Tarvainen & Valpola 2017): the averaged weights answer a mildly changed image, and the
network is drawn toward that answer on a strongly changed one. ``fixmatch`` (Sohn et al. 2020): where the network itself
is sure of the mildly changed image, its answer is the label of the strongly changed one; of several labels each counts
by itself.

Legend: N samples, O outputs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from cspine.domain import ConfigError
from cspine.training.names import pick


class Pairs(Protocol):
    """Images without labels, by number."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def pair(self, number: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return an image changed mildly and changed strongly, (channels, rows, columns) each."""
        ...


@dataclass(frozen=True)
class ConsistencyPlan:
    """How much agreement is asked for."""

    name: str = "mean-teacher"
    """mean-teacher or fixmatch."""
    weight: float = 1.0
    """Of the agreement beside the loss of labeled samples, when it is fully there."""
    ramp: float = 0.3
    """Share of the run over which the weight rises from 0."""
    threshold: float = 0.9
    """Fixmatch: how sure an answer must be, for yes and for no, to become a label."""

    def __post_init__(self) -> None:
        pick(_LOSSES, self.name, "way of consistency")
        if self.weight < 0 or not 0 <= self.ramp <= 1 or not 0.5 <= self.threshold < 1:
            raise ConfigError(
                f"consistency: weight {self.weight:g} must not be negative, ramp {self.ramp:g} from 0 to 1, "
                f"threshold {self.threshold:g} from 0.5 to below 1"
            )

    @property
    def by_teacher(self) -> bool:
        """Whether the averaged weights answer, which then must be kept."""
        return self.name == "mean-teacher"


@dataclass(frozen=True)
class Unlabeled:
    """Images without labels and what is asked of them."""

    pairs: Pairs
    plan: ConsistencyPlan


def consistency_weight(plan: ConsistencyPlan, step: int, steps: int) -> float:
    """Return the weight of a step: exp(−5 (1 − t)²) of the full one during the rise, as in Laine & Aila 2017."""
    rise = plan.ramp * steps
    t = 1.0 if rise <= 0 else min(1.0, step / rise)
    return plan.weight * float(np.exp(-5 * (1 - t) ** 2))


def consistency_loss(plan: ConsistencyPlan, strong_NO: torch.Tensor, mild_NO: torch.Tensor) -> torch.Tensor:
    """Return how far the logits of strongly changed images are from what mildly changed ones say."""
    return pick(_LOSSES, plan.name, "way of consistency")(plan, strong_NO, mild_NO.detach())


def numbers_at(first: int, count: int, length: int, seed: int) -> list[int]:
    """Return which of `length` images stand at positions ``first`` … of a run; all are seen before one is again."""
    found = []
    for position in range(first, first + count):
        around, place = divmod(position, length)
        found.append(int(np.random.default_rng([seed, 13, around]).permutation(length)[place]))
    return found


def _mean_teacher(plan: ConsistencyPlan, strong_NO: torch.Tensor, mild_NO: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(torch.sigmoid(strong_NO), torch.sigmoid(mild_NO))


def _fixmatch(plan: ConsistencyPlan, strong_NO: torch.Tensor, mild_NO: torch.Tensor) -> torch.Tensor:
    p_NO = torch.sigmoid(mild_NO)
    sure_NO = ((p_NO >= plan.threshold) | (p_NO <= 1 - plan.threshold)).to(strong_NO.dtype)
    loss_NO = functional.binary_cross_entropy_with_logits(
        strong_NO, (p_NO >= 0.5).to(strong_NO.dtype), reduction="none"
    )
    return (sure_NO * loss_NO).mean()


_LOSSES: Mapping[str, Callable[[ConsistencyPlan, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mean-teacher": _mean_teacher,
    "fixmatch": _fixmatch,
}
