"""`slice-transfer` (Moustafa et al. 2025): is there a fracture in this image? Frozen base, dense head, fine-tuning."""

from dataclasses import dataclass, field

from cspine.datasets import AugmentRange
from cspine.domain import ConfigError
from cspine.training.backbones import BACKBONES, HeadPlan
from cspine.training.learning import FitConfig
from cspine.training.names import pick

LEAKS = ("refuse", "report")


@dataclass(frozen=True)
class SliceTransfer:
    """One network of the paper's table, from an image folder."""

    backbone: str = "densenet121"
    """vgg16, densenet121, densenet201, mobilenet-v1, or another name of `cspine.training.backbones`."""
    weights: str = "imagenet"
    """What the base begins with: imagenet (timm's hub), a file, or none."""
    image_size: int = 224
    """Rows and columns that images are resized to."""
    patient_pattern: str = ""
    """Regular expression whose first group finds the patient in a file name; empty guesses from common beginnings."""
    augment: AugmentRange = field(default_factory=AugmentRange)
    """Shift, flips, rotation, shear, zoom and fill mode of what is trained on."""
    head: HeadPlan = field(default_factory=lambda: HeadPlan(hidden=256, dropout=0.3))
    """The dense head; the paper drops 0.3 to 0.5."""
    frozen: FitConfig = field(default_factory=lambda: FitConfig(epochs=10, learning_rate=1e-4))
    """First stage: the head alone learns."""
    finetune: FitConfig = field(default_factory=lambda: FitConfig(epochs=10, learning_rate=1e-5))
    """Second stage: the last part of the base learns, too."""
    thaw: float = 0.3
    """Share of the base's parameters that the second stage trains; 0 leaves the stage out."""
    valid_share: float = 0.2
    """Share of the training part that is validated on, where the folder has no such part."""
    test_share: float = 0.19
    """Share held out for the test, where the folder has no such part (the paper: 800 of 4,200)."""
    leaks: str = "refuse"
    """The same image on both sides of the folder's own split: refuse, or report it beside the result."""
    seed: int = 0
    """Of the split, the head's first weights, and with the stages' own seeds the order of samples."""

    def __post_init__(self) -> None:
        pick(BACKBONES, self.backbone, "backbone")
        pick(dict.fromkeys(LEAKS), self.leaks, "way of treating leaks")
        shares = (self.thaw, self.valid_share, self.test_share)
        if self.image_size < 32 or not all(0 <= s <= 1 for s in shares) or self.valid_share + self.test_share >= 1:
            raise ConfigError(
                f"image_size {self.image_size} must be at least 32, thaw {self.thaw} from 0 to 1, "
                f"valid_share {self.valid_share} and test_share {self.test_share} from 0 and below 1 together"
            )


@dataclass(frozen=True)
class SliceTransferTable:
    """The paper's table: every network with every optimizer, on one split."""

    base: SliceTransfer = field(default_factory=SliceTransfer)
    """What all pairs share."""
    backbones: tuple[str, ...] = ("vgg16", "densenet121", "densenet201", "mobilenet-v1")
    """Rows of the table."""
    optimizers: tuple[str, ...] = ("adam", "nadam")
    """Optimizers of both stages."""

    def __post_init__(self) -> None:
        for name in self.backbones:
            pick(BACKBONES, name, "backbone")
        if not self.backbones or not self.optimizers:
            raise ConfigError("the table needs at least one backbone and one optimizer")


def slice_transfer() -> SliceTransfer:
    """Return the recipe of one network."""
    return SliceTransfer()


def slice_transfer_table() -> SliceTransferTable:
    """Return the recipe of the paper's table."""
    return SliceTransferTable()
