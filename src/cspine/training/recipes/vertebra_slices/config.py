"""`vertebra-slices` (Raghuvanshi et al.): which of C1 to C7 a slice shows, whether it is fractured, and where."""

from dataclasses import dataclass, field

from cspine.datasets import AugmentRange
from cspine.domain import ConfigError
from cspine.training.backbones import BACKBONES, HeadPlan
from cspine.training.learning import FitConfig, LossPlan
from cspine.training.loop import LoopConfig
from cspine.training.names import pick

TASKS = {
    "forest": "levels by a random forest",
    "levels": "levels by a network",
    "fracture": "fracture of a slice by a network",
    "boxes": "fracture boxes by a detector",
}


@dataclass(frozen=True)
class ForestPlan:
    """The random forest (scikit-learn) on the features of `slice_features`."""

    trees: int = 300
    """Trees."""
    least_leaf: int = 1
    """Fewest slices in a leaf."""
    most_slices: int = 20_000
    """Slices that are trained on, evenly taken from all; 0 takes all."""

    def __post_init__(self) -> None:
        if self.trees < 1 or self.least_leaf < 1 or self.most_slices < 0:
            raise ConfigError(
                f"trees {self.trees} and least_leaf {self.least_leaf} must be at least 1, "
                f"most_slices {self.most_slices} not below 0"
            )


@dataclass(frozen=True)
class DetectorPlan:
    """The anchor-free detector: each place says whether a box is centered on it, and how large that is."""

    backbone: str = "efficientnet-b0"
    """A name of `cspine.training.backbones` whose stages can be tapped (not basic-cnn)."""
    weights: str = "imagenet"
    """What the backbone begins with: imagenet, none, or a file."""
    image_size: int = 384
    """Rows and columns that it gets, a multiple of 32."""
    width: int = 64
    """Channels of its neck and heads."""
    boxed_share: float = 0.5
    """Share of the slices that are trained on that have a box."""
    shift: float = 0.08
    """Largest move of a slice along each axis while training, share of the side."""
    least_score: float = 0.05
    """Boxes below are dropped."""
    per_slice: int = 5
    """Most boxes of a slice."""
    fit: LoopConfig = field(
        default_factory=lambda: LoopConfig(steps=4000, batch=16, learning_rate=5e-4, warmup=200, workers=0)
    )
    """AdamW on slices drawn at random; the averaged weights are kept."""

    def __post_init__(self) -> None:
        pick(BACKBONES, self.backbone, "backbone")
        if self.image_size < 32 or self.image_size % 32:
            raise ConfigError(f"detector.image_size is {self.image_size}, must be a multiple of 32")
        if not 0 < self.boxed_share < 1 or not 0 <= self.shift <= 0.5 or self.width < 8 or self.width % 8:
            raise ConfigError(
                f"detector: boxed_share {self.boxed_share:g} must be between 0 and 1, shift {self.shift:g} 0 … 0.5, "
                f"width {self.width} a multiple of 8"
            )
        if not 0 < self.least_score < 1 or self.per_slice < 1:
            raise ConfigError(
                f"detector: least_score {self.least_score:g} must be between 0 and 1, per_slice {self.per_slice} at "
                "least 1"
            )


@dataclass(frozen=True)
class VertebraSlices:
    """One task of the paper, from a set in the layout of RSNA 2022."""

    task: str = "levels"
    """forest or levels (which vertebrae does a slice show), fracture (is there one on it), boxes (where)."""
    backbone: str = "efficientnetv2-s"
    """Network of levels and fracture."""
    weights: str = "imagenet"
    """What it begins with: imagenet, none, or a file."""
    image_size: int = 0
    """Rows and columns that it gets; 0 takes the size that it was made for."""
    stored_size: int = 384
    """Rows and columns that slices are kept with between runs."""
    labels: str = "cervical"
    """Label set: a known name, or a JSON file with columns and mask values of other levels."""
    window: str = "bone"
    """Gray scale: bone, soft, brain, lung, or CENTER,WIDTH in HU."""
    step_mm: float = 0.0
    """Least distance of slices; 0 takes every slice."""
    augment: AugmentRange = field(
        default_factory=lambda: AugmentRange(0.05, 0.5, 0.0, rotation_deg=10, shear=0.0, zoom=0.1)
    )
    """How slices change while they are trained on."""
    head: HeadPlan = field(default_factory=lambda: HeadPlan(hidden=0, dropout=0.2))
    """What stands on the pooled features."""
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(epochs=10, batch=16, learning_rate=3e-4, loss=LossPlan("bce"), patience=3)
    )
    """Of levels and fracture; one sigmoid per answer."""
    forest: ForestPlan = field(default_factory=ForestPlan)
    """The random forest."""
    detector: DetectorPlan = field(default_factory=DetectorPlan)
    """The detector of fracture boxes."""
    valid_share: float = 0.1
    """Share of the studies that is validated on."""
    test_share: float = 0.1
    """Share of the studies that is tested on (the paper: 10 %)."""
    seed: int = 0
    """Of the split, the forest and the first weights."""

    def __post_init__(self) -> None:
        pick(TASKS, self.task, "task")
        pick(BACKBONES, self.backbone, "backbone")
        if self.image_size and self.image_size < 32:
            raise ConfigError(f"image_size is {self.image_size}, must be 0 or at least 32")

    @property
    def size(self) -> int:
        """Rows and columns that the network gets."""
        return self.image_size or BACKBONES[self.backbone].size


@dataclass(frozen=True)
class VertebraSlicesTable:
    """The paper's table, and the parts that it announced and never showed."""

    base: VertebraSlices = field(default_factory=VertebraSlices)
    """What all tasks share."""
    tasks: tuple[str, ...] = tuple(TASKS)
    """Tasks that are run."""
    shown_slices: int = 6
    """Slices that are drawn with true and found boxes."""

    def __post_init__(self) -> None:
        for name in self.tasks:
            pick(TASKS, name, "task")
        if not self.tasks or self.shown_slices < 1:
            raise ConfigError("the table needs at least one task and one slice that is shown")


def vertebra_slices() -> VertebraSlices:
    """Return the recipe of one task."""
    return VertebraSlices()


def vertebra_slices_table() -> VertebraSlicesTable:
    """Return the recipe of the paper's table."""
    return VertebraSlicesTable()
