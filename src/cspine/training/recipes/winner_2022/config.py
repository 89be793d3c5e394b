"""`winner-2022` (first place of RSNA 2022): vertebrae are cut out by their masks and judged one by one."""

from dataclasses import dataclass, field

from cspine.datasets import AugmentRange, window_named
from cspine.domain import ConfigError
from cspine.training.backbones import BACKBONES
from cspine.training.learning import FitConfig, LossPlan, Schedule
from cspine.training.names import pick
from cspine.training.stacks import CERVICAL_FRACTURES

SOURCES = {
    "mask": "the study's own mask; studies without one are left out",
    "bundle": "the vertebra stage of a bundle",
    "both": "the mask where there is one, else the bundle",
}


@dataclass(frozen=True)
class CropPlan:
    """How slices are cut out round a vertebra."""

    slices: int = 15
    """Evenly spread from the top of the vertebra to its bottom."""
    neighbors: int = 2
    """Slices above and below each that stand beside it as channels: 2 gives five channels."""
    neighbor_mm: float = 1.0
    """Distance of neighbors."""
    size: int = 224
    """Rows and columns."""
    pixel_mm: float = 0.45
    """Side of a pixel."""
    window: str = "bone"
    """Gray scale: bone, soft, brain, lung, or CENTER,WIDTH in HU."""

    def __post_init__(self) -> None:
        window_named(self.window)
        if not 1 <= self.slices <= 64 or not 0 <= self.neighbors <= 8 or not 16 <= self.size <= 1024:
            raise ConfigError(
                f"crops: slices {self.slices} must be 1 … 64, neighbors {self.neighbors} 0 … 8, "
                f"size {self.size} 16 … 1024"
            )
        if not 0 < self.neighbor_mm <= 10 or not 0.1 <= self.pixel_mm <= 10:
            raise ConfigError(
                f"crops: neighbor_mm {self.neighbor_mm:g} must be above 0 and at most 10, "
                f"pixel_mm {self.pixel_mm:g} 0.1 … 10"
            )

    @property
    def channels(self) -> int:
        """Gray channels of a slice."""
        return 2 * self.neighbors + 1


@dataclass(frozen=True)
class SequencePlan:
    """The recurrent network over slices (LSTM, both directions)."""

    hidden: int = 256
    """Units of a direction."""
    layers: int = 2
    """Layers."""
    dropout: float = 0.3
    """Share of what is dropped before the answers."""

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.layers < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"sequence: hidden {self.hidden} and layers {self.layers} must be at least 1, "
                f"dropout {self.dropout:g} from 0 to below 1"
            )


def _fit(loss: LossPlan, **changes: object) -> FitConfig:
    plain = FitConfig(epochs=20, batch=8, learning_rate=2e-4, optimizer="adamw", loss=loss, clip=1.0)
    return FitConfig(**{**vars(plain), "schedule": Schedule("cosine"), **changes})


@dataclass(frozen=True)
class Winner2022:
    """Both models, from a set in the layout of RSNA 2022."""

    backbone: str = "efficientnetv2-s"
    """Network of the slices: a name of `cspine.training.backbones`."""
    weights: str = "imagenet"
    """What it begins with: imagenet, none, or a file; its first layer is spread over the channels."""
    labels: str = "cervical"
    """Label set: a known name, or a JSON file with columns and mask values of other levels."""
    vertebrae: str = "both"
    """Where vertebrae come from: mask, bundle, or both (the mask where there is one)."""
    bundle: str = ""
    """Folder of the bundle whose vertebra stage is asked; empty: the shipped one."""
    mask_channel: bool = True
    """Whether the mask of the vertebra is a channel beside the gray ones."""
    crops: CropPlan = field(default_factory=CropPlan)
    """Slices cut out round each vertebra."""
    sequence: SequencePlan = field(default_factory=SequencePlan)
    """Over the slices of a vertebra, and in the second model over those of all vertebrae."""
    augment: AugmentRange = field(
        default_factory=lambda: AugmentRange(0.05, 0.5, 0.0, rotation_deg=10, shear=0.0, zoom=0.1)
    )
    """How all channels of a crop change together while they are trained on."""
    vertebra: FitConfig = field(default_factory=lambda: _fit(LossPlan("weighted-bce", positive_weight=2.0), mixup=0.4))
    """First model: one vertebra; a positive weighs 2 as in the challenge."""
    study: FitConfig = field(default_factory=lambda: _fit(LossPlan("competition"), learning_rate=1e-3, batch=16))
    """Second model: all slices of all vertebrae, on features of the first; the challenge's loss."""
    valid_share: float = 0.15
    """Share of the studies that is validated on, without folds."""
    test_share: float = 0.2
    """Share of the studies that is tested on, without folds."""
    seed: int = 0
    """Of the split and the first weights."""

    def __post_init__(self) -> None:
        pick(BACKBONES, self.backbone, "backbone")
        pick(SOURCES, self.vertebrae, "source of vertebrae")
        if self.labels != CERVICAL_FRACTURES.name and self.vertebrae != "mask":
            raise ConfigError(
                f"labels={self.labels}, vertebrae={self.vertebrae}: a bundle finds C1 … C7 alone; use vertebrae=mask"
            )
        if self.vertebra.loss.name in ("categorical-ce", "contrastive", "two-heads"):
            raise ConfigError(f"vertebra.loss.name is {self.vertebra.loss.name!r}; use bce, weighted-bce or focal")

    @property
    def channels(self) -> int:
        """Channels of a slice as the network gets it."""
        return self.crops.channels + self.mask_channel


@dataclass(frozen=True)
class Winner2022Table:
    """What is compared: both models and their blend, in every fold; and what is left out of the first model."""

    base: Winner2022 = field(default_factory=Winner2022)
    """What all runs share."""
    variants: tuple[str, ...] = ("as published", "no mask channel", "no neighbors")
    """Rows: as published; without the mask channel; without neighboring slices."""
    folds: int = 5
    """Folds that every row is repeated in; 0 takes one held-out part."""
    shown_patients: int = 3
    """Patients of the test part whose vertebrae are drawn."""

    def __post_init__(self) -> None:
        for variant in self.variants:
            pick(dict.fromkeys(VARIANTS), variant, "variant")
        if not self.variants or self.shown_patients < 1 or self.folds in (1, 2) or self.folds < 0:
            raise ConfigError(
                f"the table needs a variant and a patient that is shown; folds is {self.folds}, must be 0 or at least 3"
            )


VARIANTS = ("as published", "no mask channel", "no neighbors")


def winner_2022() -> Winner2022:
    """Return the recipe of both models."""
    return Winner2022()


def winner_2022_table() -> Winner2022Table:
    """Return the recipe of the comparison."""
    return Winner2022Table()
