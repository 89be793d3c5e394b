"""The networks that recipes name, and what timm calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Backbone:
    """One network of timm without its classifier.

    Attributes
    ----------
    timm
        Its name there.
    size
        Rows and columns that it was made for.
    options
        What is asked of timm besides.
    """

    timm: str
    size: int
    options: Mapping[str, object] = field(default_factory=dict)


# The tf_ networks carry the padding and the ImageNet weights of the original publications, B0 to B7 at their own sizes.
_EFFICIENTNET = {
    f"efficientnet-b{k}": Backbone(f"tf_efficientnet_b{k}", size)
    for k, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))
}
# As published for TensorFlow: the padding that the folded arrays were trained with. The weights on timm's hub were
# trained with symmetric padding: beside "same" they begin half a pixel off, which training takes up.
_SAME = MappingProxyType({"pad_type": "same"})

BACKBONES: Mapping[str, Backbone] = MappingProxyType(
    {
        **_EFFICIENTNET,
        "efficientnetv2-s": Backbone("tf_efficientnetv2_s", 384),
        "resnet50": Backbone("resnet50", 224),
        "inception-v3": Backbone("inception_v3", 299),
        "vgg16": Backbone("vgg16", 224),
        "densenet121": Backbone("densenet121", 224),
        "densenet201": Backbone("densenet201", 224),
        "mobilenet-v1": Backbone("mobilenetv1_100", 224, _SAME),
        "mobilenet-v2": Backbone("mobilenetv2_100", 224, _SAME),
        "basic-cnn": Backbone("cspine_basic_cnn", 128),
        "tiny": Backbone("test_efficientnet", 64),
    }
)
