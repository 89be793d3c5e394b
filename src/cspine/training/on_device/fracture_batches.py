"""Samples of the fracture stage in whole batches, from crops held in the memory of the device that trains.

The same samples as `fracture_task.draw_sample` makes one by one, drawn from the same ranges: what is random about a
sample is drawn in NumPy, what touches voxels is computed on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from cspine.domain import Vertebra
from cspine.training.fracture_cases import (
    LABEL_BITS,
    MIMICS,
    OTHER_FRACTURE,
    OWN_FRACTURE,
    TWIN_FRACTURE,
    CropFile,
    load_crops,
)
from cspine.training.fracture_task import (
    BONE_HU,
    MOTION,
    PAD_HU,
    FracturePlan,
    FractureTask,
    aimed,
    draw_crops,
    matrix_of,
    plan_scale,
    unaimed,
)
from cspine.training.loop import Batch, LoopConfig
from cspine.training.on_device.appearance import normalized
from cspine.training.on_device.filters import blurred, chance, generator_of, normal, per_sample, scaled, uniform

STREAM = 4
AIMS = 128
"""Voxels of each crop, drawn once, that parts are aimed at."""


@dataclass(frozen=True, eq=False)
class HeldPerson:
    """The crops of one person on a device.

    Attributes
    ----------
    hu, codes
        int16 and uint8 (crop, slice, row, column), as in `CropFile`.
    aims
        float32 (crop, AIMS, 3), NumPy: voxels of the own fracture, of where it is in the twin, or of the vertebra.
    broken
        int (crop,): voxels of the own fracture.
    """

    crops: CropFile
    hu: torch.Tensor
    codes: torch.Tensor
    aims: np.ndarray
    broken: np.ndarray


@dataclass(frozen=True)
class HeldFractureTask(FractureTask):
    """The fracture network from crops held on the device."""

    def draw(self, number: int, config: LoopConfig, device: torch.device) -> Batch:
        """Return batch `number`; what `sample` returns, stacked."""
        rng = np.random.default_rng([config.seed, STREAM, number, 1])
        chosen = draw_crops(self.cases, self.plan, config.batch, rng)
        crops = [(held(self.cases[person], device), crop) for person, crop in chosen]
        return draw_batch(crops, self.plan, rng, generator_of(config.seed, STREAM, number, device))


def draw_batch(
    chosen: Sequence[tuple[HeldPerson, int]], plan: FracturePlan, rng: np.random.Generator, on: torch.Generator
) -> Batch:
    """Return a batch of held crops: input (N, 3, D, H, W) and its targets, on the device of the generator `on`."""
    device = on.device
    truth = _Truth.of(chosen, device)
    hu, codes = _moved(chosen, plan, rng, truth)
    labels = codes & LABEL_BITS
    vertebra = per_sample(truth.vertebra, 4)
    own = _as_outlined(labels == vertebra, truth.vertebra == int(Vertebra.C2), on)
    other = (labels > 0) & (labels != vertebra)
    hu = _degraded(hu, plan, on)
    inside = _inside(hu.shape, plan.cut, rng, device)
    hu = torch.where(inside, hu, plan.intensity.pad_hu)
    crop = torch.stack([normalized(hu, plan.intensity), *_softened(own & inside, other & inside, plan)], dim=1)
    broken = (codes & (OWN_FRACTURE | OTHER_FRACTURE)) > 0
    kept = (((codes & OWN_FRACTURE) > 0) & inside).flatten(1).sum(1)
    cut = ~inside.flatten(1).all(1)
    # Where the cut took most of the fracture away, nobody knows the answer.
    lost = torch.where(truth.mapped > 0, kept <= 0.5 * truth.broken * plan_scale(plan), cut)
    shown = (broken & inside & per_sample(truth.mapped > 0, 4)).float()
    return {
        "crop": crop,
        "map": functional.max_pool3d(shown[:, None], plan.fracture.map_block),
        "mapped": truth.mapped,
        "told": truth.told,
        "fractured": truth.fractured,
        "weight": 1.0 - truth.fractured * lost,
        "types": truth.types,
        "mimics": truth.mimics,
    }


@dataclass(frozen=True, eq=False)
class _Truth:
    """What is true of a batch: (N,) each, types and mimics (N, class)."""

    vertebra: torch.Tensor
    fractured: torch.Tensor
    broken: torch.Tensor
    mapped: torch.Tensor
    told: torch.Tensor
    types: torch.Tensor
    mimics: torch.Tensor

    @classmethod
    def of(cls, chosen: Sequence[tuple[HeldPerson, int]], device: torch.device) -> "_Truth":
        def gathered(name: str) -> torch.Tensor:
            values = np.stack([getattr(person.crops, name)[crop] for person, crop in chosen])
            return torch.from_numpy(values.astype(np.float32)).to(device)

        broken = torch.tensor([float(person.broken[crop]) for person, crop in chosen], device=device)
        names = ("mapped", "told", "types", "mimics")
        vertebra = gathered("vertebra").to(torch.uint8)
        return cls(vertebra, gathered("fractured"), broken, *(gathered(name) for name in names))


@lru_cache(maxsize=4096)
def held(folder: Path, device: torch.device) -> HeldPerson:
    """Read the crops of a person and put them on the device, where they stay."""
    crops = load_crops(folder)
    rng = np.random.default_rng(len(crops.vertebra))
    aims, broken = [], []
    for stored, vertebra in zip(np.asarray(crops.codes), crops.vertebra, strict=True):
        broken.append(int(np.count_nonzero(stored & OWN_FRACTURE)))
        found = np.flatnonzero(stored & (OWN_FRACTURE | TWIN_FRACTURE))
        if not len(found):
            found = np.flatnonzero((stored & LABEL_BITS) == vertebra)
        if not len(found):
            found = np.array([stored.size // 2 + stored.shape[1] * stored.shape[2] // 2])
        picked = found[rng.integers(len(found), size=AIMS)]
        aims.append(np.stack(np.unravel_index(picked, stored.shape), axis=1))
    hu = torch.from_numpy(np.array(crops.hu)).to(device)
    codes = torch.from_numpy(np.array(crops.codes)).to(device)
    return HeldPerson(crops, hu, codes, np.stack(aims).astype(np.float32), np.array(broken))


def _moved(
    chosen: Sequence[tuple[HeldPerson, int]], plan: FracturePlan, rng: np.random.Generator, truth: _Truth
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a part of ``plan.shape`` out of each crop, mirrored, turned, scaled and moved at random.

    Returns HU float32 and codes uint8, (N, D, H, W); marks the samples that moved in ``truth.mimics``.
    """
    device = truth.vertebra.device
    half = (np.array(plan.shape) - 1) / 2
    matrices, offsets = [], []
    for person, crop in chosen:
        size = np.array(person.hu.shape[1:])
        if plan.aimed:
            aims = person.aims[crop]
            middle = aimed(aims[int(rng.integers(len(aims)))], size, plan, rng)
        else:
            middle = unaimed(size, plan, rng)
        turned, matrix = matrix_of(plan, rng)
        if not turned:
            middle = np.rint(middle - half) + half  # whole voxels: nothing is interpolated
        matrices.append(matrix)
        offsets.append(middle - matrix @ half)
    steps, below = _steps(len(chosen), plan, rng)
    truth.mimics[torch.from_numpy(below < plan.shape[0]).to(device), MIMICS.index(MOTION)] = 1.0
    voxels = _voxels(plan.shape, device) - _shift(steps, below, plan.shape, device)
    for axis, count in enumerate(plan.shape):
        voxels[..., axis].clamp_(0, count - 1)
    turns = torch.from_numpy(np.stack(matrices).astype(np.float32)).to(device)
    starts = torch.from_numpy(np.stack(offsets).astype(np.float32)).to(device)
    source = torch.einsum("nij,ndhwj->ndhwi", turns, voxels) + starts[:, None, None, None]
    ends = torch.tensor(chosen[0][0].hu.shape[1:], device=device, dtype=torch.float32) - 1
    place = (2 * source / ends - 1).flip(-1)  # grid_sample counts columns first
    hu = torch.stack([person.hu[crop] for person, crop in chosen])[:, None].float() - PAD_HU
    codes = torch.stack([person.codes[crop] for person, crop in chosen])[:, None].float()
    moved = functional.grid_sample(hu, place, mode="bilinear", padding_mode="zeros", align_corners=True)
    named = functional.grid_sample(codes, place, mode="nearest", padding_mode="zeros", align_corners=True)
    return moved[:, 0] + PAD_HU, named[:, 0].round().to(torch.uint8)


def _steps(count: int, plan: FracturePlan, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return steps (count, 2) in whole rows and columns, and the first slice that has moved; none is past the end."""
    row_mm, column_mm = plan.fracture.spacing_mm[1:]
    way = rng.uniform(0, 2 * np.pi, count)
    far = rng.uniform(min(row_mm, plan.moving_mm), plan.moving_mm, count)
    steps = np.rint(np.stack([far * np.sin(way) / row_mm, far * np.cos(way) / column_mm], axis=1))
    moved = rng.uniform(size=count) < plan.moving
    return steps, np.where(moved, rng.integers(1, plan.shape[0], count), plan.shape[0])


def _shift(steps: np.ndarray, below: np.ndarray, shape: tuple[int, int, int], device: torch.device) -> torch.Tensor:
    """Return (N, D, 1, 1, 3): voxels by which each slice of each sample has moved."""
    moved = np.arange(shape[0])[None] >= below[:, None]
    shift = np.zeros((len(steps), shape[0], 3), dtype=np.float32)
    shift[..., 1:] = moved[..., None] * steps[:, None]
    return torch.from_numpy(shift).to(device)[:, :, None, None]


@lru_cache(maxsize=8)
def _voxels(shape: tuple[int, int, int], device: torch.device) -> torch.Tensor:
    axes = [torch.arange(n, device=device, dtype=torch.float32) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)[None]


def _as_outlined(mask: torch.Tensor, axis_bone: torch.Tensor, on: torch.Generator) -> torch.Tensor:
    """Return masks (N, D, H, W) with the errors of the vertebra stage; of `axis_bone` (C2) the dens may be missing."""
    count = len(mask)
    width = uniform(0.6, 1.6, (count, 1), on).expand(count, 3)
    found = blurred(mask.float(), width) > per_sample(uniform(0.3, 0.65, (count,), on), 4)
    filled = found.flatten(2).any(2)
    first, rows = filled.float().argmax(1), filled.sum(1)
    gone = (axis_bone & chance(0.4, count, on)) * (uniform(0.1, 0.5, (count,), on) * rows).floor()
    slices = torch.arange(mask.shape[1], device=mask.device)[None]
    return found & _by_slice(slices >= (first + gone)[:, None])


def _by_slice(kept: torch.Tensor) -> torch.Tensor:
    """Return (N, D) ready to be broadcast against (N, D, H, W)."""
    return kept[:, :, None, None]


def _degraded(hu: torch.Tensor, plan: FracturePlan, on: torch.Generator) -> torch.Tensor:
    spacing, count = plan.fracture.spacing_mm, len(hu)

    def strength(share: float, most: float) -> torch.Tensor:
        return chance(share, count, on) * uniform(0, most, (count,), on)

    in_plane, along = strength(plan.blurred, plan.blur_mm), strength(plan.thick, plan.thick_mm)
    widths = torch.stack([along / spacing[0], in_plane / spacing[1], in_plane / spacing[2]], dim=1)
    out = blurred(hu, widths)
    denser = per_sample(uniform(-plan.denser, plan.denser, (count,), on), 4)
    out = out + denser * (out - BONE_HU).clamp(min=0)
    out = out * per_sample(uniform(0.9, 1.12, (count,), on), 4) + per_sample(uniform(-30, 30, (count,), on), 4)
    white = normal(tuple(hu.shape), on)
    soft = torch.tensor([0.4, 0.7, 0.7], device=hu.device).expand(count, 3)
    smooth = scaled(blurred(white, soft))
    noise = torch.where(per_sample(chance(0.5, count, on), 4), smooth, white)
    out = out + per_sample(strength(plan.noisy, plan.noise_hu), 4) * noise
    flat = torch.tensor([0.2, 0.5, 6.0], device=hu.device).expand(count, 3)
    streaks = scaled(blurred(white, flat))
    return out + per_sample(strength(plan.streaked, plan.streak_hu), 4) * streaks


def _inside(shape: torch.Size, share: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
    """Return the scanned part (N, D, H, W) of each sample: usually all of it."""
    count, depth = shape[0], shape[1]
    cut = np.where(rng.uniform(size=count) < share, (rng.uniform(0.05, 0.3, count) * depth).astype(int), 0)
    top = rng.uniform(size=count) < 0.5
    low, high = np.where(top, cut, 0), np.where(top, depth, depth - cut)
    k = np.arange(depth)[None]
    kept = (k >= low[:, None]) & (k < high[:, None])
    return _by_slice(torch.from_numpy(kept).to(device)).expand(shape)


def _softened(own: torch.Tensor, other: torch.Tensor, plan: FracturePlan) -> tuple[torch.Tensor, torch.Tensor]:
    sigma = tuple(plan.fracture.blur_mm / step for step in plan.fracture.spacing_mm)
    widths = torch.tensor(sigma, device=own.device).expand(len(own), 3)
    return blurred(own.float(), widths), blurred(other.float(), widths)


__all__ = ["HeldFractureTask", "HeldPerson", "draw_batch", "held"]
