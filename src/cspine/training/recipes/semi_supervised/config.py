"""`semi-supervised` (Abdikhan 2023): fractures and visible levels of single slices, from few labels and many images."""

from dataclasses import dataclass, field

from cspine.datasets import AugmentRange
from cspine.domain import ConfigError
from cspine.training.backbones import BACKBONES
from cspine.training.learning import ConsistencyPlan, FitConfig, LossPlan, Schedule
from cspine.training.names import pick
from cspine.training.stacks import StackPlan

METHODS = ("supervised", "semi-supervised", "features")
PLANES = ("axial", "sagittal", "coronal")
MILD = AugmentRange(shift=0.05, flip_vertical=0.0, rotation_deg=5.0, shear=0.0, zoom=0.05)
STRONG = AugmentRange(shift=0.1, flip_vertical=0.0, rotation_deg=20.0, shear=0.0, zoom=0.2, crop=0.1)


def _fit(epochs: int, loss: LossPlan, **changes: object) -> FitConfig:
    plain = FitConfig(epochs=epochs, batch=32, learning_rate=1e-3, optimizer="adamw", loss=loss, clip=1.0)
    return FitConfig(**{**vars(plain), "schedule": Schedule("one-cycle"), "keep": "last", **changes})  # type: ignore[arg-type]  # values of its own fields


@dataclass(frozen=True)
class SemiSupervised:
    """One network of the thesis, or one of what it is compared with."""

    method: str = "semi-supervised"
    """supervised: labeled studies alone. semi-supervised: agreement on the other studies, too. features: a contrastive
    start without any label, frozen, and linear heads from the labeled studies."""
    backbone: str = "efficientnetv2-s"
    """A name of `cspine.training.backbones`."""
    weights: str = "imagenet"
    """What the network begins with: imagenet (timm's hub), a file, or none."""
    stacks: StackPlan = field(default_factory=StackPlan)
    """Size, window and least distance of the slices; the thesis: 384 × 384."""
    labels: str = "cervical"
    """Label set: a known name, or a JSON file with columns and mask values of other levels."""
    plane: str = "axial"
    """axial, sagittal or coronal: how slices are cut."""
    labeled_share: float = 1.0
    """Share of the training part's studies whose row of labels is used."""
    flipped_share: float = 0.0
    """Share of the labels of those rows that are turned round, to see what wrong labels do."""
    dropout: float = 0.3
    """Share of features dropped before the two heads."""
    weak: AugmentRange = field(default_factory=lambda: MILD)
    """Mild changes of images without labels."""
    augment: AugmentRange = field(default_factory=lambda: STRONG)
    """Rotation, flip, crop, zoom and shift of what is learned from; strong changes of images without labels."""
    visibility: FitConfig = field(default_factory=lambda: _fit(5, LossPlan("bce")))
    """The network that spreads vertebra labels from the segmented studies to all."""
    visible_from: float = 0.5
    """Probability from which a level counts as visible in a study without a mask."""
    consistency: ConsistencyPlan = field(default_factory=ConsistencyPlan)
    """How images without labels are learned from."""
    pretext: FitConfig = field(default_factory=lambda: _fit(10, LossPlan("contrastive")))
    """Method features: contrastive learning of the start."""
    fit: FitConfig = field(default_factory=lambda: _fit(10, LossPlan("two-heads", positive_weight=2.0), ema=0.99))
    """The two heads: loss two-heads, weighted for fractures; ema is needed by the mean teacher."""
    valid_share: float = 0.15
    """Share of the studies that is validated on, without folds."""
    test_share: float = 0.2
    """Share of the studies that is tested on, without folds."""
    seed: int = 0
    """Of the split, which studies are labeled, which labels are turned round, and the first weights."""

    def __post_init__(self) -> None:
        pick(dict.fromkeys(METHODS), self.method, "method")
        pick(dict.fromkeys(PLANES), self.plane, "plane")
        pick(BACKBONES, self.backbone, "backbone")
        if not 0 < self.labeled_share <= 1 or not 0 <= self.flipped_share <= 0.5 or not 0 < self.visible_from < 1:
            raise ConfigError(
                f"labeled_share {self.labeled_share:g} must be above 0 and at most 1, flipped_share "
                f"{self.flipped_share:g} from 0 to 0.5, visible_from {self.visible_from:g} between 0 and 1"
            )
        wrong = {"visibility": "bce", "pretext": "contrastive", "fit": "two-heads"}
        for name, loss in wrong.items():
            if getattr(self, name).loss.name != loss:
                raise ConfigError(f"{name}.loss.name is {getattr(self, name).loss.name!r}; this stage needs {loss!r}")


@dataclass(frozen=True)
class SemiSupervisedTable:
    """The thesis' comparisons, on the same folds: methods by share of labels, by wrong labels, and planes."""

    base: SemiSupervised = field(default_factory=SemiSupervised)
    """What all runs share; its shares are those of the runs that neither table varies."""
    methods: tuple[str, ...] = METHODS
    """Ways of learning that are compared."""
    shares: tuple[float, ...] = (0.05, 0.1, 0.25, 1.0)
    """Shares of the training part's studies whose labels are used."""
    flips: tuple[float, ...] = (0.0, 0.1, 0.2)
    """Shares of the labels that are turned round."""
    planes: tuple[str, ...] = PLANES
    """Planes that are compared with one another and fused, by the base's method; one plane leaves this out."""
    folds: int = 5
    """Folds that every run is repeated in; 0 takes one held-out part."""
    shown_patients: int = 3
    """Patients of the test part whose slices are drawn."""

    def __post_init__(self) -> None:
        for method in self.methods:
            pick(dict.fromkeys(METHODS), method, "method")
        for plane in self.planes:
            pick(dict.fromkeys(PLANES), plane, "plane")
        if not self.methods or not self.planes or self.shown_patients < 1 or self.folds in (1, 2) or self.folds < 0:
            raise ConfigError(
                "the table needs a method, a plane and a patient that is shown; "
                f"folds is {self.folds}, must be 0 or at least 3"
            )
        if not all(0 < share <= 1 for share in self.shares) or not all(0 <= flip <= 0.5 for flip in self.flips):
            raise ConfigError(f"shares {self.shares} must be above 0 and at most 1, flips {self.flips} from 0 to 0.5")


def semi_supervised() -> SemiSupervised:
    """Return the recipe of one network."""
    return SemiSupervised()


def semi_supervised_table() -> SemiSupervisedTable:
    """Return the recipe of the thesis' comparisons."""
    return SemiSupervisedTable()
