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
    seed: int = 0
    """Of which studies are labeled, which labels are turned round, and the first weights."""

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


def semi_supervised() -> SemiSupervised:
    """Return the recipe of one network."""
    return SemiSupervised()
