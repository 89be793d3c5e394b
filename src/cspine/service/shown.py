"""What the viewer reads of a study: the volume, the levels and the fracture map as NIfTI, and their geometry as JSON.

The volume is stored as it was read, uncompressed: a browser takes it as it is, and a single slice of it can be cut out
without reading the rest. So can one of the levels, which are also stored as plain voxels of the box that holds them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets import nifti_bytes, plain_nifti_bytes
from cspine.dicom import LoadedSeries, write_atomically
from cspine.domain import CERVICAL, Analysis, AxisOrder, Box, Grid, InputError, NotFound
from cspine.service.windows import Window

VOLUME, LEVELS, HEAT, GEOMETRY = "volume.nii", "levels.nii.gz", "heat.nii.gz", "geometry.json"
LEVEL_VOXELS = "levels.raw"
HEADER_BYTES = 352
HEAT_FULL = 255


def keep_shown(folder: Path, loaded: LoadedSeries, analysis: Analysis) -> None:
    """Write what the viewer reads into a folder.

    Raises
    ------
    StoreError
        The disk is full or cannot be written.
    """
    volume, grid = loaded.volume, loaded.volume.grid
    write_atomically(folder / VOLUME, plain_nifti_bytes(grid, np.clip(np.rint(volume.hu), -32768, 32767).astype("<i2")))
    levels = np.where(analysis.labels.labels <= CERVICAL[-1], analysis.labels.labels, 0).astype(np.uint8)
    write_atomically(folder / LEVELS, nifti_bytes(analysis.labels.grid, levels))
    box = Box.of_mask(levels > 0) or Box((0, 0, 0), (1, 1, 1))
    write_atomically(folder / LEVEL_VOXELS, levels[box.slices].tobytes())
    heat = analysis.fracture_map
    if heat is not None:
        scaled = np.rint(np.clip(heat.hu, 0, 1) * HEAT_FULL).astype(np.uint8)
        write_atomically(folder / HEAT, nifti_bytes(heat.grid, scaled))
    numbers = [one.instance_number for one in loaded.slices] or [None] * grid.shape[0]
    document = {"shape": grid.shape, "affine": grid.affine.tolist(), "heat": heat is not None}
    document |= {"instance_numbers": numbers, "levels_box": [box.start_zyx, box.stop_zyx]}
    write_atomically(folder / GEOMETRY, json.dumps(document | _canonical(grid)).encode())


def _canonical(grid: Grid) -> dict[str, Any]:
    """Return the geometry of the plain slice view: axial, from the head down."""
    turned = grid.canonical()
    return {"canonical_shape": turned.shape, "canonical_affine": turned.affine.tolist()}


@dataclass(frozen=True)
class ShownVolume:
    """The stored volume of a study, opened without being read."""

    grid: Grid
    hu: np.ndarray
    levels_box: Box

    @classmethod
    def open(cls, folder: Path) -> "ShownVolume":
        """Open what `keep_shown` has written.

        Raises
        ------
        NotFound
            It is not there.
        """
        try:
            geometry = json.loads((folder / GEOMETRY).read_text("utf-8"))
            grid = Grid(tuple(geometry["shape"]), np.array(geometry["affine"]))
            start, stop = geometry.get("levels_box", ((0, 0, 0), (1, 1, 1)))  # older results have none
            hu = np.memmap(folder / VOLUME, "<i2", "r", HEADER_BYTES, grid.shape)
            return cls(grid, hu, Box(tuple(start), tuple(stop)))
        except OSError as error:
            raise NotFound("the images of this study are not there; they may have been removed") from error

    @property
    def order(self) -> AxisOrder:
        """How the stored axes become canonical: axial, head first."""
        return self.grid.canonical_order()

    def slice_gray(self, number: int, window: Window) -> np.ndarray:
        """Return one canonical axial slice as 8-bit gray, (row, column).

        Raises
        ------
        InputError
            There is no slice of that number.
        """
        self.stored_index(number)
        turned = self.order.apply(self.hu)
        low, high = window.low_hu, window.high_hu
        scaled = (np.clip(turned[number].astype(np.float32), low, high) - low) * (255 / (high - low))
        gray: np.ndarray = np.rint(scaled).astype(np.uint8)
        return gray

    def stored_index(self, number: int) -> int:
        """Return where a canonical slice lies along its stored axis; raises `InputError` where there is none."""
        depth = self.grid.shape[self.order.order[0]]
        if not 0 <= number < depth:
            raise InputError(f"slice {number} of {depth}: numbers are 0 … {depth - 1}")
        return depth - 1 - number if self.order.flips[0] else number


def level_outlines(folder: Path, number: int) -> np.ndarray:
    """Return the levels of one canonical axial slice, (row, column) uint8; raises as `ShownVolume`."""
    shown = ShownVolume.open(folder)
    axis, index, box = shown.order.order[0], shown.stored_index(number), shown.levels_box
    plane = np.zeros([1 if k == axis else length for k, length in enumerate(shown.grid.shape)], np.uint8)
    if box.start_zyx[axis] <= index < box.stop_zyx[axis]:
        extent = tuple(np.subtract(box.stop_zyx, box.start_zyx))
        try:
            voxels = np.memmap(folder / LEVEL_VOXELS, np.uint8, "r", shape=extent)
        except OSError as error:
            raise NotFound("the levels of this study are not there") from error
        within = tuple(slice(0, 1) if k == axis else part for k, part in enumerate(box.slices))
        plane[within] = voxels.take([index - box.start_zyx[axis]], axis)
    chosen: np.ndarray = shown.order.apply(plane)[0]
    return chosen
