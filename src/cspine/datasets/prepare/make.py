"""One study pre-processed by `pipeline`'s functions alone: coarse volume, a crop and a stack of slices per vertebra."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cspine.datasets.labeled_study import LabeledStudy
from cspine.datasets.prepare.vertebrae import Found
from cspine.domain import CERVICAL, ConfigError, Grid, LabelMap, Volume, resample_labels
from cspine.pipeline import (
    PipelineSpec,
    SliceSpec,
    coarse_grid,
    coarse_input,
    prompt,
    refine_grid,
    refine_input,
    slice_grid,
    slice_input,
)

PARTS = ("volumes", "crops", "slices")
PREPARE_VERSION = 1
# Of the zip container and of what is not voxels, per study.
OVERHEAD_BYTES = 16_384
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class PreparePlan:
    """What is made of each study.

    Attributes
    ----------
    parts
        Some of `PARTS`.
    pipeline
        Of the bundle that will be trained; its parameters are part of every entry's name.
    found_by
        What gives the vertebrae, in words: a bundle's id, or ``"mask"``.
    """

    parts: tuple[str, ...] = PARTS
    pipeline: PipelineSpec = field(default_factory=PipelineSpec)
    slices: SliceSpec = field(default_factory=SliceSpec)
    found_by: str = "mask"

    def __post_init__(self) -> None:
        odd = [part for part in self.parts if part not in PARTS]
        if odd or not self.parts:
            raise ConfigError(f"unknown part {', '.join(odd) or '(none)'}; known are {', '.join(PARTS)}")
        if not 1 <= self.slices.count <= 256 or not 16 <= self.slices.size_px <= 1024:
            raise ConfigError(
                f"{self.slices.count} slices of {self.slices.size_px} pixels; 1 … 256 of 16 … 1024 are made"
            )
        if not 0.1 <= self.slices.pixel_mm <= 5:
            raise ConfigError(f"pixel_mm is {self.slices.pixel_mm:g}, must be 0.1 … 5")

    @property
    def values(self) -> dict[str, Any]:
        """As plain JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self) | {"version": PREPARE_VERSION}))
        return values


def content_key(study: LabeledStudy, plan: PreparePlan) -> str:
    """Return the name of an entry: a hash of voxels, geometry, mask, boxes and plan, and of nothing else."""
    digest = hashlib.sha256(json.dumps(plan.values, sort_keys=True).encode())
    digest.update(study.volume.grid.affine.tobytes() + np.ascontiguousarray(study.volume.hu).tobytes())
    if study.labels is not None:
        digest.update(np.ascontiguousarray(study.labels.labels).tobytes())
    digest.update(json.dumps([[*b.box.start_zyx, *b.box.stop_zyx] for b in study.boxes]).encode())
    return digest.hexdigest()


def make_entry(
    study: LabeledStudy, found: tuple[Found, ...], labels: LabelMap | None, plan: PreparePlan, threads: int = 1
) -> Arrays:
    """Return the arrays of an entry.

    Parameters
    ----------
    labels
        On the study's grid; ``None`` leaves the masks out.
    """
    spec, volume = plan.pipeline, study.volume
    arrays: Arrays = {"boxes_lps_mm": _boxes(study), "box_levels": _box_levels(study)}
    arrays["levels"] = np.array([int(f.vertebra) for f in found], np.uint8)
    arrays["centers_lps_mm"] = np.array([f.center_lps_mm for f in found], np.float64).reshape(-1, 3)
    if "volumes" in plan.parts:
        ct, grid = coarse_input(volume, spec.intensity, spec.coarse, threads)
        arrays |= {"coarse": ct[0, 0].astype(np.float16), "coarse_affine": grid.affine}
        if labels is not None:
            arrays["coarse_mask"] = resample_labels(labels.labels, labels.grid, grid)
    if "crops" in plan.parts:
        arrays |= _crops(volume, found, labels, plan)
    if "slices" in plan.parts:
        arrays |= _slices(volume, found, labels, plan)
    return arrays


def entry_bytes(grid: Grid, plan: PreparePlan, levels: int = len(CERVICAL), *, masked: bool = True) -> int:
    """Return the size of the entry of a study on a canonical grid, at most.

    Parameters
    ----------
    levels
        Vertebrae that are expected.
    """
    voxel = 3 if masked else 2  # float16, and a label
    total = OVERHEAD_BYTES
    if "volumes" in plan.parts:
        total += voxel * int(np.prod(coarse_grid(grid, plan.pipeline.coarse).shape))
    if "crops" in plan.parts:
        total += levels * (voxel + 1) * int(np.prod(plan.pipeline.refine.shape))
    if "slices" in plan.parts:
        total += levels * voxel * plan.slices.count * plan.slices.size_px**2
    return total


def _crops(volume: Volume, found: tuple[Found, ...], labels: LabelMap | None, plan: PreparePlan) -> Arrays:
    """Return CT and field channel of each crop; prompt and level follow from the plan (`PreparedVertebra.crop`)."""
    spec = plan.pipeline
    gauss = prompt(spec.refine)
    grids = [refine_grid(np.array(f.center_lps_mm), volume.grid, spec.refine) for f in found]
    full = [refine_input(volume, g, int(f.vertebra), spec.intensity, gauss) for g, f in zip(grids, found, strict=True)]
    shape = (0, *spec.refine.shape)
    arrays: Arrays = {
        "crop_ct": np.stack([crop[0] for crop in full]).astype(np.float16) if full else np.zeros(shape, np.float16),
        "crop_inside": np.stack([crop[3] for crop in full]).astype(np.uint8) if full else np.zeros(shape, np.uint8),
        "crop_affines": np.array([grid.affine for grid in grids]).reshape(-1, 4, 4),
    }
    return arrays | _masks("crop_mask", grids, labels)


def _slices(volume: Volume, found: tuple[Found, ...], labels: LabelMap | None, plan: PreparePlan) -> Arrays:
    grids = [slice_grid(np.array(f.center_lps_mm), f.heights_mm, volume.grid, plan.slices) for f in found]
    stacks = [slice_input(volume, grid, plan.pipeline.intensity) for grid in grids]
    shape = (0, plan.slices.count, plan.slices.size_px, plan.slices.size_px)
    arrays: Arrays = {
        "slice_ct": np.stack(stacks).astype(np.float16) if stacks else np.zeros(shape, np.float16),
        "slice_affines": np.array([grid.affine for grid in grids]).reshape(-1, 4, 4),
    }
    return arrays | _masks("slice_mask", grids, labels)


def _masks(name: str, grids: list[Grid], labels: LabelMap | None) -> Arrays:
    if labels is None or not grids:
        return {}
    return {name: np.stack([resample_labels(labels.labels, labels.grid, grid) for grid in grids])}


def _boxes(study: LabeledStudy) -> np.ndarray:
    """Return (boxes, 2, 3): minimum and maximum x, y, z of each box, one slice thick."""
    worlds = [study.volume.grid.box_to_world(placed.box) for placed in study.boxes]
    return np.array([[w.min_lps_mm, w.max_lps_mm] for w in worlds], np.float64).reshape(-1, 2, 3)


def _box_levels(study: LabeledStudy) -> np.ndarray:
    """Return uint8 (boxes,): the label of each box, 0 where it is not known."""
    return np.array([int(placed.level or 0) for placed in study.boxes], np.uint8)
