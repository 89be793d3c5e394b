"""Noise, and linear filters as one matrix per axis, for batches in which each sample has its own.

Shapes: N samples, K filters, then (slice, row, column) as D, H, W; n is the length of one axis.
"""

from collections.abc import Sequence

import torch

Matrices = Sequence[torch.Tensor]
REACH = 2.5
"""Kernels of `blurred` end at so many standard deviations."""


def generator_of(seed: int, stream: int, number: int, device: torch.device) -> torch.Generator:
    """Return a generator on `device`: the same for the same seed, stream (which task) and batch number."""
    mixed = (seed * 1_000_003 + stream * 7_919 + 1) * 2_147_483_629 + number
    return torch.Generator(device=device).manual_seed(mixed % (1 << 62))


def normal(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Return float32 white noise of standard deviation 1."""
    return torch.randn(shape, generator=rng, device=rng.device)


def uniform(low: float, high: float, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Return float32 numbers between `low` and `high`."""
    return low + (high - low) * torch.rand(shape, generator=rng, device=rng.device)


def chance(share: float, count: int, rng: torch.Generator) -> torch.Tensor:
    """Return bool (count,): true for about this share."""
    return torch.rand(count, generator=rng, device=rng.device) < share


def scaled(noise: torch.Tensor) -> torch.Tensor:
    """Return noise (N, …) with standard deviation 1 in every sample."""
    return noise / per_sample(noise.flatten(1).std(1).clamp(min=1e-6), noise.dim())


def per_sample(values: torch.Tensor, dims: int) -> torch.Tensor:
    """Return values (N,) ready to be broadcast against a tensor of `dims` axes."""
    return values.reshape(-1, *(1,) * (dims - 1))


def along_axes(images: torch.Tensor, matrices: Matrices) -> torch.Tensor:
    """Return images (N, D, H, W) with the matrices (N, n', n) of the three axes applied."""
    for matrix, terms in zip(matrices, ("nij,njhw->nihw", "nij,ndjw->ndiw", "nij,ndhj->ndhi"), strict=True):
        images = torch.einsum(terms, matrix, images)
    return images


def gaussians(sigma: torch.Tensor, reach: torch.Tensor, count: int) -> torch.Tensor:
    """Return the matrices (…, n, n) of Gaussian filters along an axis of `count` voxels.

    Parameters
    ----------
    sigma
        Standard deviations in voxels, (…,); 0 gives the identity.
    reach
        Whole voxels after which a kernel ends, at most `count`. As in `scipy.ndimage`, borders are mirrored.
    """
    at = torch.arange(count, device=sigma.device, dtype=sigma.dtype)
    both = at[:, None] + at
    distance = torch.stack([at[:, None] - at, both + 1, 2 * count - 1 - both])
    width, end = sigma.clamp(min=1e-3)[..., None, None, None], reach[..., None, None, None]
    weights = torch.where(distance.abs() <= end, torch.exp(-0.5 * (distance / width) ** 2), 0).sum(-3)
    return weights / weights.sum(-1, keepdim=True)


def blurred(images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return images (N, D, H, W) blurred by Gaussians of standard deviations `sigma` (N, 3), in voxels."""
    reach = (REACH * sigma + 0.5).floor()
    return along_axes(images, [gaussians(sigma[:, k], reach[:, k], n) for k, n in enumerate(images.shape[1:])])


def from_lattice(steps: torch.Tensor, count: int, points: int) -> torch.Tensor:
    """Return the matrices (N, n, points) that interpolate linearly from lattices of so many points per voxel (N,)."""
    at = steps[:, None, None] * torch.arange(count, device=steps.device)[:, None]
    return (1 - (at - torch.arange(points, device=steps.device)).abs()).clamp(min=0)


__all__ = [
    "along_axes",
    "blurred",
    "chance",
    "from_lattice",
    "gaussians",
    "generator_of",
    "normal",
    "per_sample",
    "scaled",
    "uniform",
]
