"""NIfTI volumes: RAS to LPS, and nothing taken on trust that CT needs.

The format says neither that values are HU nor, often, where the patient's left is. What can be checked is checked,
what was assumed is flagged.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from cspine.dicom import LoadedSeries, Skipped, StudyHeader
from cspine.domain import (
    Flag,
    FlagCode,
    Grid,
    InputError,
    LabelMap,
    NoImages,
    NotAVolume,
    UnsupportedSeries,
    Vertebra,
    Volume,
)

AIR_HU = -1024
SIDE_LIMIT = 4096
VOXEL_LIMIT = 2**30
SPACING_RANGE_MM = (0.05, 10.0)
SKEW_LIMIT = 1e-3
THICK_MM = 1.5

_SUFFIXES = (".nii", ".nii.gz")
# A CT shows air round or in the patient; without it the values are something else.
_AIR_AT_MOST_HU = -300.0
_LOWEST_HU, _HIGHEST_HU = -32768.0, 60000.0
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MILLIMETRES = ("mm", "unknown")
_FOREIGN_ERRORS = (
    ImageFileError,
    HeaderDataError,
    WrapStructError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    zlib.error,
    gzip.BadGzipFile,
    struct.error,
    MemoryError,
)


def is_nifti_name(name: str) -> bool:
    """Whether a file is called like a NIfTI volume."""
    return name.lower().endswith(_SUFFIXES)


class NiftiSource:
    """A source that is one NIfTI file."""

    def __init__(self, path: Path):
        self._study = NiftiStudy(path, str(path))

    def studies(self) -> tuple["NiftiStudy", ...]:
        """Return the one study; see `Source.studies`."""
        return (self._study,)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Nothing is ever skipped."""
        return ()

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> "NiftiSource":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class NiftiStudy:
    """One NIfTI volume as a study without UIDs."""

    def __init__(self, path: Path, name: str):
        self._path, self._name = path, name

    @property
    def name(self) -> str:
        """File name without its suffix."""
        base = self._name.replace("\\", "/").rsplit("/", 1)[-1]
        return next((base[: -len(end)] for end in reversed(_SUFFIXES) if base.lower().endswith(end)), base)

    @property
    def study_uid(self) -> str | None:
        """Always ``None``: the format has none."""
        return None

    @property
    def header(self) -> StudyHeader:
        """Nothing: the format names no patient."""
        return StudyHeader()

    @property
    def files(self) -> tuple[Path, ...]:
        """The one file."""
        return (self._path,)

    def load(self, series_uid: str | None = None) -> LoadedSeries:
        """Read the volume; see `StudySource.load`."""
        self.not_used(series_uid)
        return read_nifti(self._path, self._name)

    def not_used(self, series_uid: str | None = None) -> tuple[Skipped, ...]:
        """Return nothing, or refuse a series UID, which a NIfTI cannot have."""
        if series_uid is not None:
            raise NoImages(f"{self._name}: a NIfTI volume has no series {series_uid}")
        return ()


def read_nifti(path: Path, name: str | None = None) -> LoadedSeries:
    """Read a NIfTI volume as CT.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``.
    name
        What messages call it; default: the path.

    Returns
    -------
    LoadedSeries
        Axes are the file's in reverse (slice = third, column = first), LPS; no slices, an empty header.

    Raises
    ------
    NotAVolume
        Not three-dimensional, too large, or an affine that is not finite and orthogonal.
    UnsupportedSeries
        Values that cannot be HU.
    NoImages
        Not a NIfTI file, or damaged.
    """
    name = name or str(path)
    with _translated(name):
        image: Any = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image | nibabel.Nifti2Image):
            raise NoImages(f"{name}: not a NIfTI file")
        shape = _checked_shape(image, name)
        grid = _grid(image, shape, name)
        values = np.asanyarray(image.dataobj).reshape(shape).transpose(2, 1, 0)
    hu = _hounsfield(values, name)
    return LoadedSeries(Volume(grid, hu), StudyHeader(), (), tuple(_flags(image, grid)), name)


def read_nifti_labels(path: Path, name: str | None = None, highest: int = max(Vertebra)) -> LabelMap:
    """Read a NIfTI of vertebra labels, such as the masks of RSNA 2022.

    Parameters
    ----------
    highest
        Largest value that is a label.

    Returns
    -------
    LabelMap
        Axes are the file's in reverse (slice = third, column = first), LPS.

    Raises
    ------
    NotAVolume, NoImages
        As in `read_nifti`.
    UnsupportedSeries
        A value that is no label of a vertebra.
    """
    name = name or str(path)
    with _translated(name):
        image: Any = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image | nibabel.Nifti2Image):
            raise NoImages(f"{name}: not a NIfTI file")
        shape = _checked_shape(image, name)
        grid = _grid(image, shape, name)
        values = np.asanyarray(image.dataobj).reshape(shape).transpose(2, 1, 0)
    labels = _whole(values)
    if labels is None or int(labels.max()) > highest:
        top = float(np.nanmax(values))
        raise UnsupportedSeries(f"{name}: values up to {top:g} are not the labels 0 … {int(highest)} of vertebrae")
    return LabelMap(grid, labels)


def _whole(values: np.ndarray) -> np.ndarray | None:
    """Return uint8 (slice, row, column), ``None`` where a value does not fit."""
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > np.iinfo(np.uint8).max:
        return None
    labels = np.ascontiguousarray(values).astype(np.uint8)
    return labels if np.array_equal(labels, values) else None


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except PermissionError as error:
        raise NoImages(f"{name}: no permission to read it") from error
    except _FOREIGN_ERRORS as error:
        raise NoImages(f"{name}: damaged or not a NIfTI file: {error}") from error


def _checked_shape(image: Any, name: str) -> tuple[int, int, int]:
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise NotAVolume(f"{len(shape)} dimensions {shape}; three are needed", name)
    if min(shape) < 4 or max(shape) > SIDE_LIMIT or int(np.prod(shape, dtype=np.int64)) > VOXEL_LIMIT:
        raise NotAVolume(f"shape {shape}; 4 … {SIDE_LIMIT} voxels per axis, {VOXEL_LIMIT} in all are read", name)
    dtype = image.get_data_dtype()
    if dtype.kind not in "iuf":
        raise UnsupportedSeries(f"{name}: voxels are {dtype}; HU are real numbers")
    unit = image.header.get_xyzt_units()[0]
    if unit not in _MILLIMETRES:
        raise UnsupportedSeries(f"{name}: the affine is in {unit}, not mm")
    return shape[0], shape[1], shape[2]


def _grid(image: Any, shape: tuple[int, int, int], name: str) -> Grid:
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all():
        raise NotAVolume(f"the affine is not finite: {affine.tolist()}", name)
    lps = (_RAS_TO_LPS @ affine)[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    low, high = SPACING_RANGE_MM
    if not low <= spacing.min() <= spacing.max() <= high:
        raise NotAVolume(f"voxels of {np.round(spacing, 4).tolist()} mm; {low:g} … {high:g} mm are read", name)
    unit = lps[:3, :3] / spacing
    skew = float(np.abs(unit.T @ unit - np.eye(3)).max())
    if skew > SKEW_LIMIT:
        degrees = float(np.degrees(np.arcsin(min(1.0, skew))))
        raise NotAVolume(f"the axes are {degrees:.1f}° off a right angle (sheared); resample it first", name)
    u, _, vt = np.linalg.svd(unit)
    lps[:3, :3] = (u @ vt) * spacing  # the nearest orthogonal axes: headers hold single precision
    return Grid(shape[::-1], lps)


def _hounsfield(values: np.ndarray, name: str) -> np.ndarray:
    finite = np.isfinite(values) if values.dtype.kind == "f" else None
    if finite is not None and not finite.all():
        share = float((~finite).mean())
        raise UnsupportedSeries(f"{name}: {share:.2%} of the voxels are not numbers")
    lowest, highest = float(values.min()), float(values.max())
    if lowest > _AIR_AT_MOST_HU:
        hint = "; they look like HU + 1024" if lowest >= 0 and highest > 1500 else ""
        raise UnsupportedSeries(
            f"{name}: values {lowest:g} … {highest:g} hold no air (at most {_AIR_AT_MOST_HU:g} HU) and are not HU{hint}"
        )
    if lowest < _LOWEST_HU or highest > _HIGHEST_HU:
        raise UnsupportedSeries(f"{name}: values {lowest:g} … {highest:g} are not HU")
    clipped = np.maximum(values, values.dtype.type(AIR_HU))
    whole = values.dtype.kind in "iu" or bool((clipped == np.rint(clipped)).all())
    fits = highest <= np.iinfo(np.int16).max
    return np.ascontiguousarray(clipped, dtype=np.int16 if whole and fits else np.float32)


def _flags(image: Any, grid: Grid) -> Iterator[Flag]:
    header = image.header
    if int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        yield Flag(
            FlagCode.GEOMETRY_ASSUMED,
            "the file names no patient axes (both form codes are 0); the usual ones were assumed",
        )
    yield Flag(FlagCode.GEOMETRY_ASSUMED, "a NIfTI volume does not say that its values are HU; they were taken as HU")
    thickest = max(grid.spacing_mm)
    if thickest > THICK_MM:
        yield Flag(FlagCode.THICK_SLICES, f"voxels are up to {thickest:.1f} mm; fine fractures can be missed")
