"""Find the voxels of a bone without looking at the others: coarse blocks first, their voxels next."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cspine.domain import Box, Grid, Vertebra
from cspine.phantom.skeleton import PlacedBone
from cspine.phantom.warp import Warp

_BLOCK_MM = 3.0
_LARGEST_BLOCK = 6
_SAFETY = 1.25  # a distance may be true to 0.3 mm only, and scaled and warped besides
# Boxes in the own frame that hold any vertebra: the dens rises 32 mm, a spinous process reaches 65 mm back, 45 down.
_VERTEBRA_BOX_MM = np.array([[-52.0, -32.0, -50.0], [52.0, 70.0, 26.0]])
_DENS_MM = 42.0
_MOST_POINTS = 60_000  # what stays in the cache of a processor
SLAB_SLICES = 24


@dataclass(frozen=True, eq=False)
class Hits:
    """Voxels of a slab near or inside a bone.

    Attributes
    ----------
    flat
        (N,) positions in the raveled slab.
    distance_mm
        float32 (N,) to the surface, negative inside, in image mm.
    own_mm
        float32 (N, 3) places in the bone's own frame.
    """

    flat: np.ndarray
    distance_mm: np.ndarray
    own_mm: np.ndarray


@dataclass(frozen=True, eq=False)
class Slab:
    """Some slices of a grid, seen through a warp."""

    grid: Grid
    start_slice: int
    warp: Warp

    @property
    def slices(self) -> slice:
        """The slices of this slab."""
        return slice(self.start_slice, min(self.start_slice + SLAB_SLICES, self.grid.shape[0]))

    def hits(self, placed: PlacedBone, reach_mm: float) -> Iterator[Hits]:
        """Find the voxels whose distance to a bone is below `reach_mm`."""
        box = self._box_of(placed, reach_mm)
        if box is None:
            return
        frames = _Frames.of(placed, self.grid, self.warp)
        size = np.array([min(_LARGEST_BLOCK, max(1, round(_BLOCK_MM / s))) for s in self.grid.spacing_mm])
        centers = _block_centers(box, size)
        radius = float(np.linalg.norm(size * np.asarray(self.grid.spacing_mm))) / 2
        offsets = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in size), indexing="ij"), -1).reshape(-1, 3)
        limit = radius * _SAFETY + reach_mm
        for part in np.array_split(centers, max(1, len(centers) // _MOST_POINTS)):
            near = part[frames.distance(frames.own(part, np.zeros((1, 3)))[:, 0]) < limit]
            for some in np.array_split(near, max(1, len(near) * len(offsets) // _MOST_POINTS)):
                if len(some):
                    yield self._refine(frames, some, offsets, box, reach_mm)

    def _refine(self, frames: "_Frames", centers: np.ndarray, offsets: np.ndarray, box: Box, reach_mm: float) -> Hits:
        own = frames.own(centers, offsets).reshape(-1, 3)
        distance = frames.distance(own)
        keep = distance < reach_mm
        flat = np.zeros(len(own), dtype=np.int64)
        first = (self.start_slice, 0, 0)
        for axis, count in enumerate((1, *self.grid.shape[1:])):
            index = np.rint(centers[:, axis, None] + offsets[None, :, axis]).astype(np.int32).reshape(-1)
            keep &= index < box.stop_zyx[axis]
            flat = flat * count + (index - first[axis])
        near = np.flatnonzero(keep)
        return Hits(flat[near], distance[near], own[near])

    def _box_of(self, placed: PlacedBone, reach_mm: float) -> Box | None:
        extra = self.warp.largest_mm + reach_mm
        if placed.bone.vertebra is not None:
            # Bounds may be dear to find out for a bone that is far away.
            around = rough_bounds_mm(placed)
            if self._box_between(around[0] - extra, around[1] + extra) is None:
                return None
        low, high = bounds_in_body_mm(placed)
        return self._box_between(low - extra, high + extra)

    def _box_between(self, low_mm: np.ndarray, high_mm: np.ndarray) -> Box | None:
        index = self.grid.to_index(box_corners(low_mm, high_mm))
        start, stop = np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int) + 1
        start = np.maximum(start, [self.start_slice, 0, 0])
        stop = np.minimum(stop, [self.start_slice + SLAB_SLICES, *self.grid.shape[1:]])
        stop[0] = min(stop[0], self.grid.shape[0])
        if (start >= stop).any():
            return None
        (a, b, c), (d, e, f) = start.tolist(), stop.tolist()
        return Box((a, b, c), (d, e, f))


@dataclass(frozen=True, eq=False)
class _Frames:
    """Maps from voxels to the own frame of one bone; the warp is linear within a block."""

    placed: PlacedBone
    affine: np.ndarray
    inverse: np.ndarray
    warp: Warp
    scale: float

    @classmethod
    def of(cls, placed: PlacedBone, grid: Grid, warp: Warp) -> "_Frames":
        scale = float(np.cbrt(abs(np.linalg.det(placed.to_body[:3, :3]))))
        return cls(placed, grid.affine, np.linalg.inv(placed.to_body), warp, scale)

    def own(self, centers: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return float32 (M, K, 3) own places of block centers (M, 3) plus offsets (K, 3), all in voxels."""
        world = centers @ self.affine[:3, :3].T + self.affine[:3, 3]
        base = self.warp.to_body(world) @ self.inverse[:3, :3].T + self.inverse[:3, 3]
        jacobian = self.inverse[:3, :3] @ self.warp.gradient(world) @ self.affine[:3, :3]
        around: np.ndarray = np.matmul(offsets.astype(np.float32), jacobian.astype(np.float32).transpose(0, 2, 1))
        around += base[:, None].astype(np.float32)
        return around

    def distance(self, own_mm: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = self.placed.bone.distance_mm(np.ascontiguousarray(own_mm)) * np.float32(self.scale)
        return scaled


def _block_centers(box: Box, size: np.ndarray) -> np.ndarray:
    """Return centers (M, 3) of blocks of `size` voxels that cover a box, in voxels."""
    axes = [np.arange(a, b, n) + (n - 1) / 2 for a, b, n in zip(box.start_zyx, box.stop_zyx, size, strict=True)]
    centers: np.ndarray = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return centers


def bounds_in_body_mm(placed: PlacedBone) -> np.ndarray:
    """Return bounds (2, 3) of a bone in the body frame."""
    corners = box_corners(*placed.bone.bounds_mm) @ placed.to_body[:3, :3].T + placed.to_body[:3, 3]
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def rough_bounds_mm(placed: PlacedBone) -> np.ndarray:
    """Return bounds (2, 3) in the body frame that a vertebra does not exceed; cheaper than its own bounds."""
    size = float(np.cbrt(abs(np.linalg.det(placed.to_body[:3, :3]))))
    to_body = placed.to_body.copy()
    to_body[:3, :3] /= np.linalg.norm(to_body[:3, :3], axis=0)
    box = _VERTEBRA_BOX_MM.copy()
    if placed.bone.vertebra == Vertebra.C2:
        box[1, 2] = _DENS_MM
    corners = box_corners(*(box * max(1.0, size))) @ to_body[:3, :3].T + to_body[:3, 3]
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def box_corners(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the corners (8, 3) of a box."""
    return np.array([[(low, high)[b >> i & 1][i] for i in range(3)] for b in range(8)])


def slabs(grid: Grid, warp: Warp) -> list[Slab]:
    """Cut a grid into slabs that do not depend on how many threads there are."""
    return [Slab(grid, start, warp) for start in range(0, grid.shape[0], SLAB_SLICES)]


def over_slabs(grid: Grid, warp: Warp, work: Callable[[Slab], None], threads: int) -> None:
    """Call `work` for every slab; slabs share no voxel, so the order does not matter."""
    if threads == 1:
        for slab in slabs(grid, warp):
            work(slab)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, slabs(grid, warp)))
