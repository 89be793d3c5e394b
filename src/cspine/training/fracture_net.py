"""The network of the fracture stage: it outlines breaks of bone and judges the vertebra from what it outlined.

A 3-D encoder and decoder on in-plane 2×2 blocks (no pixel is averaged away), factorized where the grid is fine. The
judgment pools the decoder's features twice: where attention looks, and where the map says fracture.
"""

import torch
from torch import nn
from torch.nn import functional

INPUTS = 3
BLOCK = 2


class FractureNet(nn.Module):
    """(N, 3, D, H, W) → map and heads; D a multiple of 8, H and W of 16.

    Parameters
    ----------
    heads
        Outputs besides the fracture: types and mimics.
    widths
        Channels of the four scales.
    """

    def __init__(self, heads: int, widths: tuple[int, int, int, int] = (16, 32, 64, 96)) -> None:
        super().__init__()
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


__all__ = ["BLOCK", "INPUTS", "FractureNet"]
