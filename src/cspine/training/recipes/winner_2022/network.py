"""The two networks of `winner-2022`: slices by a convolutional network, their sequence by an LSTM.

Legend: N samples, Z slices of a vertebra, L levels, C channels, R rows = columns, F features of a slice.
"""

import torch
from timm.models import adapt_input_conv
from torch import nn

from cspine.domain import ConfigError
from cspine.training.backbones import HeadPlan, SliceClassifier, build_classifier
from cspine.training.recipes.winner_2022.config import SequencePlan


class Sequence(nn.Module):
    """Features of slices in their order (N, Z, F) → what both directions know at each (N, Z, 2 × hidden)."""

    def __init__(self, features: int, plan: SequencePlan) -> None:
        super().__init__()
        between = plan.dropout if plan.layers > 1 else 0.0
        self.both = nn.LSTM(features, plan.hidden, plan.layers, batch_first=True, bidirectional=True, dropout=between)
        self.dropout = nn.Dropout(plan.dropout)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Run over the slices."""
        out: torch.Tensor = self.dropout(self.both(slices)[0])
        return out


class VertebraNet(nn.Module):
    """Slices of one vertebra (N, Z, C, R, R) → logit of a fracture (N, 1)."""

    def __init__(self, body: SliceClassifier, features: int, plan: SequencePlan) -> None:
        super().__init__()
        self.backbone = body.backbone
        self.sequence = Sequence(features, plan)
        self.answer = nn.Linear(2 * plan.hidden, 1)

    def features(self, slices: torch.Tensor) -> torch.Tensor:
        """Return the features of each slice by itself (N, Z, F)."""
        found: torch.Tensor = self.backbone(slices.flatten(0, 1)).unflatten(0, slices.shape[:2])
        return found

    def per_slice(self, features: torch.Tensor) -> torch.Tensor:
        """Return a logit for each slice (N, Z) from the features of all."""
        out: torch.Tensor = self.answer(self.sequence(features))[..., 0]
        return out

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Return the mean logit of the slices."""
        return self.per_slice(self.features(slices)).mean(dim=1, keepdim=True)


class WithFeatures(nn.Module):
    """Slices of one vertebra → logit (N, 1), and the features of each slice (N, Z, F) for the second model."""

    def __init__(self, network: VertebraNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return both."""
        features = self.network.features(slices)
        return self.network.per_slice(features).mean(dim=1, keepdim=True), features


class StudyNet(nn.Module):
    """Features of all slices of all levels (N, L × Z, F + 1) → logits of the study and its levels (N, 1 + L).

    The last feature is 1 where the level was found; slices of other levels are 0 throughout.
    """

    def __init__(self, features: int, plan: SequencePlan, levels: int) -> None:
        super().__init__()
        self.width, self.levels = features + 1, levels
        self.before = nn.Sequential(nn.Linear(features + 1, plan.hidden), nn.ReLU())
        self.sequence = Sequence(plan.hidden, plan)
        self.level, self.whole = nn.Linear(2 * plan.hidden, 1), nn.Linear(2 * plan.hidden, 1)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Return the mean over the slices of each level, and for the study the mean over all that were found."""
        seen = slices[..., -1:]
        known = self.sequence(self.before(slices))
        levels = self.level(known)[..., 0].unflatten(1, (self.levels, -1)).mean(dim=2)
        whole = (self.whole(known) * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)
        return torch.cat([whole, levels], dim=1)


def widened(body: SliceClassifier, channels: int) -> SliceClassifier:
    """Spread the first layer over another number of channels, as timm does, and return the network.

    Raises
    ------
    ConfigError
        The network begins with something else than a convolution of three channels.
    """
    first = next((m for m in body.backbone.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None or first.in_channels != 3:
        raise ConfigError("the first layer of this backbone takes no three channels; use another backbone")
    first.weight = nn.Parameter(adapt_input_conv(channels, first.weight.detach()))
    first.in_channels = channels
    return body


def feature_count(body: SliceClassifier) -> int:
    """Return how many features a backbone gives (F)."""
    last = body.head[-1]
    assert isinstance(last, nn.Linear)
    return last.in_features


def build_body(backbone: str, seed: int) -> SliceClassifier:
    """Return the network of single slices with random weights, three channels wide, the same for the same seed."""
    return build_classifier(backbone, 1, HeadPlan(0, 0.0), seed)
