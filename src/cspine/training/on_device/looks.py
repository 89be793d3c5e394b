"""Random appearance as numbers: what `synthesis` and `native_scan` draw for one sample, and a batch of it on a device.

A step that a sample leaves out has strength 0 (or the identity as its matrix), so that all samples of a batch take the
same steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch

from cspine.training.native_scan import NativeRange, draw_passages
from cspine.training.synthesis import (
    BONE_TEXTURE_HU,
    FINE_VOXELS,
    METAL_CHANCE,
    METAL_RAYS,
    NOISE_TRUNCATE,
    SHARPENED_VOXELS,
    SLOW_VOXELS,
    SOFT_TEXTURE_HU,
    STREAK_CHANCE,
    STREAK_HU,
    STREAK_START,
    STREAK_TRUNCATE,
    STREAK_VOXELS,
    draw_blur,
    draw_contrast,
    draw_metal,
    draw_noise,
    draw_scale,
    draw_sharpness,
    lattice,
)

Shape = tuple[int, int, int]
Value = TypeVar("Value")
BLUR_TRUNCATE = 4.0
TRUNCATES = (NOISE_TRUNCATE, BLUR_TRUNCATE, BLUR_TRUNCATE, NOISE_TRUNCATE, STREAK_TRUNCATE)
"""Standard deviations at which the kernels of the five filters end: fine texture, blur, sharpening, noise, streaks."""
# Slices so far away that metal there is none.
NO_METAL = (-1e6, 0.0, 0.0, *(0.0,) * (2 * METAL_RAYS), 0.0, 1.0, 1.0, 1.0)


class Strengths(NamedTuple, Generic[Value]):
    """Numbers of one sample (floats) or of a batch (tensors (N,))."""

    bone_hu: Value
    soft_hu: Value
    slow_step_z: Value
    slow_step_y: Value
    slow_step_x: Value
    sharpness: Value
    gain: Value
    offset_hu: Value
    noise_hu: Value
    streak_start: Value
    streak_hu: Value


@dataclass(frozen=True, eq=False)
class Look:
    """Appearance of one sample.

    Attributes
    ----------
    contrast
        float32 (256,): mean HU of every code.
    filters
        float (5, 3): standard deviations in voxels of the filters of `TRUNCATES` along the axes.
    passages
        Matrices of the passage through a scanner's own grid, ``None`` where an axis stays as it is.
    metal
        The numbers of `synthesis.Metal`, one after the other.
    """

    contrast: np.ndarray
    filters: np.ndarray
    passages: list[np.ndarray | None]
    strengths: Strengths[float]
    metal: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Looks:
    """Appearance of N samples, float32 on one device.

    Attributes
    ----------
    contrast
        (N, 256).
    filters
        Standard deviations and reaches in voxels, (2, 5, 3, N).
    passages
        Matrices (N, n, n) of the three axes.
    metal
        (N, 17), as `Look` has it.
    """

    contrast: torch.Tensor
    filters: torch.Tensor
    passages: tuple[torch.Tensor, ...]
    strengths: Strengths[torch.Tensor]
    metal: torch.Tensor


def draw_look(
    shape: Shape, spacing_mm: tuple[float, float, float], native: NativeRange, rng: np.random.Generator
) -> Look:
    """Draw the appearance of a sample, distributed as `add_texture`, `scan_natively` and `degrade` have it."""
    contrast = draw_contrast(rng)
    fine, slow = rng.uniform(*FINE_VOXELS), rng.uniform(*SLOW_VOXELS)
    texture = rng.uniform(*BONE_TEXTURE_HU), rng.uniform(*SOFT_TEXTURE_HU)
    step_z, step_y, step_x = (step for _, step in lattice(shape, slow))
    passages = draw_passages(shape, spacing_mm, native, rng)
    blur, sharpness, scale = draw_blur(spacing_mm, rng), draw_sharpness(rng), draw_scale(rng)
    noise_hu, noise_voxels = draw_noise(rng)
    streaks = rng.uniform(*STREAK_START) * shape[0], rng.uniform(*STREAK_HU) * (rng.uniform() < STREAK_CHANCE)
    metal = _flat(draw_metal(shape, rng)) if rng.uniform() < METAL_CHANCE else NO_METAL
    filters = np.array([(fine,) * 3, blur, SHARPENED_VOXELS, (noise_voxels,) * 3, STREAK_VOXELS])
    strengths = Strengths(*texture, step_z, step_y, step_x, sharpness, *scale, noise_hu, *streaks)
    return Look(contrast, filters, passages, strengths, metal)


def looks_on(looks: Sequence[Look], shape: Shape, device: torch.device) -> Looks:
    """Return the appearance of a batch on a device."""
    filters = np.stack([look.filters for look in looks], axis=-1)
    reach = np.floor(np.array(TRUNCATES)[:, None, None] * filters + 0.5)
    strengths = on_device(np.array([look.strengths for look in looks], dtype=np.float32).T, device)
    passages = []
    for axis, count in enumerate(shape):
        still = np.eye(count, dtype=np.float32)
        each = (look.passages[axis] for look in looks)
        passages.append(on_device(np.stack([still if matrix is None else matrix for matrix in each]), device))
    return Looks(
        contrast=on_device(np.stack([look.contrast for look in looks]), device),
        filters=on_device(np.stack([filters, reach]).astype(np.float32), device),
        passages=tuple(passages),
        strengths=Strengths(*strengths.unbind(0)),
        metal=on_device(np.array([look.metal for look in looks], dtype=np.float32), device),
    )


def on_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return a copy of an array on a device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device, non_blocking=True)


def _flat(metal: tuple[object, ...]) -> tuple[float, ...]:
    return tuple(np.concatenate([np.atleast_1d(np.asarray(part, dtype=float)) for part in metal]))


__all__ = ["Look", "Looks", "Shape", "Strengths", "draw_look", "looks_on", "on_device"]
