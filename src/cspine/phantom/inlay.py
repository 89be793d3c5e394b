"""Material inside a bone that is not the bone's own: sclerosis, channels, plates of cartilage."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # bones are made of skeleton's parts, which hold inlays
    from cspine.phantom.bones.primitives import Solid

_DENSE_HU = 450.0


@dataclass(frozen=True, eq=False)
class Inlay:
    """A part of a bone with another density, in the bone's own frame.

    Attributes
    ----------
    solid
        Where it is.
    hu
        What it is made of. Dense material (above 450 HU) never makes bone darker, other material never brighter.
    edge_mm
        Width over which it fades into the bone.
    share
        0 … 1, how much of the bone it replaces.
    """

    solid: "Solid"
    hu: float
    edge_mm: float = 0.6
    share: float = 1.0

    def mixed(self, own_mm: np.ndarray, hu: np.ndarray) -> np.ndarray:
        """Return HU (N,) of bone with the inlay, from float32 places (N, 3) in the own frame and HU without it."""
        offset = own_mm - self.solid.center
        reach = self.solid.radius + self.edge_mm
        near = np.flatnonzero(np.einsum("ij,ij->i", offset, offset) < reach * reach)
        if not near.size:
            return hu
        value = self.solid.value(np.ascontiguousarray(own_mm[near]), self.edge_mm)
        weight = self.share * np.clip(0.5 - value / self.edge_mm, 0, 1)
        mixed = hu[near] + weight * (self.hu - hu[near])
        out: np.ndarray = hu.copy()
        out[near] = np.maximum(hu[near], mixed) if self.hu > _DENSE_HU else np.minimum(hu[near], mixed)
        return out


def with_inlays(inlays: Iterable[Inlay], own_mm: np.ndarray, hu: np.ndarray) -> np.ndarray:
    """Return HU (N,) of bone with all inlays, later ones over earlier ones."""
    for inlay in inlays:
        hu = inlay.mixed(own_mm, hu)
    return hu
