"""The plain network of the `study-multilabel` report: convolutions and poolings, no skip, no weights to begin with.

Registered with timm, so that it is built, frozen and thawed as every other backbone.
"""

from typing import Any

import torch
from timm.models import register_model
from torch import nn

WIDTHS = (32, 64, 128, 128)


class BasicCnn(nn.Module):
    """Images (N, C, H, W), H and W at least 16 → features (N, 128)."""

    head_hidden_size = None

    def __init__(self, in_chans: int = 3, num_classes: int = 0) -> None:
        super().__init__()
        if num_classes:
            raise ValueError(f"a backbone without classifier, asked for {num_classes} classes")
        blocks: list[nn.Module] = []
        for before, width in zip((in_chans, *WIDTHS), WIDTHS, strict=False):
            blocks.append(_block(before, width))
        self.blocks = nn.Sequential(*blocks)
        self.num_features = WIDTHS[-1]

    def forward_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the last map (N, 128, H / 16, W / 16)."""
        out: torch.Tensor = self.blocks(image)
        return out

    def forward_head(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the mean of the last map."""
        return maps.mean(dim=(2, 3))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the mean of the last map."""
        return self.forward_head(self.forward_features(image))


def _block(before: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)
    )


@register_model  # type: ignore[untyped-decorator]  # timm has no annotation
def cspine_basic_cnn(pretrained: bool = False, **options: Any) -> BasicCnn:
    """Return a fresh network; there are no weights of it.

    Raises
    ------
    ValueError
        Weights, or something unknown, was asked for.
    """
    if pretrained:
        raise ValueError("there are no weights of the basic CNN")
    wanted = {key: value for key, value in options.items() if value is not None and not key.startswith("pretrained_")}
    return BasicCnn(**wanted)
