"""Soft-tissue swelling in front of a broken vertebra: tissue is pushed forward, blood fills what it leaves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Box, Grid
from cspine.phantom.raster import box_corners
from cspine.phantom.warp import Warp

_ACROSS_MM, _ALONG_MM = 15.0, 22.0  # standard width and height of the swelling, times the root of two
_REACH_MM = np.array([30.0, 58.0, 42.0])
_FADE_MM = (15.0, 55.0)  # in front of the wall nothing moves beyond this
_STIFFNESS = 1.3
_BLOOD_HU, _BLOOD_SHARE = 52.0, 0.8
LEAST_MM = 0.2


@dataclass(frozen=True, eq=False)
class Swelling:
    """Swelling in front of one vertebra.

    Attributes
    ----------
    to_body
        4×4: own frame of the vertebra → body frame.
    front_mm
        (3,) middle of the front wall in the own frame.
    """

    to_body: np.ndarray
    front_mm: np.ndarray
    thickness_mm: float

    def push_mm(self, own_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how far tissue at places (N, 3) has come forward, and the share of blood there, (N,) each."""
        x, y, z = (own_mm - self.front_mm).T
        ahead = np.maximum(-y, 0)
        size = self.thickness_mm * np.exp(-((x / _ACROSS_MM) ** 2) - (z / _ALONG_MM) ** 2)
        length = _STIFFNESS * np.maximum(size, 1.0)
        near, far = _FADE_MM
        fade = np.clip((far - ahead) / (far - near), 0, 1)
        push = size * (1 - np.exp(-ahead / length)) * fade
        stretched = size / length * np.exp(-ahead / length) * np.clip(ahead, 0, 1)
        return push, stretched * _BLOOD_SHARE


def swollen(hu: np.ndarray, grid: Grid, swellings: Sequence[Swelling], warp: Warp) -> np.ndarray:
    """Return soft tissue (slice, row, column) in HU with all swellings."""
    for swelling in swellings:
        if swelling.thickness_mm >= LEAST_MM:
            hu = _with_one(hu, grid, swelling, warp)
    return hu


def _with_one(hu: np.ndarray, grid: Grid, swelling: Swelling, warp: Warp) -> np.ndarray:
    box = swelling_box(grid, swelling, warp)
    if box is None:
        return hu
    part = grid.crop(box)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in part.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    world = part.to_world(index)
    to_own = np.linalg.inv(swelling.to_body)
    push, blood = swelling.push_mm(warp.to_body(world) @ to_own[:3, :3].T + to_own[:3, 3])
    back = swelling.to_body[:3, 1] / np.linalg.norm(swelling.to_body[:3, 1])
    source = grid.to_index(world + push[:, None] * back)
    moved = ndimage.map_coordinates(hu, source.T, order=1, mode="nearest", prefilter=False)
    out = hu.copy()
    mixed = (moved + blood * (_BLOOD_HU - moved)).reshape(part.shape)
    out[box.slices] = np.where((push > 0).reshape(part.shape), mixed, hu[box.slices])
    return out


def swelling_box(grid: Grid, swelling: Swelling, warp: Warp) -> Box | None:
    """Return the part of a grid that a swelling reaches, ``None`` when it lies elsewhere."""
    low, high = swelling.front_mm - _REACH_MM, swelling.front_mm + _REACH_MM * np.array([1.0, 0.0, 1.0])
    body = box_corners(low, high) @ swelling.to_body[:3, :3].T + swelling.to_body[:3, 3]
    extra = warp.largest_mm
    index = grid.to_index(box_corners(body.min(axis=0) - extra, body.max(axis=0) + extra))
    start, stop = np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int) + 1
    (a, b, c), (d, e, f) = start.tolist(), stop.tolist()
    return Box((a, b, c), (d, e, f)).clipped(grid.shape)


__all__ = ["LEAST_MM", "Swelling", "swelling_box", "swollen"]
