"""The two networks of the vertebra stage: MONAI's BasicUNet with split outputs."""

import torch
from monai.networks.nets import BasicUNet
from torch import nn

from cspine.pipeline import HEAT_CLASSES, SEG_CLASSES

ACTIVATION = ("LeakyReLU", {"inplace": True, "negative_slope": 0.1})
COARSE_FEATURES = (16, 32, 64, 96, 128, 16)
REFINE_FEATURES = (16, 16, 32, 64, 96, 16)
REFINE_INPUTS = 4
REFINE_OUTPUTS = 2


class CoarseNet(nn.Module):
    """Whole-volume network: (N, 1, D, H, W) → seg (N, 12, D, H, W) and heat (N, 9, D, H, W), logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = BasicUNet(
            3, 1, len(SEG_CLASSES) + len(HEAT_CLASSES), features=COARSE_FEATURES, norm="batch", act=ACTIVATION
        )
        _start_cold(self.body, len(SEG_CLASSES))

    def forward(self, ct: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return segmentation and heat logits."""
        out = self.body(ct)
        return out[:, : len(SEG_CLASSES)], out[:, len(SEG_CLASSES) :]


class RefineNet(nn.Module):
    """Per-vertebra network: (N, 4, D, H, W) → (N, 2, D, H, W), mask and center-heat logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = BasicUNet(3, REFINE_INPUTS, REFINE_OUTPUTS, features=REFINE_FEATURES, norm="batch", act=ACTIVATION)
        _start_cold(self.body, 1)

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        """Return mask and heat logits."""
        out: torch.Tensor = self.body(crop)
        return out


def _start_cold(network: BasicUNet, first_heat: int) -> None:
    """Let heat channels begin near zero: centers are rare, and unlearning warmth everywhere takes hundreds of steps."""
    with torch.no_grad():
        bias = network.final_conv.bias
        bias[first_heat:] = -4.0
