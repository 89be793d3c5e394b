"""What a fit is asked to do."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cspine.domain import ConfigError
from cspine.training.devices import Place
from cspine.training.learning.balance import WAYS
from cspine.training.learning.losses import LOSSES, LossPlan
from cspine.training.learning.optimizers import OPTIMIZERS
from cspine.training.learning.schedules import Schedule
from cspine.training.names import pick

KEEP = ("best", "last")


@dataclass(frozen=True)
class FitConfig:
    """How one network learns from numbered samples."""

    epochs: int = 10
    """Times that the training part is seen."""
    batch: int = 32
    """Samples per forward pass of all processes together."""
    accumulate: int = 1
    """Forward passes per optimizer step; batch × accumulate samples make one step."""
    optimizer: str = "adam"
    """adam, adamw, nadam, adamax, sgd or lion."""
    learning_rate: float = 1e-4
    """Peak rate."""
    weight_decay: float = 0.0
    """As the optimizer defines it."""
    schedule: Schedule = field(default_factory=Schedule)
    """What becomes of the rate."""
    loss: LossPlan = field(default_factory=LossPlan)
    """What is minimized."""
    balance: str = "none"
    """none, over (the rare class repeated) or under (the frequent class thinned)."""
    clip: float = 0.0
    """Limit of the gradient's norm; 0 sets none."""
    ema: float = 0.0
    """Decay of averaged weights, which are then validated and kept; 0 keeps the weights themselves."""
    mixup: float = 0.0
    """Samples of a pass are mixed in pairs, by shares from Beta(mixup, mixup) (Zhang et al. 2018); 0 mixes none."""
    freeze_norm: bool = False
    """Keep every batch norm at the statistics it began with."""
    patience: int = 0
    """Epochs without a better validation loss after which the run ends; 0 runs all epochs."""
    keep: str = "best"
    """Which weights a run ends with: best (lowest validation loss) or last."""
    seed: int = 0
    """Of the order of samples, of augmentation and of dropout."""
    save_every: int = 200
    """Optimizer steps between checkpoints; one is written at the end of each epoch, too."""

    def __post_init__(self) -> None:
        pick(OPTIMIZERS, self.optimizer, "optimizer")
        pick(LOSSES, self.loss.name, "loss")
        pick(WAYS, self.balance, "way of balancing")
        pick(dict.fromkeys(KEEP), self.keep, "choice of weights to keep")
        for name in ("epochs", "batch", "accumulate", "save_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0 or not 0 <= self.ema < 1 or min(self._not_negative()) < 0:
            raise ConfigError(
                f"learning_rate {self.learning_rate} must be above 0, ema {self.ema} from 0 to below 1, "
                f"mixup {self.mixup}, clip {self.clip}, patience {self.patience} and weight_decay {self.weight_decay} "
                "not below 0"
            )

    def _not_negative(self) -> tuple[float, ...]:
        return self.clip, self.patience, self.weight_decay, self.mixup


Watch = Callable[[str, float], None]


def unwatched(stage: str, share: float) -> None:
    """Show nobody how far a fit is."""


@dataclass(frozen=True)
class Hardware:
    """What a fit runs on, and who watches; not part of a recipe, because the result should not depend on it."""

    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: str = "f32"
    """f32, bf16 or f16 (mixed)."""
    workers: int = 0
    """Processes that make samples; 0 makes them in the main process."""
    threads: int = 2
    """Threads of torch on the CPU."""
    deterministic: bool = True
    """Refuse operations whose result changes from run to run."""
    watch: Watch = unwatched
    """Told the epoch, and the share of all steps that is done, after each step."""

    def __post_init__(self) -> None:
        _ = self.place  # names are looked at
        if self.workers < 0 or self.threads < 1:
            raise ConfigError(f"workers {self.workers} must not be negative, threads {self.threads} at least 1")

    @property
    def place(self) -> Place:
        """Where it computes, and in which numbers."""
        return Place(self.device, self.precision)
