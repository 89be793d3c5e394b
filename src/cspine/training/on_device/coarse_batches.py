"""Batches for the whole-volume network, drawn on the device: the samples of `coarse_samples`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
import torch

from cspine.domain import ConfigError
from cspine.pipeline import HEAT_CLASSES
from cspine.training.coarse_samples import (
    HEAT_SIGMA_MM,
    SUB,
    Centers,
    CoarsePlan,
    Field,
    centers_in_reach,
    draw_scanned,
    place_patch,
    seg_table,
)
from cspine.training.loop import Batch, LoopConfig
from cspine.training.on_device.ahead import Ahead
from cspine.training.on_device.appearance import heats, inside_boxes, normalized, scanned_hu
from cspine.training.on_device.filters import generator_of
from cspine.training.on_device.held_cases import Addresses, HeldCase, HeldCases, hold
from cspine.training.on_device.looks import Look, Shape, draw_look, looks_on, on_device
from cspine.training.tissue_cases import CODES, bone_of
from cspine.training.vertebra_tasks import CoarseTask
from cspine.training.warp import Placement

STREAM = 5
# Voxels so far away that heat there is none.
FAR = 1e6


@dataclass(frozen=True, eq=False)
class PatchDraw:
    """What is drawn for one patch.

    Attributes
    ----------
    pick
        Sub-voxel of each voxel that gives the voxel its class.
    scanned
        Box of voxels that the scan covers.
    centers
        Fractional voxel of every center that is asked for.
    """

    case: HeldCase
    place: Placement
    pick: Shape
    scanned: Field
    centers: Centers
    look: Look


@dataclass(frozen=True)
class HeldCoarseTask(CoarseTask):
    """The whole-volume network from tissue cases in the device's memory; real scans are not drawn there."""

    _ahead: Ahead[list[PatchDraw]] = field(default_factory=Ahead, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse real scans."""
        if self.real:
            raise ConfigError(f"{len(self.real)} real scans among the cases: they are drawn by CoarseTask only")

    def draw(self, number: int, config: LoopConfig, device: torch.device) -> Batch:
        """Return batch `number` on `device`."""
        held = hold(self.cases, "field", device)
        patches = self._ahead.get(partial(self.patches, held.cases), number, config)
        return patch_batch(patches, held, self.plan, generator_of(config.seed, STREAM, number, device))

    def patches(self, cases: Sequence[HeldCase], number: int, config: LoopConfig) -> list[PatchDraw]:
        """Draw the patches of a batch; they have one shape."""
        shape, rng = self.shape_of(number, config.seed), np.random.default_rng([config.seed, STREAM, number])
        return [draw_patch(cases[int(rng.integers(len(cases)))], shape, self.plan, rng) for _ in range(config.batch)]


def draw_patch(case: HeldCase, shape: Shape, plan: CoarsePlan, rng: np.random.Generator) -> PatchDraw:
    """Draw one patch, distributed as `draw_coarse` has it."""
    place = place_patch(case.grid, case.centers_lps_mm, shape, plan, rng)
    z, y, x = (int(rng.integers(n)) for n in SUB)
    scanned = draw_scanned(shape, rng)
    centers = centers_in_reach((case.grid, case.centers_lps_mm, place), scanned, plan.coarse)
    look = draw_look(shape, plan.coarse.spacing_mm, plan.native, rng)
    return PatchDraw(case, place, (z, y, x), scanned, centers, look)


def patch_batch(patches: Sequence[PatchDraw], held: HeldCases, plan: CoarsePlan, rng: torch.Generator) -> Batch:
    """Return the batch of some patches on the device of `held`: ct, classes (int64), heat, as `CoarseTask` has them."""
    device, shape = held.codes.device, patches[0].place.shape
    addresses = [patch.case.addresses(patch.place) for patch in patches]
    picked = [_every(each, patch.pick) for each, patch in zip(addresses, patches, strict=True)]
    looks = looks_on([patch.look for patch in patches], shape, device)
    inside = inside_boxes(on_device(np.array([patch.scanned for patch in patches]), device), shape)
    centers = on_device(_slots([patch.centers for patch in patches]), device)
    classes = _class_table(device)[held.take(picked).long()] * inside
    hu = scanned_hu(held.take(addresses), looks, SUB, rng)
    ct = normalized(torch.where(inside, hu, plan.intensity.pad_hu), plan.intensity)
    return {"ct": ct[:, None], "classes": classes[:, None], "heat": _heat(centers, plan, shape)}


def _every(addresses: Addresses, pick: Shape) -> Addresses:
    """Return the addresses of one sub-voxel of each voxel."""
    z, y, x = (axis[first::sub] for axis, first, sub in zip(addresses, pick, SUB, strict=True))
    return z, y, x


def _slots(centers: Sequence[Centers]) -> np.ndarray:
    """Return float32 (N, slots, 3): one slot per channel of its own, at least one for those that share the last."""
    own = len(HEAT_CLASSES) - 1
    shared = [[at for vertebra, at in each.items() if vertebra > own] for each in centers]
    slots = np.full((len(centers), own + max(1, *map(len, shared)), 3), FAR, dtype=np.float32)
    for sample, (each, others) in enumerate(zip(centers, shared, strict=True)):
        for vertebra, at in each.items():
            if vertebra <= own:
                slots[sample, int(vertebra) - 1] = at
        slots[sample, own : own + len(others)] = np.reshape(others, (-1, 3))
    return slots


def _heat(centers: torch.Tensor, plan: CoarsePlan, shape: Shape) -> torch.Tensor:
    z, y, x = (HEAT_SIGMA_MM / step for step in plan.coarse.spacing_mm)
    own = len(HEAT_CLASSES) - 1
    each = heats(centers, (z, y, x), shape)
    return torch.cat([each[:, :own], each[:, own:].amax(1, keepdim=True)], dim=1)


@lru_cache(maxsize=1)
def _class_table(device: torch.device) -> torch.Tensor:
    """Return int64 (256,): code → class of the coarse segmentation."""
    return on_device(seg_table()[bone_of(np.arange(CODES))].astype(np.int64), device)


__all__ = ["HeldCoarseTask", "PatchDraw", "draw_patch", "patch_batch"]
