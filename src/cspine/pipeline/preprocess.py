"""HU to network input. Training calls these same functions."""

import numpy as np
from scipy import ndimage

from cspine.domain import Box, Grid, LabelMap, Vertebra, Volume, resample
from cspine.pipeline.spec import CoarseSpec, FractureSpec, IntensitySpec, RefineSpec, SliceSpec


def normalize(hu: np.ndarray, spec: IntensitySpec) -> np.ndarray:
    """Return float32 network input of the same shape."""
    clipped = np.clip(np.asarray(hu, dtype=np.float32), spec.low_hu, spec.high_hu)
    return np.asarray((clipped - np.float32(spec.center_hu)) / np.float32(spec.scale_hu), dtype=np.float32)


def coarse_grid(grid: Grid, spec: CoarseSpec) -> Grid:
    """Return the largest whole-volume working grid of a canonical grid: that of a body that fills the field."""
    inner = grid.at_spacing(spec.spacing_mm)
    return inner.crop(_allowed(Box((0, 0, 0), inner.shape), spec))


def coarse_input(volume: Volume, intensity: IntensitySpec, spec: CoarseSpec, threads: int) -> tuple[np.ndarray, Grid]:
    """Return network input (1, 1, slice, row, column) of a canonical volume, and its grid.

    The grid has the directions of the volume, the working spacing, an allowed shape, and reaches beyond the body by a
    margin. The air round the body is left out: it holds no vertebra and would take most of the time.
    """
    inner = volume.grid.at_spacing(spec.spacing_mm)
    hu = resample(volume.hu, volume.grid, inner, intensity.pad_hu, threads)
    around = _allowed(body_box(hu, spec), spec)
    grid = inner.crop(around)
    ct = np.full(grid.shape, normalize(np.array(intensity.pad_hu), intensity), dtype=np.float32)
    held = around.clipped(inner.shape)
    if held is not None:
        place = [slice(a - b, c - b) for a, b, c in zip(held.start_zyx, around.start_zyx, held.stop_zyx, strict=True)]
        ct[tuple(place)] = normalize(hu[held.slices], intensity)
    return ct[None, None], grid


def body_box(hu: np.ndarray, spec: CoarseSpec) -> Box:
    """Return the box (slice, row, column) of the largest piece denser than air; of everything when there is none.

    Thin things such as a table top do not count.
    """
    dense = ndimage.binary_opening(hu > spec.body_hu, iterations=spec.body_opening)
    pieces, count = ndimage.label(dense)
    whole = Box((0, 0, 0), (hu.shape[0], hu.shape[1], hu.shape[2]))
    if not count:
        return whole
    body = Box.of_mask(pieces == int(np.bincount(pieces.ravel())[1:].argmax()) + 1)
    return whole if body is None else Box((0, *body.start_zyx[1:]), (hu.shape[0], *body.stop_zyx[1:]))


def _allowed(box: Box, spec: CoarseSpec) -> Box:
    """Return the box with its margin on all sides, made an allowed shape."""
    start, stop = [], []
    for low, high, step in zip(box.start_zyx, box.stop_zyx, spec.spacing_mm, strict=True):
        least = high - low + 2 * round(spec.margin_mm / step)
        count = -(-least // spec.multiple) * spec.multiple
        start.append(low - (count - (high - low)) // 2)
        stop.append(start[-1] + count)
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def refine_grid(center_lps_mm: np.ndarray, like: Grid, spec: RefineSpec) -> Grid:
    """Return the crop grid round one vertebra, with the directions of `like` (canonical).

    The crop's voxel lattice starts exactly at the center, so the prompt is the same in every crop.
    """
    middle = (np.asarray(spec.shape) - 1) / 2 * spec.spacing_mm
    offset = middle + np.asarray(spec.offset_mm)
    origin = np.asarray(center_lps_mm) - offset @ like.directions
    spacing = (spec.spacing_mm,) * 3
    return Grid.from_axes(spec.shape, spacing, (origin[0], origin[1], origin[2]), like.directions, like.frame_uid)


def prompt(spec: RefineSpec) -> np.ndarray:
    """Return the Gaussian, float32 (slice, row, column), that marks the center in every crop."""
    axes = [
        np.exp(-0.5 * (((np.arange(n) - (n - 1) / 2) * spec.spacing_mm - o) / spec.prompt_sigma_mm) ** 2)
        for n, o in zip(spec.shape, spec.offset_mm, strict=True)
    ]
    gauss = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
    return np.asarray(gauss, dtype=np.float32)


def level_code(label: int) -> np.float32:
    """Return the value of the crop's level channel: C1 and C2 are told apart from all others."""
    return np.float32({1: -1.0, 2: 1.0}.get(label, 0.0))


def refine_channels(
    hu: np.ndarray, inside: np.ndarray, label: int, intensity: IntensitySpec, gauss: np.ndarray
) -> np.ndarray:
    """Return float32 (4, slice, row, column): CT, prompt, level, share of the voxel inside the scanned field."""
    level = np.full(hu.shape, level_code(label), dtype=np.float32)
    return np.stack([normalize(hu, intensity), gauss, level, inside.astype(np.float32)])


def refine_input(volume: Volume, grid: Grid, label: int, intensity: IntensitySpec, gauss: np.ndarray) -> np.ndarray:
    """Return the crop of one vertebra from a canonical volume, (4, slice, row, column); `grid` has its directions."""
    hu = resample(volume.hu, volume.grid, grid, intensity.pad_hu, threads=1)
    return refine_channels(hu, inside_field(volume.grid, grid), label, intensity, gauss)


def slice_grid(center_lps_mm: np.ndarray, heights_mm: tuple[float, float], like: Grid, spec: SliceSpec) -> Grid:
    """Return the grid of evenly spaced slices through one vertebra, with the directions of `like` (canonical).

    Parameters
    ----------
    heights_mm
        z (LPS) of the vertebra's top and bottom faces; each slice stands in the middle of its share.
    """
    top, bottom = heights_mm
    step = max((top - bottom) / spec.count, 1e-3)
    directions = like.directions
    down = (np.asarray(center_lps_mm)[2] - (top - step / 2)) / directions[0, 2]
    half = (spec.size_px - 1) / 2 * spec.pixel_mm
    back = spec.offset_mm - half
    origin = np.asarray(center_lps_mm) - down * directions[0] + back * directions[1] - half * directions[2]
    shape, spacing = (spec.count, spec.size_px, spec.size_px), (step, spec.pixel_mm, spec.pixel_mm)
    return Grid.from_axes(shape, spacing, (origin[0], origin[1], origin[2]), directions, like.frame_uid)


def slice_input(volume: Volume, grid: Grid, intensity: IntensitySpec) -> np.ndarray:
    """Return the slices of one vertebra from a canonical volume, float32 (slice, row, column), on `slice_grid`."""
    return normalize(resample(volume.hu, volume.grid, grid, intensity.pad_hu, threads=1), intensity)


def fracture_grid(center_lps_mm: np.ndarray, vertebra: Vertebra, like: Grid, spec: FractureSpec) -> Grid:
    """Return the grid of one vertebra's crop for the fracture stage, with the directions of `like` (canonical)."""
    middle = (np.asarray(spec.shape) - 1) / 2 * np.asarray(spec.spacing_mm)
    up = spec.dens_mm if vertebra is Vertebra.C2 else 0.0
    back = spec.ring_back_mm if vertebra is Vertebra.C1 else spec.back_mm
    offset = np.array([-up, back, 0.0]) - middle
    origin = np.asarray(center_lps_mm) + offset @ like.directions
    start = (origin[0], origin[1], origin[2])
    return Grid.from_axes(spec.shape, spec.spacing_mm, start, like.directions, like.frame_uid)


def map_grid(grid: Grid, spec: FractureSpec) -> Grid:
    """Return the grid of the fracture map of a crop: a voxel for each block of the crop's voxels."""
    first = grid.to_world((np.asarray(spec.map_block) - 1) / 2)
    shape, spacing = zip(
        *((n // b, s * b) for n, s, b in zip(grid.shape, spec.spacing_mm, spec.map_block, strict=True)), strict=True
    )
    return Grid.from_axes(
        (shape[0], shape[1], shape[2]),
        (spacing[0], spacing[1], spacing[2]),
        (first[0], first[1], first[2]),
        grid.directions,
        grid.frame_uid,
    )


def fracture_channels(
    hu: np.ndarray, own: np.ndarray, other: np.ndarray, intensity: IntensitySpec, spec: FractureSpec
) -> np.ndarray:
    """Return float32 (3, slice, row, column): CT, softened mask of the vertebra, softened mask of all others.

    Parameters
    ----------
    own, other
        Share of each voxel, 0 … 1.
    """
    sigma = [spec.blur_mm / step for step in spec.spacing_mm]
    soft = [ndimage.gaussian_filter(mask.astype(np.float32), sigma, truncate=2.5) for mask in (own, other)]
    return np.stack([normalize(hu, intensity), *soft])


def fracture_input(
    volume: Volume, labels: LabelMap, grid: Grid, vertebra: Vertebra, specs: tuple[IntensitySpec, FractureSpec]
) -> np.ndarray:
    """Return the input of one vertebra, (3, slice, row, column), from a canonical volume and its labels."""
    intensity, spec = specs
    hu = resample(volume.hu, volume.grid, grid, intensity.pad_hu, threads=1)
    box = touched(labels.grid, grid)
    if box is None:
        empty = np.zeros(grid.shape, dtype=np.float32)
        return fracture_channels(hu, empty, empty, intensity, spec)
    near, part = labels.grid.crop(box), labels.labels[box.slices]
    own = resample((part == vertebra).astype(np.float32), near, grid, 0.0, threads=1)
    other = resample(((part > 0) & (part != vertebra)).astype(np.float32), near, grid, 0.0, threads=1)
    return fracture_channels(hu, own, other, intensity, spec)


def touched(field: Grid, grid: Grid) -> Box | None:
    """Return the voxels of `field` that a grid of the same directions reaches, or ``None``."""
    corners = np.array([[(n - 1) * (k >> i & 1) for i, n in enumerate(grid.shape)] for k in range(8)], dtype=float)
    index = field.to_index(grid.to_world(corners))
    low, high = np.floor(index.min(axis=0)).astype(int) - 1, np.ceil(index.max(axis=0)).astype(int) + 2
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2])).clipped(field.shape)


def inside_field(field: Grid, grid: Grid) -> np.ndarray:
    """Return bool (slice, row, column): the voxel center of `grid` lies inside the outer faces of `field`.

    Both grids have the same directions, as a scan and the crops made from it have.
    """
    matrix = grid.index_map_to(field)
    axes = []
    for axis, (count, size) in enumerate(zip(grid.shape, field.shape, strict=True)):
        index = matrix[axis, axis] * np.arange(count) + matrix[axis, 3]
        axes.append((index > -0.5) & (index < size - 0.5))
    return np.asarray(axes[0][:, None, None] & axes[1][None, :, None] & axes[2][None, None, :])
