"""An anchor-free detector of fracture boxes: every place of a coarse map says whether a box is centered on it.

After Zhou et al. 2019 (“Objects as points”): a heat map of centers, and at a center the size of the box and the
remainder that the coarse map rounds away. Peaks of the heat map are the boxes: nothing has to be suppressed afterward.

Legend: N slices, h × w places of the map, B boxes as (first row, first column, last row, last column) in pixels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import timm
import torch
from torch import nn
from torch.nn import functional

from cspine.domain import ConfigError
from cspine.training.backbones import BACKBONES, HeadPlan, Start, begin, build_classifier
from cspine.training.loop import Batch
from cspine.training.recipes.vertebra_slices.config import DetectorPlan
from cspine.training.stacks import SliceSamples

STRIDE = 8
REDUCTIONS = (8, 16, 32)
OUTPUTS = 5  # heat, log of height and width in places, remainder of row and column
# Powers of the focal loss of Zhou et al. 2019, and the prior that a fresh network gives to every place.
SURE, NEAR, PRIOR = 2.0, 4.0, 0.02
SIZE_WEIGHT, REST_WEIGHT = 0.5, 0.5
# Width of a center's heat, share of the box.
SPREAD, LEAST_SPREAD = 1 / 6, 0.6


class SliceDetector(nn.Module):
    """Slices (N, 3, H, W) → maps (N, 5, H / 8, W / 8)."""

    def __init__(self, plan: DetectorPlan, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body = _tapped(plan.backbone)
        width = plan.width
        self.laterals = nn.ModuleList(nn.Conv2d(c, width, 1) for c in self.body.feature_info.channels())
        self.smooth = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.ReLU())
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.ReLU(), nn.Conv2d(width, OUTPUTS, 1)
        )
        bias = self.head[-1].bias
        assert isinstance(bias, nn.Parameter)
        with torch.no_grad():
            bias[0] = -float(np.log(1 / PRIOR - 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the maps, logits."""
        levels = [lateral(x) for lateral, x in zip(self.laterals, self.body(image), strict=True)]
        joined = levels[-1]
        for finer in reversed(levels[:-1]):
            joined = finer + functional.interpolate(joined, finer.shape[-2:], mode="nearest")
        out: torch.Tensor = self.head(self.smooth(joined))
        return out


@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """Boxes of one slice, the surest first: scores (B,), edges (B, 4) in pixels of the network."""

    scores: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True, eq=False)
class BoxTask:
    """Slices with and without boxes as a task of the loop.

    Attributes
    ----------
    samples
        Plain slices at the network's size.
    boxes
        Of each sample, (B, 4).
    """

    samples: SliceSamples
    boxes: tuple[np.ndarray, ...]
    plan: DetectorPlan
    fresh: nn.Module

    @property
    def input_name(self) -> str:
        """The slice."""
        return "image"

    def network(self) -> nn.Module:
        """Return the network to begin with."""
        return self.fresh

    def sample(self, number: int, batch_number: int, seed: int) -> Batch:
        """Return slice `number`: flipped and moved at random, a boxed one as often as the plan says."""
        rng = np.random.default_rng([seed, 61, number])
        boxed = np.array([len(b) > 0 for b in self.boxes])
        pool = np.flatnonzero(boxed if rng.uniform() < self.plan.boxed_share else ~boxed)
        chosen = int(rng.choice(pool if len(pool) else len(self.boxes)))
        image, boxes = _moved(self.samples.plain(chosen), self.boxes[chosen], self.plan.shift, rng)
        return {"image": image, **box_targets(boxes, image.shape[-1])}

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the parts of `box_losses`."""
        return box_losses(network(batch["image"]), batch)


def make_detector(plan: DetectorPlan, seed: int) -> tuple[SliceDetector, Start]:
    """Return a network with the first weights of the plan, and the normalization that they expect.

    Raises
    ------
    ConfigError
        The weights cannot be fetched, or the backbone cannot be tapped.
    """
    network = SliceDetector(plan, seed)
    classifier = build_classifier(plan.backbone, 1, HeadPlan(), seed)
    start = begin(classifier, plan.backbone, plan.weights)
    if plan.weights != "none":
        network.body.load_state_dict(classifier.backbone.state_dict(), strict=False)
    return network, start


def box_targets(boxes: np.ndarray, side: int) -> Batch:
    """Return the maps that a perfect network would give: heat (1, h, w); size, rest (2, h, w); here (1, h, w)."""
    count = side // STRIDE
    heat, here = np.zeros((1, count, count), np.float32), np.zeros((1, count, count), np.float32)
    size, rest = np.zeros((2, count, count), np.float32), np.zeros((2, count, count), np.float32)
    rows, columns = np.mgrid[:count, :count]
    for top, left, bottom, right in boxes:
        high, wide = max(bottom - top, 1.0) / STRIDE, max(right - left, 1.0) / STRIDE
        y, x = (top + bottom) / 2 / STRIDE, (left + right) / 2 / STRIDE
        row, column = (int(np.clip(v, 0, count - 1)) for v in (y, x))
        sigma_y, sigma_x = (max(LEAST_SPREAD, v * SPREAD) for v in (high, wide))
        bump = np.exp(-((rows - row) ** 2) / (2 * sigma_y**2) - (columns - column) ** 2 / (2 * sigma_x**2))
        heat[0] = np.maximum(heat[0], bump)
        here[0, row, column] = 1
        size[:, row, column] = np.log(high), np.log(wide)
        rest[:, row, column] = y - row, x - column
    maps = {"heat": heat, "here": here, "size": size, "rest": rest}
    return {name: torch.from_numpy(value) for name, value in maps.items()}


def box_losses(out: torch.Tensor, target: Batch) -> dict[str, torch.Tensor]:
    """Return heat (focal, places near a center count less), size and remainder (absolute errors at centers)."""
    here, count = target["here"], target["here"].sum().clamp(min=1)
    logit = out[:, :1].float()
    p = torch.sigmoid(logit)
    at_center = here * (1 - p) ** SURE * functional.softplus(-logit)
    elsewhere = (1 - here) * (1 - target["heat"]) ** NEAR * p**SURE * functional.softplus(logit)
    size = (here * (out[:, 1:3].float() - target["size"]).abs()).sum() / count
    rest = (here * (out[:, 3:].float() - target["rest"]).abs()).sum() / count
    return {"heat": (at_center + elsewhere).sum() / count, "size": SIZE_WEIGHT * size, "rest": REST_WEIGHT * rest}


def decode(out: torch.Tensor, plan: DetectorPlan) -> list[FoundBoxes]:
    """Return the boxes of each slice from its maps: peaks of the heat, the surest first."""
    heat = torch.sigmoid(out[:, :1].float())
    peaks = (heat * (heat == functional.max_pool2d(heat, 3, 1, 1)))[:, 0]
    found = []
    for peak, maps in zip(peaks.numpy(), out.float().numpy(), strict=True):
        order = np.argsort(-peak, axis=None, kind="stable")[: plan.per_slice]
        rows, columns = np.unravel_index(order, peak.shape)
        kept = peak[rows, columns] >= plan.least_score
        rows, columns = rows[kept], columns[kept]
        half = np.exp(np.clip(maps[1:3, rows, columns], -4, 5)) * STRIDE / 2
        middle = (np.stack([rows, columns]) + maps[3:, rows, columns]) * STRIDE
        edges = np.concatenate([middle - half, middle + half]).T
        found.append(FoundBoxes(peak[rows, columns], np.clip(edges, 0, peak.shape[0] * STRIDE)))
    return found


def detect_boxes(network: nn.Module, samples: SliceSamples, plan: DetectorPlan) -> list[FoundBoxes]:
    """Return the boxes of every sample; the network works where it lies."""
    found: list[FoundBoxes] = []
    device = next(network.parameters()).device
    with torch.no_grad():
        for first in range(0, len(samples.labels), plan.fit.batch):
            numbers = range(first, min(first + plan.fit.batch, len(samples.labels)))
            found += decode(network(torch.stack([samples.plain(n) for n in numbers]).to(device)).cpu(), plan)
    return found


def sample_boxes(samples: SliceSamples, *, size: int) -> tuple[np.ndarray, ...]:
    """Return the true boxes of each sample, (B, 4) in pixels of the network."""
    found = []
    for number, k in samples.refs.tolist():
        stack = samples.stacks.stacks[number]
        rows = stack.boxes[stack.boxes[:, 0] == k]
        found.append(rows[:, 1:5] * (size / stack.pixels.shape[1]))
    return tuple(found)


def _tapped(name: str) -> Any:
    """Return a backbone that gives its maps of strides 8, 16 and 32."""
    entry = BACKBONES[name]
    try:
        whole = timm.create_model(entry.timm, pretrained=False, features_only=True)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"backbone {name!r} gives no maps of its stages; use efficientnet-b0") from error
    places = [k for k, r in enumerate(whole.feature_info.reduction()) if r in REDUCTIONS]
    if len(places) != len(REDUCTIONS):
        raise ConfigError(f"backbone {name!r} has no maps of strides 8, 16 and 32; use efficientnet-b0")
    return timm.create_model(entry.timm, pretrained=False, features_only=True, out_indices=places)


def _moved(
    image: torch.Tensor, boxes: np.ndarray, shift: float, rng: np.random.Generator
) -> tuple[torch.Tensor, np.ndarray]:
    """Return a slice flipped and moved, its boxes with it; what moves in repeats the edge."""
    side = image.shape[-1]
    boxes = boxes.copy()
    if rng.uniform() < 0.5:
        image = image.flip(-1)
        boxes[:, [1, 3]] = side - boxes[:, [3, 1]]
    down, right = (int(v) for v in rng.integers(-int(shift * side), int(shift * side) + 1, 2))
    rows, columns = (torch.arange(side).sub(step).clamp(0, side - 1) for step in (down, right))
    moved = boxes + np.array([down, right, down, right], dtype=boxes.dtype)
    middle = (moved[:, :2] + moved[:, 2:]) / 2
    inside = ((middle >= 0) & (middle < side)).all(axis=1)
    return image[:, rows][:, :, columns].contiguous(), np.clip(moved[inside], 0, side)
