"""Read a written result back and measure where it lies: nothing leaves that is not on the source.

This reads by pydicom and its own arithmetic, not by the library that wrote.
"""

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pydicom
from pydicom import Dataset

from cspine.dicom import LoadedSeries
from cspine.domain import Grid, RenderError
from cspine.report.place import LIMIT_MM


def check_segments(document: bytes, masks: np.ndarray, source: LoadedSeries) -> None:
    """Check that each frame of a SEG shows its segment, and lies on its slice.

    Parameters
    ----------
    masks
        (slice, row, column), the number of the segment or 0, on the grid of `source`.

    Raises
    ------
    RenderError
        A corner of a frame is further than `LIMIT_MM` from the source, or the voxels are not those that were meant.
    """
    dataset, grid = pydicom.dcmread(BytesIO(document)), source.volume.grid
    back = np.zeros_like(masks)
    for segment, corners_lps_mm, bits in _frames(dataset):
        index = grid.to_index(corners_lps_mm)
        k = int(np.clip(np.rint(index[0, 0]), 0, grid.shape[0] - 1))
        off = float(np.linalg.norm(corners_lps_mm - _corners(grid, k), axis=1).max())
        if off > LIMIT_MM:
            raise RenderError(f"SEG of {source.name}: a frame lies {off:.2f} mm off slice {k}; limit {LIMIT_MM} mm")
        back[k][bits] = segment
    if not np.array_equal(back, masks):
        wrong = int((back != masks).sum())
        raise RenderError(f"SEG of {source.name}: {wrong} voxels differ when read back; none may")


def _frames(dataset: Dataset) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield segment, corners (3, 3) in LPS mm (first pixel, last column, last row) and mask of each frame."""
    rows, columns, count = dataset.Rows, dataset.Columns, int(dataset.NumberOfFrames)
    flat = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")[: count * rows * columns]
    frames = flat.reshape(count, rows, columns).astype(bool)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        orientation = _first("PlaneOrientationSequence", group, shared).ImageOrientationPatient
        spacing = _first("PixelMeasuresSequence", group, shared).PixelSpacing
        position = np.array(_first("PlanePositionSequence", group, shared).ImagePositionPatient, dtype=np.float64)
        along_row, along_column = np.array(orientation[:3], float), np.array(orientation[3:], float)
        corners = np.stack([
            position,
            position + along_row * float(spacing[1]) * (columns - 1),
            position + along_column * float(spacing[0]) * (rows - 1),
        ])  # fmt: skip
        segment = _first("SegmentIdentificationSequence", group, shared).ReferencedSegmentNumber
        yield int(segment), corners, frame


def _first(keyword: str, group: Dataset, shared: Dataset) -> Dataset:
    found: Dataset = (group if keyword in group else shared)[keyword].value[0]
    return found


def _corners(grid: Grid, k: int) -> np.ndarray:
    _, rows, columns = grid.shape
    return grid.to_world(np.array([(k, 0, 0), (k, 0, columns - 1), (k, rows - 1, 0)]))
