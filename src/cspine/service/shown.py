"""What the viewer reads of a study: the volume, the levels and the fracture map as NIfTI, and their geometry as JSON.

The volume is stored as it was read, uncompressed: a browser takes it as it is, and a single slice of it can be cut out
without reading the rest.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets import nifti_bytes, plain_nifti_bytes
from cspine.dicom import LoadedSeries, write_atomically
from cspine.domain import CERVICAL, Analysis, AxisOrder, Grid, InputError, NotFound
from cspine.service.windows import Window

VOLUME, LEVELS, HEAT, GEOMETRY = "volume.nii", "levels.nii.gz", "heat.nii.gz", "geometry.json"
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
    heat = analysis.fracture_map
    if heat is not None:
        scaled = np.rint(np.clip(heat.hu, 0, 1) * HEAT_FULL).astype(np.uint8)
        write_atomically(folder / HEAT, nifti_bytes(heat.grid, scaled))
    numbers = [one.instance_number for one in loaded.slices] or [None] * grid.shape[0]
    document = {"shape": grid.shape, "affine": grid.affine.tolist(), "heat": heat is not None}
    document |= {"instance_numbers": numbers}
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
            return cls(grid, np.memmap(folder / VOLUME, "<i2", "r", HEADER_BYTES, grid.shape))
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
        turned = self.order.apply(self.hu)
        if not 0 <= number < len(turned):
            raise InputError(f"slice {number} of {len(turned)}: numbers are 0 … {len(turned) - 1}")
        low, high = window.low_hu, window.high_hu
        scaled = (np.clip(turned[number].astype(np.float32), low, high) - low) * (255 / (high - low))
        gray: np.ndarray = np.rint(scaled).astype(np.uint8)
        return gray


def level_outlines(folder: Path, number: int) -> np.ndarray:
    """Return the levels of one canonical axial slice, (row, column) uint8; raises as `ShownVolume`."""
    shown = ShownVolume.open(folder)
    try:
        voxels = gzip.decompress((folder / LEVELS).read_bytes())[HEADER_BYTES:]
    except OSError as error:
        raise NotFound("the levels of this study are not there") from error
    labels = np.frombuffer(voxels, np.uint8).reshape(shown.grid.shape)
    turned = shown.order.apply(labels)
    if not 0 <= number < len(turned):
        raise InputError(f"slice {number} of {len(turned)}: numbers are 0 … {len(turned) - 1}")
    chosen: np.ndarray = turned[number]
    return chosen
