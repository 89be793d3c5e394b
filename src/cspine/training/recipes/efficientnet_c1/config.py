"""`efficientnet-c1` (Karno et al. 2023): is there a fracture of C1 in this slice? EfficientNet B0 to B7, two groups."""

from dataclasses import dataclass, field

from cspine.datasets import rules_of
from cspine.domain import ConfigError
from cspine.training.backbones import BACKBONES, HeadPlan
from cspine.training.learning import FitConfig, LossPlan
from cspine.training.names import pick
from cspine.training.recipes.efficientnet_c1.published import VARIANTS
from cspine.training.stacks import LabelSet

GROUPS = {"few": "≤ 350 slices", "many": "> 350 slices", "all": "all studies"}
DIVISIONS = ("study", "image")
LABELS = ("slice", "study")
# One sigmoid output, or two softmax outputs.
LOSSES = {"bce": "binary", "categorical-ce": "categorical"}


@dataclass(frozen=True)
class EfficientNetC1:
    """One variant on one group of studies, from a set in the layout of RSNA 2022."""

    variant: str = "efficientnet-b0"
    """efficientnet-b0 to -b7, or another name of `cspine.training.backbones`."""
    level: str = "C1"
    """Which level of the label set is asked for; the paper: C1."""
    labels: str = "cervical"
    """Label set: a known name, or a JSON file with columns and mask values of other levels."""
    group: str = "few"
    """few (at most 350 slices), many (more), or all studies; by the slices that a study has on disk."""
    preset: str = "efficientnet-c1"
    """Rules that studies are filtered by: a preset of ``cspine data filter``; the paper's keeps fractured ones only."""
    weights: str = "imagenet"
    """What the network begins with: imagenet (timm's hub), a file, or none."""
    image_size: int = 0
    """Rows and columns; 0 takes the size that the variant was made for."""
    stored_size: int = 512
    """Rows and columns that slices are kept with between runs; the variants are fed from these."""
    window: str = "bone"
    """Gray scale: bone, soft, brain, lung, or CENTER,WIDTH in HU."""
    step_mm: float = 0.0
    """Least distance of slices; 0 takes every slice."""
    label: str = "slice"
    """slice: a box of the level lies on it (without boxes: the mask shows the level, which is fractured), what is not
    known is left out; study: every slice of a study whose level is fractured is positive, as in the paper."""
    by: str = "study"
    """study: no patient stands on two sides; image: slices are divided one by one as in the paper, which leaks."""
    valid_share: float = 0.05
    """Share of the validation part (the paper: 5 %)."""
    test_share: float = 0.05
    """Share of the test part (the paper: 5 %)."""
    head: HeadPlan = field(default_factory=lambda: HeadPlan(hidden=0, dropout=0.2))
    """After global pooling: no hidden layer."""
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(epochs=50, optimizer="adamax", learning_rate=1e-3, loss=LossPlan("bce"))
    )
    """Adamax, 1e-3, 50 epochs; loss bce has one sigmoid output, categorical-ce two softmax outputs."""
    seed: int = 0
    """Of the split and the head's first weights."""

    def __post_init__(self) -> None:
        pick(BACKBONES, self.variant, "backbone")
        pick(GROUPS, self.group, "group of studies")
        pick(dict.fromkeys(DIVISIONS), self.by, "way of dividing")
        pick(dict.fromkeys(LABELS), self.label, "kind of label")
        rules_of(self.preset)
        if self.image_size and self.image_size < 32:
            raise ConfigError(f"image_size is {self.image_size}, must be 0 or at least 32")
        if not (0 < self.valid_share < 1 and 0 < self.test_share < 1 and self.valid_share + self.test_share < 1):
            raise ConfigError(
                f"valid_share {self.valid_share:g} and test_share {self.test_share:g} must be above 0, below 1 together"
            )

    @property
    def size(self) -> int:
        """Rows and columns that the network gets."""
        return self.image_size or BACKBONES[self.variant].size

    def place_in(self, labels: LabelSet) -> int:
        """Return the place of the level, 0 for the first.

        Raises
        ------
        ConfigError
            It is none of the set.
        """
        return pick(
            {name: k for k, name in enumerate(labels.levels)}, self.level, f"level of label set {labels.name!r}"
        )


@dataclass(frozen=True)
class EfficientNetC1Table:
    """The paper's tables: every variant on both groups, with both losses, on the same division."""

    base: EfficientNetC1 = field(default_factory=EfficientNetC1)
    """What all runs share."""
    variants: tuple[str, ...] = VARIANTS
    """Networks."""
    groups: tuple[str, ...] = ("few", "many")
    """Groups of studies."""
    losses: tuple[str, ...] = ("bce", "categorical-ce")
    """One sigmoid output, and two softmax outputs."""
    shown_slices: int = 6
    """Slices of a test patient that are drawn with box and mask."""

    def __post_init__(self) -> None:
        for name in self.variants:
            pick(BACKBONES, name, "backbone")
        for name in self.groups:
            pick(GROUPS, name, "group of studies")
        for name in self.losses:
            pick(LOSSES, name, "loss of this recipe")
        if not self.variants or not self.groups or not self.losses or self.shown_slices < 1:
            raise ConfigError("the table needs at least one variant, one group, one loss and one slice that is shown")


def efficientnet_c1() -> EfficientNetC1:
    """Return the recipe of one variant."""
    return EfficientNetC1()


def efficientnet_c1_table() -> EfficientNetC1Table:
    """Return the recipe of the paper's tables."""
    return EfficientNetC1Table()
