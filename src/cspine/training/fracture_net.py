"""The network of the fracture stage: it outlines breaks of bone and judges the vertebra from what it outlined.

A 3-D encoder and decoder on in-plane 2×2 blocks (no pixel is averaged away), factorized where the grid is fine. The
judgment pools the decoder's features twice: where attention looks, and where the map says fracture.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from cspine.domain import ConfigError

INPUTS = 3
BLOCK = 2
WIDTHS = (16, 32, 64, 96)


class FractureNet(nn.Module):
    """(N, 3, D, H, W) → map and heads; D a multiple of 8, H and W of 16.

    Parameters
    ----------
    heads
        Outputs besides the fracture: types and mimics.
    widths
        Channels of the four scales.
    """

    def __init__(self, heads: int, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        one, two, three, four = widths
        self.stem = nn.Sequential(_conv(INPUTS * BLOCK**2, one, (1, 3, 3)), _conv(one, one, (3, 1, 1)))
        self.fine = nn.Sequential(_conv(one, one, (1, 3, 3)), _conv(one, one, (3, 1, 1)))
        self.middle = nn.Sequential(_conv(one, two), _conv(two, two))
        self.coarse = nn.Sequential(_conv(two, three), _conv(three, three))
        self.deep = nn.Sequential(_conv(three, four), _conv(four, four))
        self.up_coarse, self.out_coarse = _conv(four, three, (1, 1, 1)), _conv(three, three)
        self.up_middle, self.out_middle = _conv(three, two, (1, 1, 1)), _conv(two, two)
        self.up_fine = _conv(two, one, (1, 1, 1))
        self.out_fine = nn.Sequential(_conv(one, one, (1, 3, 3)), _conv(one, one, (3, 1, 1)))
        self.map = nn.Conv3d(one, 1, 1)
        self.look = nn.Conv3d(two, 1, 1)
        self.judge = nn.Sequential(
            nn.Linear(2 * two + four + 2, 96), nn.LeakyReLU(0.1), nn.Dropout(0.2), nn.Linear(96, 1 + heads)
        )
        nn.init.constant_(self.map.bias, -4.0)  # type: ignore[arg-type]  # the layer has a bias

    def forward(self, crop: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return map and head logits."""
        fine = self.fine(self.stem(_blocks(crop)))
        middle = self.middle(functional.max_pool3d(fine, 2))
        coarse = self.coarse(functional.max_pool3d(middle, 2))
        deep = self.deep(functional.max_pool3d(coarse, 2))
        coarse = self.out_coarse(coarse + _twice(self.up_coarse(deep)))
        middle = self.out_middle(middle + _twice(self.up_middle(coarse)))
        fine = self.out_fine(fine + _twice(self.up_fine(middle)))
        broken = self.map(fine)
        own = functional.max_pool3d(crop[:, 1:2], (2, 4, 4))
        return broken, self.judge(self._pooled(broken, middle, deep, own))

    def _pooled(
        self, broken: torch.Tensor, middle: torch.Tensor, deep: torch.Tensor, own: torch.Tensor
    ) -> torch.Tensor:
        flat = middle.flatten(2)
        seen = functional.max_pool3d(broken, 2).flatten(2)
        # What lies off the vertebra counts less, not nothing: outlines miss fragments and the tip of the dens.
        belongs = 4.0 * (own.flatten(2).clamp(0, 1) - 1)
        looked = (flat * torch.softmax(self.look(middle).flatten(2) + belongs, dim=2)).sum(2)
        marked = (flat * torch.softmax(2 * seen + belongs, dim=2)).sum(2)
        strength = torch.logsumexp(seen + belongs, dim=2)
        highest = (seen + belongs).amax(2)
        return torch.cat([looked, marked, deep.mean((2, 3, 4)), strength, highest], dim=1)


def widened(network: FractureNet, widths: tuple[int, int, int, int]) -> FractureNet:
    """Return a wider network that answers as `network` does (Chen et al., Net2Net, ICLR 2016, with other new weights).

    Old channels get nothing from new ones at first; new ones begin from noise.

    Raises
    ------
    ConfigError
        `widths` is narrower somewhere.
    """
    old_widths = network.widths
    if any(new < old for new, old in zip(widths, old_widths, strict=True)):
        raise ConfigError(f"a network of widths {old_widths} cannot be widened to {widths}: one is narrower")
    linear = network.judge[3]
    assert isinstance(linear, nn.Linear)
    wide = FractureNet(linear.out_features - 1, widths)
    with torch.no_grad():
        for (name, new), old in zip(wide.state_dict().items(), network.state_dict().values(), strict=True):
            if name == "judge.0.weight":
                new.zero_()
                new[:, _pooled_columns(old_widths, widths)] = old
                continue
            if old.dim() > 1:
                new[: len(old)] = 0
            new[tuple(slice(n) for n in old.shape)] = old
    return wide


def widths_of(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int, int]:
    """Return the widths of a network from the shapes of its weights; those of this version where one is missing."""
    one, two, three, four = WIDTHS
    named = (("map.weight", 1, one), ("look.weight", 1, two), ("out_coarse.0.weight", 0, three))
    found = [shapes[name][axis] if name in shapes else usual for name, axis, usual in named]
    deep = shapes.get("deep.1.0.weight")
    return found[0], found[1], found[2], four if deep is None else deep[0]


def _pooled_columns(old: tuple[int, ...], new: tuple[int, ...]) -> list[int]:
    """Return where what the old judgment read stands among what the new one reads."""
    (_, two, _, four), (_, wide_two, _, wide_four) = old, new
    starts = ((0, two), (wide_two, two), (2 * wide_two, four), (2 * wide_two + wide_four, 2))
    return [start + k for start, count in starts for k in range(count)]


def _conv(inputs: int, outputs: int, kernel: tuple[int, int, int] = (3, 3, 3)) -> nn.Module:
    padding = tuple(k // 2 for k in kernel)
    layer = nn.Conv3d(inputs, outputs, kernel, padding=padding, bias=False)  # type: ignore[arg-type]  # three numbers
    return nn.Sequential(layer, nn.BatchNorm3d(outputs), nn.LeakyReLU(0.1, inplace=True))


def _twice(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _blocks(crop: torch.Tensor) -> torch.Tensor:
    """Return (N, 4 C, D, H / 2, W / 2): each in-plane block's pixels as channels."""
    n, c, d, h, w = crop.shape
    split = crop.reshape(n, c, d, h // BLOCK, BLOCK, w // BLOCK, BLOCK)
    return split.permute(0, 1, 4, 6, 2, 3, 5).reshape(n, c * BLOCK**2, d, h // BLOCK, w // BLOCK)


__all__ = ["BLOCK", "INPUTS", "WIDTHS", "FractureNet", "widened", "widths_of"]
