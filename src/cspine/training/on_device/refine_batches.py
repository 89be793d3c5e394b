"""Batches for the per-vertebra network, drawn on the device: the samples of `refine_samples`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
import torch

from cspine.domain import Vertebra
from cspine.pipeline import RefineSpec, level_code, prompt
from cspine.training.coarse_samples import Field
from cspine.training.loop import Batch, LoopConfig
from cspine.training.on_device.ahead import Ahead
from cspine.training.on_device.appearance import block_means, heats, inside_boxes, normalized, scanned_hu
from cspine.training.on_device.filters import generator_of
from cspine.training.on_device.held_cases import HeldCase, HeldCases, hold
from cspine.training.on_device.looks import Look, draw_look, looks_on, on_device
from cspine.training.refine_samples import CENTER_SIGMA_MM, SUB, RefinePlan, choose_vertebra, draw_scanned, place_crop
from cspine.training.tissue_cases import BONE_BASE
from cspine.training.vertebra_tasks import RefineTask
from cspine.training.warp import Placement

STREAM = 6


@dataclass(frozen=True, eq=False)
class CropDraw:
    """What is drawn for one crop.

    Attributes
    ----------
    scanned
        Box of voxels that the scan covers.
    center
        Fractional voxel of the vertebra's center.
    """

    case: HeldCase
    vertebra: Vertebra
    place: Placement
    scanned: Field
    center: np.ndarray
    look: Look


@dataclass(frozen=True)
class HeldRefineTask(RefineTask):
    """The per-vertebra network from tissue cases in the device's memory."""

    _ahead: Ahead[list[CropDraw]] = field(default_factory=Ahead, repr=False, compare=False)

    def draw(self, number: int, config: LoopConfig, device: torch.device) -> Batch:
        """Return batch `number` on `device`."""
        held = hold(self.cases, "spine", device)
        crops = self._ahead.get(partial(self.crops, held.cases), number, config)
        return crop_batch(crops, held, self.plan, generator_of(config.seed, STREAM, number, device))

    def crops(self, cases: Sequence[HeldCase], number: int, config: LoopConfig) -> list[CropDraw]:
        """Draw the crops of a batch."""
        rng = np.random.default_rng([config.seed, STREAM, number])
        return [draw_crop(cases[int(rng.integers(len(cases)))], self.plan, rng) for _ in range(config.batch)]


def draw_crop(case: HeldCase, plan: RefinePlan, rng: np.random.Generator) -> CropDraw:
    """Draw one crop, distributed as `draw_refine` has it."""
    vertebra = choose_vertebra(case.centers_lps_mm, plan, rng)
    spec, center_lps_mm = plan.refine, case.centers_lps_mm[vertebra]
    place = place_crop(case.grid, center_lps_mm, plan, rng)
    scanned = draw_scanned(spec.shape, rng)
    look = draw_look(spec.shape, (spec.spacing_mm,) * 3, plan.native, rng)
    return CropDraw(case, vertebra, place, scanned, place.to_sample(case.grid.to_index(center_lps_mm)), look)


def crop_batch(crops: Sequence[CropDraw], held: HeldCases, plan: RefinePlan, rng: torch.Generator) -> Batch:
    """Return the batch of some crops on the device of `held`: crop and target, as `RefineTask` has them."""
    device, spec = held.codes.device, plan.refine
    looks = looks_on([crop.look for crop in crops], spec.shape, device)
    inside = inside_boxes(on_device(np.array([crop.scanned for crop in crops]), device), spec.shape)
    centers = on_device(np.array([crop.center for crop in crops], dtype=np.float32), device)
    bones = on_device(np.array([int(crop.vertebra) for crop in crops], dtype=np.uint8), device)[:, None, None, None]
    levels = on_device(np.array([level_code(int(crop.vertebra)) for crop in crops]), device)[:, None, None, None]
    codes = held.take([crop.case.addresses(crop.place) for crop in crops])
    mask = block_means(((codes >= BONE_BASE + 4 * bones) & (codes < BONE_BASE + 4 * bones + 4)).float(), SUB)
    hu = scanned_hu(codes, looks, SUB, rng)
    ct = normalized(torch.where(inside, hu, plan.intensity.pad_hu), plan.intensity)
    gauss = _prompt(spec, device)
    channels = [ct, gauss.expand_as(ct), levels.expand_as(ct), inside.float()]
    heat = heats(centers, (CENTER_SIGMA_MM / spec.spacing_mm,) * 3, spec.shape)
    return {"crop": torch.stack(channels, dim=1), "target": torch.stack([mask, heat], dim=1)}


@lru_cache(maxsize=1)
def _prompt(spec: RefineSpec, device: torch.device) -> torch.Tensor:
    return on_device(prompt(spec), device)


__all__ = ["CropDraw", "HeldRefineTask", "crop_batch", "draw_crop"]
