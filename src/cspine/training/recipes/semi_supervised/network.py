"""The networks of `semi-supervised`: two parallel linear heads, and a pair of views for the contrastive start.

Legend: N samples, L levels, E numbers of an embedding.
"""

import torch
from torch import nn

from cspine.training.backbones import HeadPlan, SliceClassifier, build_classifier
from cspine.training.learning.losses import EMBEDDING


class TwoHeads(nn.Module):
    """Features → fracture logits (N, L) and visibility logits (N, L), side by side."""

    def __init__(self, features: int, levels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.finding = nn.Linear(features, levels)
        self.visible = nn.Linear(features, levels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, 2L)."""
        kept = self.dropout(features)
        return torch.cat([self.finding(kept), self.visible(kept)], dim=1)


class TwoViews(nn.Module):
    """Two views of an image as channels (N, 6, H, W) → their embeddings side by side (N, 2E)."""

    def __init__(self, body: SliceClassifier) -> None:
        super().__init__()
        self.body = body

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """Embed both views in one pass."""
        out: torch.Tensor = self.body(torch.cat(views.chunk(2, dim=1)))
        return torch.cat(out.chunk(2), dim=1)


def two_headed(backbone: str, levels: int, dropout: float, seed: int) -> SliceClassifier:
    """Return a network with two heads and random weights, the same for the same seed."""
    network = build_classifier(backbone, levels, HeadPlan(0, dropout), seed)
    torch.manual_seed(seed + 1)
    network.head = nn.Sequential(TwoHeads(_features(network), levels, dropout))
    return network


def embedding(backbone: str, seed: int) -> SliceClassifier:
    """Return a network whose head projects features for the contrastive loss."""
    return build_classifier(backbone, EMBEDDING, HeadPlan(2 * EMBEDDING, 0.0), seed)


def _features(network: SliceClassifier) -> int:
    last = network.head[-1]
    assert isinstance(last, nn.Linear)
    return last.in_features
