"""From tissue codes to HU for a batch, on its device: the steps of `synthesis` and `native_scan`.

Shapes: N samples, (slice, row, column) as D, H, W; codes are given at sub-voxels.
"""

import torch

from cspine.pipeline import IntensitySpec
from cspine.training.on_device.filters import along_axes, from_lattice, gaussians, normal, per_sample, scaled
from cspine.training.on_device.looks import Looks, Shape
from cspine.training.synthesis import (
    METAL_HU,
    METAL_RAYS,
    SLOW_VOXELS,
    STREAK_RISE,
    STREAKED_FROM_HU,
    TEXTURED_FROM_HU,
    lattice,
)
from cspine.training.tissue_cases import BONE_BASE

Kernels = tuple[torch.Tensor, ...]


def scanned_hu(codes: torch.Tensor, looks: Looks, sub: Shape, rng: torch.Generator) -> torch.Tensor:
    """Return HU (N, D, H, W), float32, of uint8 codes (N, D·sub, H·sub, W·sub)."""
    picked = torch.gather(looks.contrast, 1, codes.flatten(1).long()).reshape(codes.shape)
    hu, bone = block_means(picked, sub), block_means((codes >= BONE_BASE).float(), sub)
    fine, blur, sharp, noise, streak = _kernels(looks, hu.shape[1:])
    hu = along_axes(_textured(hu, bone, looks, fine, rng), looks.passages)
    hu = along_axes(hu, blur)
    hu = hu + per_sample(looks.strengths.sharpness, 4) * (hu - along_axes(hu, sharp))
    hu = hu * per_sample(looks.strengths.gain, 4) + per_sample(looks.strengths.offset_hu, 4)
    hu = hu + per_sample(looks.strengths.noise_hu, 4) * scaled(along_axes(normal(hu.shape, rng), noise))
    return _with_metal(_streaked(hu, looks, streak, rng), looks)


def block_means(values: torch.Tensor, sub: Shape) -> torch.Tensor:
    """Average sub-voxels (N, D·sub, H·sub, W·sub) into voxels."""
    n, (d, h, w) = len(values), (count // s for count, s in zip(values.shape[1:], sub, strict=True))
    return values.reshape(n, d, sub[0], h, sub[1], w, sub[2]).mean(dim=(2, 4, 6))


def inside_boxes(boxes: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Return bool (N, D, H, W): what lies in the half-open boxes (N, 2, 3)."""
    inside = torch.ones((len(boxes), 1, 1, 1), dtype=torch.bool, device=boxes.device)
    for axis, count in enumerate(shape):
        at = torch.arange(count, device=boxes.device)
        within = (at >= boxes[:, :1, axis]) & (at < boxes[:, 1:, axis])
        inside = inside & within.reshape(-1, *(count if k == axis else 1 for k in range(3)))
    return inside


def normalized(hu: torch.Tensor, spec: IntensitySpec) -> torch.Tensor:
    """Return network input as `cspine.pipeline.normalize` makes it."""
    return (hu.clamp(spec.low_hu, spec.high_hu) - spec.center_hu) / spec.scale_hu


def heats(at: torch.Tensor, sigma_voxels: tuple[float, float, float], shape: Shape) -> torch.Tensor:
    """Return Gaussians of height 1, (…, D, H, W), round fractional voxels (…, 3)."""
    z, y, x = (
        torch.exp(-0.5 * ((torch.arange(n, device=at.device) - at[..., axis, None]) / sigma_voxels[axis]) ** 2)
        for axis, n in enumerate(shape)
    )
    return z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]


def _kernels(looks: Looks, shape: tuple[int, ...]) -> list[Kernels]:
    """Return for every filter its matrices along the three axes."""
    sigma, reach = looks.filters.unbind(0)
    each = [gaussians(sigma[:, axis], reach[:, axis], count).unbind(0) for axis, count in enumerate(shape)]
    return list(zip(*each, strict=True))


def _textured(hu: torch.Tensor, bone: torch.Tensor, looks: Looks, fine: Kernels, rng: torch.Generator) -> torch.Tensor:
    steps = (looks.strengths.slow_step_z, looks.strengths.slow_step_y, looks.strengths.slow_step_x)
    shape = hu.shape[1:]
    points = [count for count, _ in lattice(shape, SLOW_VOXELS[0])]  # the finest has most; others leave some unused
    spread = [from_lattice(step, n, p) for step, n, p in zip(steps, shape, points, strict=True)]
    slow = along_axes(normal((len(hu), *points), rng), spread)
    field = scaled(along_axes(normal(hu.shape, rng), fine)) + 0.5 * slow
    bony, soft = per_sample(looks.strengths.bone_hu, 4), per_sample(looks.strengths.soft_hu, 4)
    return hu + (hu > TEXTURED_FROM_HU) * field * (soft + (bony - soft) * bone)


def _streaked(hu: torch.Tensor, looks: Looks, streak: Kernels, rng: torch.Generator) -> torch.Tensor:
    slices = hu.shape[1]
    at = torch.arange(slices, device=hu.device)
    ramp = ((at - looks.strengths.streak_start[:, None]) / (STREAK_RISE * slices)).clamp(0, 1)
    strength = (ramp * looks.strengths.streak_hu[:, None])[:, :, None, None]
    return hu + strength * scaled(along_axes(normal(hu.shape, rng), streak)) * (hu > STREAKED_FROM_HU)


def _with_metal(hu: torch.Tensor, looks: Looks) -> torch.Tensor:
    _, d, h, w = hu.shape
    at, waves, phases, rest = torch.split(looks.metal, [3, METAL_RAYS, METAL_RAYS, 4], dim=1)
    height, fall, reach, radius = (per_sample(value, 3) for value in rest.unbind(1))
    z, y, x = (torch.arange(n, device=hu.device) - at[:, axis, None] for axis, n in enumerate((d, h, w)))
    angle, away = torch.atan2(y[:, :, None], x[:, None, :]), torch.hypot(y[:, :, None], x[:, None, :])
    rays = torch.cos(waves[:, :, None, None] * angle[:, None] + phases[:, :, None, None]).sum(1)
    pattern = height * rays * torch.exp(-away / fall)
    along = (z / reach[:, 0])[:, :, None, None] ** 2
    out = hu + torch.exp(-0.5 * along) * pattern[:, None]
    return torch.where(along + ((away / radius) ** 2)[:, None] < 1, METAL_HU, out)


__all__ = ["block_means", "heats", "inside_boxes", "normalized", "scanned_hu"]
