"""`study-multilabel` (capstone report, 2022): a study's eight answers from its slices, and the vertebrae by a U-Net."""

from dataclasses import dataclass, field

from cspine.datasets import AugmentRange
from cspine.domain import ConfigError
from cspine.training.backbones import BACKBONES, HeadPlan
from cspine.training.learning import FitConfig, LossPlan
from cspine.training.loop import LoopConfig
from cspine.training.names import pick
from cspine.training.recipes.pooling import POOLING

NETWORKS = ("basic-cnn", "inception-v3", "resnet50", "efficientnet-b5")


@dataclass(frozen=True)
class StudyMultilabel:
    """One network, from a set in the layout of RSNA 2022."""

    network: str = "basic-cnn"
    """basic-cnn, inception-v3, resnet50, efficientnet-b5, or another name of `cspine.training.backbones`."""
    weights: str = "none"
    """What the network begins with: none (the basic CNN has no other), imagenet, or a file."""
    image_size: int = 128
    """Rows and columns of the slices; 0 takes the size that the network was made for."""
    stored_size: int = 256
    """Rows and columns that slices are kept with between runs."""
    window: str = "bone"
    """Gray scale: bone, soft, brain, lung, or CENTER,WIDTH in HU."""
    labels: str = "cervical"
    """Label set: a known name, or a JSON file with columns and mask values of other levels."""
    slices: int = 32
    """Slices of a study, evenly spread from its first to its last; each is trained on with the labels of its study."""
    pool: str = "top"
    """A study's answer from those of its slices: mean, max, or top (mean of the highest quarter)."""
    channels: str = "neighbors"
    """gray: a slice thrice; neighbors: a slice between its neighbors (2.5-D)."""
    augment: AugmentRange = field(
        default_factory=lambda: AugmentRange(0.05, 0.5, 0.0, rotation_deg=10, shear=0.0, zoom=0.1)
    )
    """How slices change while they are trained on."""
    head: HeadPlan = field(default_factory=lambda: HeadPlan(hidden=0, dropout=0.3))
    """What stands on the pooled features."""
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            epochs=10, batch=32, learning_rate=1e-3, loss=LossPlan("weighted-bce"), patience=3
        )
    )
    """Ten epochs; ends when the validation loss has not fallen for three; positives weigh as much as negatives."""
    valid_share: float = 0.15
    """Share of the studies that early stopping looks at."""
    test_share: float = 0.15
    """Share of the studies that are unseen."""
    seed: int = 0
    """Of the split and the head's first weights."""

    def __post_init__(self) -> None:
        pick(BACKBONES, self.network, "backbone")
        pick(POOLING, self.pool, "way of pooling")
        if self.slices < 1 or (self.image_size and self.image_size < 32):
            raise ConfigError(
                f"slices is {self.slices}, must be at least 1; image_size is {self.image_size}, must be 0 or at "
                "least 32"
            )

    @property
    def size(self) -> int:
        """Rows and columns that the network gets."""
        return self.image_size or BACKBONES[self.network].size


@dataclass(frozen=True)
class UnetPlan:
    """The segmentation of the levels: MONAI's UNet in three dimensions, Dice and cross entropy."""

    spacing_mm: float = 3.0
    """Edge of a voxel of the working grid."""
    patch: tuple[int, ...] = (64, 64, 64)
    """Voxels along (slice, row, column) that are trained on; multiples of 8."""
    channels: tuple[int, ...] = (16, 32, 64, 96)
    """Of each level of the network, from the finest on."""
    shift_hu: float = 40.0
    """Brightness moves by at most this much while training."""
    noise_hu: float = 20.0
    """Standard deviation of the noise that is added while training, at most."""
    fit: LoopConfig = field(
        default_factory=lambda: LoopConfig(steps=1200, batch=2, learning_rate=2e-3, warmup=50, workers=0)
    )
    """AdamW on volumes drawn at random; the averaged weights are kept."""

    def __post_init__(self) -> None:
        if len(self.patch) != 3 or any(n < 8 or n % 8 for n in self.patch) or len(self.channels) != 4:
            raise ConfigError(
                f"patch {self.patch} must be three multiples of 8, channels {self.channels} four numbers: "
                "the network halves its grid three times"
            )
        if not 0.5 <= self.spacing_mm <= 8 or min(self.channels) < 1:
            raise ConfigError(f"spacing_mm is {self.spacing_mm:g}, must be 0.5 … 8; channels must be at least 1")


@dataclass(frozen=True)
class StudyMultilabelTable:
    """The report's tables: four networks on one division, folds of the first, and the segmentation."""

    base: StudyMultilabel = field(default_factory=StudyMultilabel)
    """What all networks share."""
    networks: tuple[str, ...] = NETWORKS
    """Rows of the table."""
    folds: int = 5
    """Folds of k-fold cross-validation, each network in each; 0 leaves it out."""
    fold_networks: tuple[str, ...] = ("basic-cnn",)
    """Networks that are cross-validated."""
    shown_studies: int = 5
    """Unseen studies whose probabilities are tabled beside the truth."""
    unet: UnetPlan = field(default_factory=UnetPlan)
    """The segmentation; it is left out where no study is segmented."""
    segment: bool = True
    """Whether the segmentation is trained."""

    def __post_init__(self) -> None:
        for name in (*self.networks, *self.fold_networks):
            pick(BACKBONES, name, "backbone")
        if not self.networks or self.folds in (1, 2) or self.folds < 0 or self.shown_studies < 1:
            raise ConfigError("the table needs a network and a study that is shown; folds is 0 or at least 3")


def study_multilabel() -> StudyMultilabel:
    """Return the recipe of one network."""
    return StudyMultilabel()


def study_multilabel_table() -> StudyMultilabelTable:
    """Return the recipe of the report's tables."""
    return StudyMultilabelTable()
