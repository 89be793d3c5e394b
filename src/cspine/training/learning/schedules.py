"""Learning rates as pure functions: of the step, and for the plateau of the validation losses so far."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cspine.domain import ConfigError
from cspine.training.names import pick

# As in Smith & Topin 2018 and torch's OneCycleLR: where the peak lies, how far below it the ends are.
RISE = 0.3
START_DIVISOR = 25.0
END_DIVISOR = 1e4
# An epoch counts as better when the loss falls by this share, as in torch's ReduceLROnPlateau.
BETTER = 1e-4


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes on from its peak."""

    name: str = "constant"
    """constant, cosine, one-cycle or plateau."""
    warmup_steps: int = 0
    """Optimizer steps of linear rise before a constant, cosine or plateau schedule."""
    patience: int = 2
    """Plateau: epochs without a better validation loss after which the rate falls."""
    factor: float = 0.3
    """Plateau: what the rate is multiplied by."""

    def __post_init__(self) -> None:
        pick(_FACTORS, self.name, "schedule")
        if self.warmup_steps < 0 or self.patience < 0 or not 0 < self.factor < 1:
            raise ConfigError(
                f"schedule: warmup_steps {self.warmup_steps} and patience {self.patience} must not be negative, "
                f"factor {self.factor} must lie between 0 and 1"
            )


def rate_factor(schedule: Schedule, step: int, steps: int, losses: Sequence[float] = ()) -> float:
    """Return the rate of a step as a share of the peak.

    Parameters
    ----------
    steps
        Steps of the whole run.
    losses
        Validation losses of the epochs that ended before the step; the plateau alone looks at them.
    """
    return pick(_FACTORS, schedule.name, "schedule")(schedule, step, steps, losses)


def _warm(schedule: Schedule, step: int) -> float | None:
    return (step + 1) / schedule.warmup_steps if step < schedule.warmup_steps else None


def _constant(schedule: Schedule, step: int, steps: int, losses: Sequence[float]) -> float:
    warm = _warm(schedule, step)
    return 1.0 if warm is None else warm


def _cosine(schedule: Schedule, step: int, steps: int, losses: Sequence[float]) -> float:
    warm = _warm(schedule, step)
    if warm is not None:
        return warm
    return _swing(1.0, 0.0, (step - schedule.warmup_steps) / max(1, steps - schedule.warmup_steps))


def _one_cycle(schedule: Schedule, step: int, steps: int, losses: Sequence[float]) -> float:
    start, peak, end = 1 / START_DIVISOR, RISE * steps - 1, float(steps - 1)
    if step <= peak:
        return _swing(start, 1.0, step / max(peak, 1e-9))
    return _swing(1.0, start / END_DIVISOR, (step - peak) / max(end - peak, 1e-9))


def _plateau(schedule: Schedule, step: int, steps: int, losses: Sequence[float]) -> float:
    best, waited, factor = math.inf, 0, 1.0
    for loss in losses:
        better = loss < best * (1 - BETTER)
        best, waited = (loss, 0) if better else (best, waited + 1)
        if waited > schedule.patience:
            factor, waited = factor * schedule.factor, 0
    return factor * _constant(schedule, step, steps, losses)


def _swing(start: float, end: float, share: float) -> float:
    """Go from one value to another along half a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))


_FACTORS: dict[str, Callable[[Schedule, int, int, Sequence[float]], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "one-cycle": _one_cycle,
    "plateau": _plateau,
}
