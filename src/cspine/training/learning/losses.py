"""Losses of label vectors by name, and the loss of label maps.

Legend: N samples, K labels, O outputs of the network, C classes of a label map.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from monai.losses import DiceCELoss, FocalLoss
from torch.nn import functional

from cspine.domain import ConfigError
from cspine.training.names import pick

# RSNA 2022: a level weighs 1 where whole and 2 where broken, the study 7 and 14 (facts of the data set, section 1).
STUDY_WEIGHT = 7.0
BROKEN_WEIGHT = 2.0
STUDY_LABELS = 8
WEIGHT_LIMIT = 20.0
# Numbers that the contrastive loss compares.
EMBEDDING = 64

Compute = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class LossPlan:
    """Which loss a run minimizes."""

    name: str = "bce"
    """bce, weighted-bce, focal, categorical-ce, competition, two-heads or contrastive."""
    positive_weight: float = 0.0
    """Weighted BCE, two-heads: weight of a positive; 0 takes negatives per positive of the training part."""
    gamma: float = 2.0
    """Focal: how much easy samples are turned down (Lin et al. 2017)."""
    alpha: float = -1.0
    """Focal: weight of positives between 0 and 1; below 0 both sides weigh the same."""
    temperature: float = 0.2
    """Contrastive: the smaller, the more the nearest other images count."""


@dataclass(frozen=True)
class Loss:
    """A loss with what it asks of the network.

    Attributes
    ----------
    outputs
        Numbers that the network gives per sample (O).
    compute
        (logits (N, O), targets (N, K) of 0 and 1) → mean loss.
    probabilities
        Logits (N, O) → probabilities (N, K).
    """

    outputs: int
    compute: Compute
    probabilities: Callable[[torch.Tensor], torch.Tensor]


def make_loss(plan: LossPlan, labels_NK: np.ndarray) -> Loss:
    """Return the loss of a plan for the labels of a training part.

    Raises
    ------
    ConfigError
        Unknown name, or the loss does not fit the number of labels.
    """
    return pick(LOSSES, plan.name, "loss")(plan, labels_NK)


def positive_weights(labels_NK: np.ndarray, limit: float = WEIGHT_LIMIT) -> np.ndarray:
    """Return negatives per positive of each label, (K,), at most `limit`; a label without positives gets 1."""
    positives = labels_NK.sum(axis=0)
    ratio = (len(labels_NK) - positives) / np.maximum(positives, 1)
    return np.where(positives > 0, np.clip(ratio, 1 / limit, limit), 1.0)


def segmentation_loss() -> Compute:
    """Return Dice + cross entropy: logits (N, C, …), class numbers (N, 1, …) → mean loss (MONAI)."""
    compute: Compute = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    return compute


def _bce(plan: LossPlan, labels_NK: np.ndarray) -> Loss:
    return Loss(labels_NK.shape[1], functional.binary_cross_entropy_with_logits, torch.sigmoid)


def _weighted_bce(plan: LossPlan, labels_NK: np.ndarray) -> Loss:
    count = labels_NK.shape[1]
    weights = np.full(count, plan.positive_weight) if plan.positive_weight > 0 else positive_weights(labels_NK)
    weight_K = torch.tensor(weights, dtype=torch.float32)

    def compute(logits_NK: torch.Tensor, target_NK: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(logits_NK, target_NK, pos_weight=weight_K.to(logits_NK))

    return Loss(count, compute, torch.sigmoid)


def _focal(plan: LossPlan, labels_NK: np.ndarray) -> Loss:
    compute: Compute = FocalLoss(gamma=plan.gamma, alpha=plan.alpha if plan.alpha >= 0 else None)
    return Loss(labels_NK.shape[1], compute, torch.sigmoid)


def _categorical(plan: LossPlan, labels_NK: np.ndarray) -> Loss:
    if labels_NK.shape[1] != 1:
        raise ConfigError(
            "loss categorical-ce tells two classes apart by two outputs; "
            f"this recipe has {labels_NK.shape[1]} labels, use bce"
        )

    def compute(logits_N2: torch.Tensor, target_N1: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits_N2, target_N1[:, 0].long())

    return Loss(2, compute, lambda logits_N2: torch.softmax(logits_N2, dim=1)[:, 1:])


def _competition(plan: LossPlan, labels_NK: np.ndarray) -> Loss:
    if labels_NK.shape[1] != STUDY_LABELS:
        raise ConfigError(
            f"loss competition weighs {STUDY_LABELS} labels (study, C1 to C7); "
            f"this recipe has {labels_NK.shape[1]}, use weighted-bce"
        )

    def compute(logits_NK: torch.Tensor, target_NK: torch.Tensor) -> torch.Tensor:
        level = torch.ones(STUDY_LABELS, device=logits_NK.device)
        level[0] = STUDY_WEIGHT
        weight_NK = level * (1 + (BROKEN_WEIGHT - 1) * target_NK)
        loss_NK = functional.binary_cross_entropy_with_logits(logits_NK, target_NK, reduction="none")
        return (weight_NK * loss_NK).sum() / weight_NK.sum()

    return Loss(STUDY_LABELS, compute, torch.sigmoid)


def _two_heads(plan: LossPlan, labels_NK: np.ndarray) -> Loss:
    """Weighted BCE on the first half of the labels (findings), BCE on the second (visibilities), equal shares."""
    count = labels_NK.shape[1]
    if count % 2:
        raise ConfigError(f"loss two-heads needs as many visibilities as findings; this recipe has {count} labels")
    half = count // 2
    finding = _weighted_bce(plan, labels_NK[:, :half])

    def compute(logits_NK: torch.Tensor, target_NK: torch.Tensor) -> torch.Tensor:
        seen = functional.binary_cross_entropy_with_logits(logits_NK[:, half:], target_NK[:, half:])
        return (finding.compute(logits_NK[:, :half], target_NK[:, :half]) + seen) / 2

    return Loss(count, compute, torch.sigmoid)


def _contrastive(plan: LossPlan, labels_NK: np.ndarray) -> Loss:
    """NT-Xent (Chen et al. 2020): two views of one image are near, views of different images far; no label is used.

    The network answers both views of an image side by side, (N, 2E); the probability is how near they are.
    """

    def compute(views_NO: torch.Tensor, target_NK: torch.Tensor) -> torch.Tensor:
        both = torch.cat(views_NO.chunk(2, dim=1))
        unit = functional.normalize(both, dim=1)
        likeness = unit @ unit.T / plan.temperature
        likeness = likeness.masked_fill(torch.eye(len(unit), dtype=torch.bool, device=unit.device), -1e4)
        partner = torch.arange(len(unit), device=unit.device).roll(len(unit) // 2)
        return functional.cross_entropy(likeness, partner)

    def near(views_NO: torch.Tensor) -> torch.Tensor:
        one, other = views_NO.chunk(2, dim=1)
        return (functional.cosine_similarity(one, other)[:, None] + 1) / 2

    return Loss(2 * EMBEDDING, compute, near)


LOSSES: dict[str, Callable[[LossPlan, np.ndarray], Loss]] = {
    "bce": _bce,
    "weighted-bce": _weighted_bce,
    "focal": _focal,
    "categorical-ce": _categorical,
    "competition": _competition,
    "two-heads": _two_heads,
    "contrastive": _contrastive,
}
