"""A classifier of slices: a backbone from timm, pooled, and a dense head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import nn

from cspine.domain import ConfigError
from cspine.training.backbones import basic_cnn  # noqa: F401  # registers itself with timm
from cspine.training.backbones.catalog import BACKBONES
from cspine.training.names import pick


@dataclass(frozen=True)
class HeadPlan:
    """What stands on the pooled features."""

    hidden: int = 0
    """Units of a dense layer before the outputs; 0 leaves it out."""
    dropout: float = 0.3
    """Share of features dropped before the outputs while training."""

    def __post_init__(self) -> None:
        if self.hidden < 0 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"head: hidden {self.hidden} must not be negative, dropout {self.dropout} from 0 to below 1"
            )


class SliceClassifier(nn.Module):
    """Images (N, C, H, W), normalized → logits (N, O)."""

    def __init__(self, backbone: nn.Module, features: int, head: HeadPlan, outputs: int) -> None:
        super().__init__()
        self.backbone = backbone
        layers: list[nn.Module] = [nn.Linear(features, head.hidden), nn.ReLU()] if head.hidden else []
        width = head.hidden or features
        self.head = nn.Sequential(*layers, nn.Dropout(head.dropout), nn.Linear(width, outputs))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        out: torch.Tensor = self.head(self.backbone(image))
        return out


def build_classifier(name: str, outputs: int, head: HeadPlan, seed: int, channels: int = 3) -> SliceClassifier:
    """Return a network with random weights, the same for the same seed.

    Raises
    ------
    ConfigError
        The name is unknown.
    """
    entry = pick(BACKBONES, name, "backbone")
    torch.manual_seed(seed)
    options: dict[str, Any] = dict(entry.options)
    if name == "inception-v3":
        options["aux_logits"] = False
    body = timm.create_model(entry.timm, pretrained=False, num_classes=0, in_chans=channels, **options)
    if name == "vgg16":
        body.pre_logits = nn.Identity()  # 119 of its 134 million weights belong to the classifier of 1000 classes
        return SliceClassifier(body, body.num_features, head, outputs)
    return SliceClassifier(body, body.head_hidden_size or body.num_features, head, outputs)


def blocks_of(network: SliceClassifier) -> list[tuple[str, nn.Module]]:
    """Return the backbone's parts from the image to the features: what is frozen and thawed as a whole.

    A part is a stage of the network: a direct child of the backbone, or a child of a sequence among them.
    """
    parts: list[tuple[str, nn.Module]] = []
    for name, child in network.backbone.named_children():
        if isinstance(child, nn.Sequential) and len(child) > 1:
            parts += [(f"{name}.{inner}", part) for inner, part in child.named_children()]
        else:
            parts.append((name, child))
    return [(name, part) for name, part in parts if any(True for _ in part.parameters())]


def thaw_last(network: SliceClassifier, share: float) -> list[str]:
    """Freeze the backbone except the last parts that hold a share of its parameters; return their names.

    Parameters
    ----------
    share
        0 freezes all, 1 none; a part that is needed to reach the share is thawed whole.
    """
    parts = blocks_of(network)
    wanted = share * sum(p.numel() for p in network.backbone.parameters())
    network.backbone.requires_grad_(False)
    thawed: list[str] = []
    held = 0
    for name, part in reversed(parts):
        if held >= wanted * (1 - 1e-9):
            break
        part.requires_grad_(True)
        thawed.append(name)
        held += sum(p.numel() for p in part.parameters())
    return thawed[::-1]


def stage_channels(name: str) -> Sequence[int]:
    """Return the channels of an EfficientNet's stem, stages and head, read off the network."""
    body = timm.create_model(pick(BACKBONES, name, "backbone").timm, pretrained=False)
    stages = [[m for m in stage.modules() if isinstance(m, nn.Conv2d)][-1].out_channels for stage in body.blocks]
    return [body.conv_stem.out_channels, *stages, body.conv_head.out_channels]
