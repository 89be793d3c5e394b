"""The training of the fracture stage as a task of the loop: crops of phantoms, turned and degraded at random."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from monai.losses import DiceLoss
from scipy import ndimage
from torch import nn
from torch.nn import functional

from cspine.domain import Vertebra
from cspine.pipeline import FractureSpec, IntensitySpec, fracture_channels
from cspine.training.fracture_cases import (
    LABEL_BITS,
    MIMICS,
    OTHER_FRACTURE,
    OWN_FRACTURE,
    TWIN_FRACTURE,
    TYPES,
    CropFile,
    load_crops,
)
from cspine.training.fracture_net import WIDTHS, FractureNet
from cspine.training.loop import Batch
from cspine.training.warp import rotation

MAP_POSITIVE, NOTHING, PAD_HU = 5.0, -20.0, -1000.0
TYPE_SHARE, MIMIC_SHARE = 0.3, 0.3
MOTION = "image artifact"
BONE_HU = 150.0


@dataclass(frozen=True)
class FracturePlan:
    """How a stored crop becomes a sample.

    Attributes
    ----------
    shape
        Part of the crop that is trained on, multiples of (8, 16, 16); smaller than the whole, to save time.
    aimed
        Whether the part lies round a voxel of a fracture, in a twin where it would be, or else of the vertebra;
        otherwise round the middle.
    miss
        Most voxels, along each axis, between such a voxel and the middle of its part.
    positive
        Share of samples with a fracture of their own vertebra.
    twins
        Share of the others that are unbroken twins.
    turned, turn_deg, scale, aspect
        Share of samples that are turned and scaled; most degrees about each axis, most scale, and most that one axis
        is scaled more than another.
    moving, moving_mm
        Share of samples whose person moves once during the scan, and how far at most.
    noisy, noise_hu, blurred, blur_mm, thick, thick_mm, streaked, streak_hu
        Share of samples with more noise, blur in the plane, thick slices, streaks from side to side (shoulders), and
        how much at most.
    denser
        Most that everything above `BONE_HU` is denser or thinner, as a share.
    cut
        Share of samples that the end of the scan cuts.
    """

    shape: tuple[int, int, int] = (40, 80, 96)
    aimed: bool = False
    miss: tuple[int, int, int] = (8, 16, 16)
    positive: float = 0.5
    twins: float = 0.5
    turned: float = 0.6
    turn_deg: float = 12.0
    scale: float = 0.1
    aspect: float = 0.0
    moving: float = 0.1
    moving_mm: float = 3.0
    noisy: float = 0.4
    noise_hu: float = 45.0
    blurred: float = 0.25
    blur_mm: float = 0.8
    thick: float = 0.2
    thick_mm: float = 1.2
    streaked: float = 0.0
    streak_hu: float = 60.0
    denser: float = 0.0
    cut: float = 0.06
    intensity: IntensitySpec = field(default_factory=IntensitySpec)
    fracture: FractureSpec = field(default_factory=FractureSpec)


@dataclass(frozen=True)
class FractureTask:
    """The fracture network from stored crops."""

    cases: tuple[Path, ...]
    plan: FracturePlan = field(default_factory=FracturePlan)
    widths: tuple[int, int, int, int] = WIDTHS
    _overlap: DiceLoss = field(default_factory=lambda: DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0))

    @property
    def input_name(self) -> str:
        """The crop with its masks."""
        return "crop"

    def network(self) -> FractureNet:
        """Return a fresh network."""
        return FractureNet(len(TYPES) + len(MIMICS), self.widths)

    def sample(self, number: int, batch_number: int, seed: int) -> Batch:
        """Return sample `number`."""
        rng = np.random.default_rng([seed, 4, number])
        [(person, crop)] = draw_crops(self.cases, self.plan, 1, rng)
        return draw_sample(_opened(self.cases[person]), crop, self.plan, rng)

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return Dice and cross entropy of the map, cross entropy of fracture, type and mimic."""
        broken, heads = network(batch["crop"])
        weight = torch.tensor(MAP_POSITIVE, device=broken.device)
        types = heads[:, 1 : 1 + len(TYPES)]
        sure = batch["weight"]
        fractured = batch["fractured"]
        told, mapped = batch["told"], batch["mapped"][:, None, None, None, None]
        named = _entropy(types, batch["types"]).mean(1) * fractured * sure * told
        # Where nobody drew the fractures, the map may say what it likes.
        shown = torch.where(mapped > 0, broken, broken.new_tensor(NOTHING))
        return {
            "dice": self._overlap(shown, batch["map"]),
            "map": 10 * functional.binary_cross_entropy_with_logits(shown, batch["map"], pos_weight=weight),
            "fracture": (_entropy(heads[:, 0], fractured) * sure).mean(),
            "type": TYPE_SHARE * 10 * named.mean(),
            "mimic": MIMIC_SHARE * (_entropy(heads[:, 1 + len(TYPES) :], batch["mimics"]).mean(1) * told).mean(),
        }


def _entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def draw_crops(
    cases: tuple[Path, ...], plan: FracturePlan, count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Return the persons and crops of `count` samples."""
    positives, negatives, twins = _index(cases)
    chosen = []
    for _ in range(count):
        pool = positives if rng.uniform() < plan.positive else negatives
        if pool is negatives and plan.twins and len(twins) and rng.uniform() < plan.twins:
            pool = twins
        person, crop = pool[int(rng.integers(len(pool)))]
        chosen.append((int(person), int(crop)))
    return chosen


@lru_cache(maxsize=2)
def _index(cases: tuple[Path, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (person, crop) of every crop with a fracture of its own vertebra, of every other, and of twins."""
    pairs: tuple[list[tuple[int, int]], ...] = ([], [], [])
    for person, folder in enumerate(cases):
        crops = _opened(folder)
        for crop, (fractured, twin) in enumerate(zip(crops.fractured, crops.twin, strict=True)):
            pairs[0 if fractured else 1].append((person, crop))
            if twin:
                pairs[2].append((person, crop))
    return np.array(pairs[0]), np.array(pairs[1]), np.array(pairs[2])


@lru_cache(maxsize=4096)
def _opened(folder: Path) -> CropFile:
    return load_crops(folder)


def draw_sample(crops: CropFile, number: int, plan: FracturePlan, rng: np.random.Generator) -> Batch:
    """Return one sample of a stored crop: input (3, D, H, W) and its targets."""
    vertebra = Vertebra(int(crops.vertebra[number]))
    stored = np.asarray(crops.codes[number])
    middle = _middle(stored, vertebra, plan, rng)
    hu, codes = _moved(crops.hu[number], stored, middle, plan, rng)
    mimics = crops.mimics[number].astype(np.float32)
    if plan.moving and rng.uniform() < plan.moving:
        hu, codes = _stepped(hu, codes, plan, rng)
        mimics[MIMICS.index(MOTION)] = 1.0
    labels = codes & LABEL_BITS
    own = _as_outlined(labels == vertebra, vertebra, rng)
    other = (labels > 0) & (labels != vertebra)
    hu = _degraded(hu, plan, rng)
    inside = _inside(hu.shape, plan.cut, rng)
    hu[~inside] = plan.intensity.pad_hu
    crop = fracture_channels(hu, own & inside, other & inside, plan.intensity, plan.fracture)
    broken = (codes & (OWN_FRACTURE | OTHER_FRACTURE)) > 0
    whole = np.count_nonzero(stored & OWN_FRACTURE)
    kept = np.count_nonzero((codes & OWN_FRACTURE > 0) & inside)
    fractured = bool(crops.fractured[number])
    mapped = bool(crops.mapped[number])
    # Where the cut took most of the fracture away, nobody knows the answer.
    sure = not fractured or (kept > 0.5 * whole * plan_scale(plan) if mapped else bool(inside.all()))
    return {
        "crop": torch.from_numpy(np.ascontiguousarray(crop)),
        "map": torch.from_numpy(_blocked(broken & inside & mapped, plan.fracture.map_block)[None]),
        "mapped": torch.tensor(float(mapped)),
        "told": torch.tensor(float(crops.told[number])),
        "fractured": torch.tensor(float(fractured)),
        "weight": torch.tensor(float(sure)),
        "types": torch.from_numpy(crops.types[number].astype(np.float32)),
        "mimics": torch.from_numpy(mimics),
    }


def plan_scale(plan: FracturePlan) -> float:
    """Return the smallest share of a fracture's voxels that scaling leaves."""
    return float(((1 - plan.scale) * (1 - plan.aspect)) ** 3)


def _moved(
    hu: np.ndarray, codes: np.ndarray, middle: np.ndarray, plan: FracturePlan, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a part of `plan.shape` out of a crop, mirrored and turned at random; HU float32, codes as they are."""
    half = (np.array(plan.shape) - 1) / 2
    is_turned, matrix = matrix_of(plan, rng)
    if is_turned:
        reach = np.abs(matrix) @ half + 1
        part, first = _part(middle - reach, middle + reach, hu.shape)
        offset = middle - first - matrix @ half
        turned = ndimage.affine_transform(hu[part].astype(np.float32), matrix, offset, plan.shape, order=1, cval=PAD_HU)
        return turned, ndimage.affine_transform(codes[part], matrix, offset, plan.shape, order=0)
    start = np.rint(middle - half)
    part, _ = _part(start, start + 2 * half, hu.shape)
    step = int(matrix[2, 2])
    return hu[part][..., ::step].astype(np.float32), np.ascontiguousarray(codes[part][..., ::step])


def matrix_of(plan: FracturePlan, rng: np.random.Generator) -> tuple[bool, np.ndarray]:
    """Return whether a sample is turned, and the matrix (3, 3) from its voxels to those of its crop."""
    mirrored = np.diag([1.0, 1.0, -1.0 if rng.uniform() < 0.5 else 1.0])
    if rng.uniform() >= plan.turned:
        return False, mirrored
    spacing = np.array(plan.fracture.spacing_mm)
    turn = rotation(np.radians(rng.uniform(-plan.turn_deg, plan.turn_deg, 3)))
    scale = rng.uniform(1 - plan.scale, 1 + plan.scale) * (1 + rng.uniform(-1, 1, 3) * plan.aspect)
    return True, np.diag(1 / spacing / scale) @ turn @ np.diag(spacing) @ mirrored


def _stepped(
    hu: np.ndarray, codes: np.ndarray, plan: FracturePlan, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Move all slices below one by whole pixels: the person has moved, nothing is broken."""
    row_mm, column_mm = plan.fracture.spacing_mm[1:]
    way, far = rng.uniform(0, 2 * np.pi), rng.uniform(min(row_mm, plan.moving_mm), plan.moving_mm)
    step = (0, round(far * np.sin(way) / row_mm), round(far * np.cos(way) / column_mm))
    below = np.s_[int(rng.integers(1, len(hu))) :]
    moved = [array.copy() for array in (hu, codes)]
    for array in moved:
        array[below] = ndimage.shift(array[below], step, order=0, mode="nearest")
    return moved[0], moved[1]


def _part(low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return the voxels from `low` to `high`, both held, as far as there are any, and the first one's index."""
    first = np.maximum(np.floor(low), 0).astype(int)
    last = np.minimum(np.ceil(high), np.array(shape) - 1).astype(int)
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True)), first


def _middle(codes: np.ndarray, vertebra: Vertebra, plan: FracturePlan, rng: np.random.Generator) -> np.ndarray:
    """Return the voxel of a crop that the middle of a sample falls on."""
    size = np.array(codes.shape)
    if not plan.aimed:
        return unaimed(size, plan, rng)
    aims = np.flatnonzero(codes & (OWN_FRACTURE | TWIN_FRACTURE))
    if not len(aims):
        aims = np.flatnonzero((codes & LABEL_BITS) == vertebra)
    if not len(aims):
        return np.asarray((size - 1) / 2)
    aim = np.array(np.unravel_index(int(aims[rng.integers(len(aims))]), codes.shape))
    return aimed(np.array(aim), size, plan, rng)


def unaimed(size: np.ndarray, plan: FracturePlan, rng: np.random.Generator) -> np.ndarray:
    """Return a voxel near the middle of a crop of this size."""
    return np.asarray((size - 1) / 2 + rng.uniform(-0.5, 0.5, 3) * np.maximum(size - np.array(plan.shape), 0) / 2)


def aimed(aim: np.ndarray, size: np.ndarray, plan: FracturePlan, rng: np.random.Generator) -> np.ndarray:
    """Return a voxel near an aim, so that the part round it lies within the crop."""
    half = (np.array(plan.shape) - 1) / 2
    return np.asarray(np.clip(aim + rng.uniform(-1, 1, 3) * np.array(plan.miss), half, size - 1 - half))


def _as_outlined(mask: np.ndarray, vertebra: Vertebra, rng: np.random.Generator) -> np.ndarray:
    """Return a mask with the errors of the vertebra stage: smooth, a little large or small, the dens missing."""
    soft = ndimage.gaussian_filter(mask.astype(np.float32), rng.uniform(0.6, 1.6), truncate=2.0)
    found = soft > rng.uniform(0.3, 0.65)
    if vertebra is Vertebra.C2 and rng.uniform() < 0.4:
        rows = np.flatnonzero(found.any(axis=(1, 2)))
        if len(rows):
            found[: rows[0] + int(rng.uniform(0.1, 0.5) * len(rows))] = False
    return np.asarray(found)


def _degraded(hu: np.ndarray, plan: FracturePlan, rng: np.random.Generator) -> np.ndarray:
    spacing = plan.fracture.spacing_mm
    if rng.uniform() < plan.blurred:
        sigma = rng.uniform(0, plan.blur_mm)
        hu = np.asarray(ndimage.gaussian_filter(hu, (0, sigma / spacing[1], sigma / spacing[2]), truncate=2.5))
    if rng.uniform() < plan.thick:
        hu = np.asarray(ndimage.gaussian_filter1d(hu, rng.uniform(0, plan.thick_mm) / spacing[0], axis=0, truncate=2.5))
    if plan.denser:
        hu = hu + np.float32(rng.uniform(-plan.denser, plan.denser)) * np.maximum(hu - np.float32(BONE_HU), 0)
    out = hu * np.float32(rng.uniform(0.9, 1.12)) + np.float32(rng.uniform(-30, 30))
    if rng.uniform() < plan.noisy:
        noise = rng.standard_normal(hu.shape, dtype=np.float32)
        if rng.uniform() < 0.5:
            smooth = np.asarray(ndimage.gaussian_filter(noise, (0.4, 0.7, 0.7), truncate=2.0), dtype=np.float32)
            noise = np.asarray(smooth / smooth.std(), dtype=np.float32)
        out = out + np.float32(rng.uniform(0, plan.noise_hu)) * noise
    if rng.uniform() < plan.streaked:
        noise = rng.standard_normal(hu.shape, dtype=np.float32)
        streaks = np.asarray(ndimage.gaussian_filter(noise, (0.2, 0.5, 6.0), truncate=2.5), dtype=np.float32)
        out = out + np.float32(rng.uniform(0, plan.streak_hu) / streaks.std()) * streaks
    return np.asarray(out, dtype=np.float32)


def _inside(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the scanned part of a crop: usually all of it."""
    inside = np.ones(shape, dtype=bool)
    if rng.uniform() < share:
        cut = int(rng.uniform(0.05, 0.3) * shape[0])
        inside[slice(0, cut) if rng.uniform() < 0.5 else slice(shape[0] - cut, None)] = False
    return inside


def _blocked(mask: np.ndarray, block: tuple[int, int, int]) -> np.ndarray:
    """Return float32 1 in every block of voxels that holds a true one."""
    d, h, w = (n // b for n, b in zip(mask.shape, block, strict=True))
    split = mask.reshape(d, block[0], h, block[1], w, block[2])
    return np.asarray(split.any(axis=(1, 3, 5)), dtype=np.float32)


__all__ = [
    "FracturePlan",
    "FractureTask",
    "aimed",
    "draw_crops",
    "draw_sample",
    "matrix_of",
    "plan_scale",
    "unaimed",
]
