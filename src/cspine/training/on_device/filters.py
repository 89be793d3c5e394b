"""Blur and noise for batches, each sample with its own strength."""

import math

import torch

REACH = 2.5
"""Gaussian kernels end at so many of the batch's largest standard deviations."""


def generator_of(seed: int, stream: int, number: int, device: torch.device) -> torch.Generator:
    """Return a generator on `device`: the same for the same seed, stream (which task) and batch number."""
    mixed = (seed * 1_000_003 + stream * 7_919 + 1) * 2_147_483_629 + number
    return torch.Generator(device=device).manual_seed(mixed % (1 << 62))


def uniform(low: float, high: float, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Return float32 numbers between `low` and `high`."""
    return low + (high - low) * torch.rand(shape, generator=rng, device=rng.device)


def chance(share: float, count: int, rng: torch.Generator) -> torch.Tensor:
    """Return bool (count,): true for about this share."""
    return torch.rand(count, generator=rng, device=rng.device) < share


def normal(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Return float32 white noise of standard deviation 1."""
    return torch.randn(shape, generator=rng, device=rng.device)


def blurred(images: torch.Tensor, sigma: torch.Tensor, largest: tuple[float, float, float]) -> torch.Tensor:
    """Return images blurred by Gaussians; borders repeat the last voxel.

    Parameters
    ----------
    images
        float (N, D, H, W).
    sigma
        Standard deviations in voxels, (N, 3); below .05 an axis is left alone.
    largest
        Upper limits of `sigma` along the axes, on which the sizes of the kernels depend; 0 skips an axis.
    """
    for axis, limit in enumerate(largest):
        if limit <= 0:
            continue
        half = max(1, math.ceil(REACH * limit))
        steps = torch.arange(-half, half + 1, device=images.device, dtype=images.dtype)
        width = sigma[:, axis].to(images.dtype).clamp(min=0.05)[:, None]
        kernel = torch.exp(-0.5 * (steps / width) ** 2)
        kernel = kernel / kernel.sum(1, keepdim=True)
        count = images.shape[axis + 1]
        held = torch.arange(-half, count + half, device=images.device).clamp(0, count - 1)
        padded = images.index_select(axis + 1, held)
        parts = (
            per_sample(kernel[:, k], images.dim()) * padded.narrow(axis + 1, k, count) for k in range(2 * half + 1)
        )
        images = sum(parts, start=torch.zeros((), device=images.device))
    return images


def scaled(noise: torch.Tensor) -> torch.Tensor:
    """Return noise (N, …) with standard deviation 1 in every sample."""
    each = noise.flatten(1).std(1).clamp(min=1e-6)
    return noise / each.reshape(-1, *(1,) * (noise.dim() - 1))


def per_sample(values: torch.Tensor, dims: int) -> torch.Tensor:
    """Return values (N,) ready to be broadcast against a tensor of `dims` axes."""
    return values.reshape(-1, *(1,) * (dims - 1))


__all__ = ["blurred", "chance", "generator_of", "normal", "per_sample", "scaled", "uniform"]
