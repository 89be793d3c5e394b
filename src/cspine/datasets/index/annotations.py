"""Boxes and masks beside the slices that they speak of: what lies outside, and what does not fit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pyarrow as pa
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from cspine.datasets.index.csvfiles import BOXES_CSV, BoxRow, Complain
from cspine.datasets.index.schema import BOX_FIELDS, UID, Problem, ProblemKind

MASKS = "segmentations"
SUFFIXES = (".nii", ".nii.gz")
# Written affines are single precision, and some are rounded.
SPACING_TOLERANCE = 0.02
# In voxels of the mask along each axis; annotators' programs put the corner half a voxel elsewhere.
PLACE_TOLERANCE = 1.0
_NIFTI_ERRORS = (ImageFileError, HeaderDataError, WrapStructError, OSError, ValueError, EOFError)
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def masks_of(root: Path) -> dict[str, Path]:
    """Return the mask file of each study that has one."""
    found: dict[str, Path] = {}
    folder = root / MASKS
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        suffix = next((end for end in reversed(SUFFIXES) if path.name.endswith(end)), None)
        if suffix is not None:
            found.setdefault(path.name[: -len(suffix)], path)
    return found


def placed_boxes(boxes: list[BoxRow], table: pa.Table, complain: Complain) -> list[BoxRow]:
    """Return the boxes of a study that lie in an image of it; those that reach outside are cut at the border."""
    if not boxes:
        return []
    numbers = table["slice_number"].to_pylist()
    shapes = dict(zip(numbers, zip(table["Rows"].to_pylist(), table["Columns"].to_pylist(), strict=True), strict=True))
    return [kept for box in boxes if (kept := _placed(box, shapes, complain)) is not None]


def _placed(box: BoxRow, shapes: dict[int | None, tuple[int, int]], complain: Complain) -> BoxRow | None:
    def say(value: str, message: str) -> None:
        complain(Problem(ProblemKind.BOX, BOXES_CSV, message, box.csv_row, value, box.study))

    if box.slice_number not in shapes:
        say(str(box.slice_number), f"slice {box.slice_number} is not there; the box is left out")
        return None
    rows, columns = shapes[box.slice_number]
    low = max(0.0, box.x), max(0.0, box.y)
    high = min(float(columns), box.x + box.width), min(float(rows), box.y + box.height)
    corners = f"x {box.x:g}, y {box.y:g}, width {box.width:g}, height {box.height:g}"
    if box.width <= 0 or box.height <= 0:
        say(corners, f"the box ({corners}) is empty; it is left out")
        return None
    if high[0] <= low[0] or high[1] <= low[1]:
        say(corners, f"the box ({corners}) lies outside the image of {columns} × {rows} pixels; it is left out")
        return None
    kept = BoxRow(box.study, *low, high[0] - low[0], high[1] - low[1], box.slice_number, box.csv_row)
    if (kept.x, kept.y, kept.width, kept.height) != (box.x, box.y, box.width, box.height):
        if abs(kept.width - box.width) > 1e-6 or abs(kept.height - box.height) > 1e-6:
            say(corners, f"the box ({corners}) reaches outside the image of {columns} × {rows} pixels; it is cut there")
            return kept
        return box
    return box


def box_table(boxes: list[BoxRow]) -> pa.Table:
    """Return the boxes in the columns of `BOX_FIELDS`."""
    rows = [(b.study, b.slice_number, b.x, b.y, b.width, b.height, b.csv_row) for b in boxes]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(BOX_FIELDS)
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns, BOX_FIELDS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(BOX_FIELDS))


def mask_problems(path: Path, name: str, row: dict[str, Any], table: pa.Table) -> Iterator[Problem]:
    """Yield in what the grid of a mask differs from that of the study; only its header is read."""

    def problem(message: str, value: object) -> Problem:
        return Problem(ProblemKind.MASK, name, message, value=str(value), study=row[UID])

    try:
        image: Any = nib.load(path)
        shape, affine = tuple(int(n) for n in image.shape), np.asarray(image.affine, dtype=np.float64)
    except _NIFTI_ERRORS as error:
        yield problem(f"cannot be read: {error}", "")
        return
    if len(shape) != 3 or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        yield problem(f"is no volume: shape {shape}", shape)
        return
    lps = _RAS_TO_LPS @ affine
    axes = _axes_like_slices(lps, table)
    if axes is None:
        return
    wanted = (int(row["slices"]), int(row["Rows"]), int(row["Columns"]))
    found = tuple(shape[axis] for axis in axes)
    if found != wanted:
        yield problem(f"has {found} voxels, the study {wanted} (slice, row, column)", found)
        return
    own = np.linalg.norm(lps[:3, list(axes)], axis=0)
    spacing = np.array(
        [row["spacing_mm"], row["pixel_spacing_row_mm"], row["pixel_spacing_column_mm"]], dtype=np.float64
    )
    if not np.abs(own / spacing - 1).max() <= SPACING_TOLERANCE:
        yield problem(f"has voxels of {_mm(own)} mm, the study of {_mm(spacing)} mm (slice, row, column)", _mm(own))
        return
    offset = lps[:3] @ np.array([*(np.array(shape) - 1) / 2, 1]) - _middle_lps_mm(row, table)
    if float(np.linalg.norm(offset)) > PLACE_TOLERANCE * float(own.max()):
        yield problem(f"lies {_mm(offset)} mm (x, y, z) away from the study", _mm(offset))


def _axes_like_slices(lps: np.ndarray, table: pa.Table) -> tuple[int, int, int] | None:
    """Return which axes of the mask run along the slices, rows and columns of the images; ``None`` when unknown."""
    orientation = next((o for o in table["orientation"].to_pylist() if o is not None), None)
    if orientation is None:
        return None
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    wanted = np.stack([np.cross(along_row, along_column), along_column, along_row])
    cosines = np.abs(wanted @ (lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0)))
    best = cosines.argmax(axis=1).tolist()
    return (best[0], best[1], best[2]) if len(set(best)) == 3 else None


def _middle_lps_mm(row: dict[str, Any], table: pa.Table) -> np.ndarray:
    """Return the middle of the study: halfway between the outer slices, in the middle of their planes."""
    known = [r for r in table.select(["x_mm", "y_mm", "z_mm", "orientation"]).to_pylist() if r["x_mm"] is not None]
    ends = np.array([[r["x_mm"], r["y_mm"], r["z_mm"]] for r in (known[0], known[-1])])
    orientation = np.array(next(r["orientation"] for r in known if r["orientation"] is not None))
    down = (row["Rows"] - 1) / 2 * row["pixel_spacing_row_mm"]
    across = (row["Columns"] - 1) / 2 * row["pixel_spacing_column_mm"]
    middle: np.ndarray = ends.mean(axis=0) + orientation[:3] * across + orientation[3:] * down
    return middle


def _mm(values: np.ndarray) -> str:
    return " × ".join(f"{value:.3f}" for value in np.asarray(values, dtype=np.float64).tolist())
