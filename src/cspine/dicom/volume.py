"""Read a series into a volume of Hounsfield units (facts on each oddity: docs/reference of refused input)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cspine.dicom.decode import Decoded, Job, decode, default_workers
from cspine.dicom.geometry import WHOLE_PIXEL_PX, Stack, arrange
from cspine.dicom.header import LoadedSeries, SliceRef
from cspine.dicom.images import Image
from cspine.dicom.notes import MONOCHROME1, flags_of
from cspine.dicom.refusal import refusal
from cspine.dicom.series import Series
from cspine.dicom.syntaxes import SYNTAXES
from cspine.domain import Grid, NotAVolume, UnsupportedSeries, Volume

AIR_HU = -1024
# A padding value that would be tissue is no padding: blanking it would cut holes into the patient.
PADDING_HIGHEST_HU = -200.0
# Metal reaches some 30,000 HU on scanners with an extended scale.
HIGHEST_HU = 66_000.0

_SAMPLE_SLICES = 5
# A CT of a neck has soft tissue, some air, and more air than bone this dense.
_AIR_BELOW_HU, _DENSE_ABOVE_HU, _AIR_LEAST = -700.0, 700.0, 0.02
_TISSUE_WITHIN_HU, _TISSUE_LEAST = 300.0, 0.05


@dataclass(frozen=True, eq=False)
class _Slots:
    """Decoded images, each in its own part of one shared buffer."""

    arrays: list[np.ndarray]
    reports: list[Decoded]
    whole: np.ndarray | None

    @property
    def pixels(self) -> int:
        return sum(array.size for array in self.arrays)


def to_volume(series: Series, workers: int | None = None) -> LoadedSeries:
    """Read the pixels of a series and place them in patient space.

    Parameters
    ----------
    series
        From `scan`; the order of its images does not matter.
    workers
        Child processes that decode; default: one per processor.

    Returns
    -------
    LoadedSeries
        HU as int16 where they fit, else float32; nothing lies below −1024. Slice axis along the normal of the
        stored rows and columns. `slices` has the nearest original image of every slice; it is empty when slices
        were moved in their plane (tilt), because rows and columns are then no longer those of the images.

    Raises
    ------
    UnsupportedSeries
        A kind of image that cspine refuses, or pixel data that cannot be decoded.
    NotAVolume
        The slices do not form one volume.
    """
    objection = refusal(series)
    if objection is not None:
        raise objection
    stack = arrange(series)
    images = [image for place in stack.places for image in place]
    inverted = _stands_upside_down(series.name, images, workers)
    slots = _decode(images, inverted, workers)
    highest = max(report.highest for report in slots.reports)
    if highest > HIGHEST_HU:
        raise UnsupportedSeries(f"{series.name}: values up to {highest:g} are not HU (at most {HIGHEST_HU:g})")
    array, duplicates = _assemble(stack, slots, series.name, workers or default_workers())
    padding_share = sum(report.clamped for report in slots.reports) / slots.pixels
    return LoadedSeries(
        volume=Volume(stack.grid, array),
        header=series.header,
        slices=_references(stack),
        flags=flags_of(series, stack, duplicates, padding_share, inverted),
        name=series.series_uid or series.images[0].name,
        gaps=stack.gap_boxes(),
    )


def place_series(series: Series) -> tuple[Grid, tuple[SliceRef, ...]]:
    """Return the grid and the slices that `to_volume` would give, from the headers alone.

    Raises
    ------
    UnsupportedSeries, NotAVolume
        As in `to_volume`, as far as the headers tell.
    """
    objection = refusal(series)
    if objection is not None:
        raise objection
    stack = arrange(series)
    return stack.grid, _references(stack)


def read_images(series: Series, picked: Sequence[int], workers: int | None = None) -> list[np.ndarray]:
    """Read some images of a series as they are stored, without placing them: for looking at single slices.

    Parameters
    ----------
    picked
        Which of ``series.images``.

    Returns
    -------
    list of np.ndarray
        HU (rows, columns), one per picked image.

    Raises
    ------
    UnsupportedSeries
        As in `to_volume`.
    NotAVolume
        As in `to_volume`, as far as the headers tell.
    """
    objection = refusal(series)
    if objection is not None:
        raise objection
    inverted = _stands_upside_down(series.name, list(series.images), workers)
    return _decode([series.images[k] for k in picked], inverted, workers).arrays


def decode_images(images: Sequence[Image], workers: int | None = None) -> list[np.ndarray]:
    """Decode accepted images one by one to HU (rows, columns), without placing them."""
    return _decode(images, False, workers).arrays


def _decode(images: Sequence[Image], inverted: bool, workers: int | None) -> _Slots:
    """Decode to int16, and again to float32 where that does not hold the values."""
    if all(_is_whole(image.slope) and _is_whole(image.intercept) for image in images):
        slots = _decode_as(images, "int16", inverted, workers)
        if max(report.highest for report in slots.reports) <= np.iinfo(np.int16).max:
            return slots
    return _decode_as(images, "float32", inverted, workers)


def _is_whole(value: float | None) -> bool:
    return value is not None and value == int(value)


def _decode_as(images: Sequence[Image], out: str, inverted: bool, workers: int | None) -> _Slots:
    dtype = np.dtype(out)
    shapes = [(image.kind.rows or 0, image.kind.columns or 0) for image in images]
    sizes = [rows * columns * dtype.itemsize for rows, columns in shapes]
    starts = [0, *np.cumsum(sizes).tolist()]
    jobs = [decode_job(image, out, start, inverted) for image, start in zip(images, starts, strict=False)]
    buffer, reports = decode(jobs, starts[-1], workers)
    arrays = [
        buffer[start : start + size].view(dtype).reshape(shape)
        for start, size, shape in zip(starts, sizes, shapes, strict=False)
    ]
    alike = len(set(shapes)) == 1
    return _Slots(arrays, reports, buffer.view(dtype).reshape(len(shapes), *shapes[0]) if alike else None)


def decode_job(image: Image, out: str, at: int, inverted: bool) -> Job:
    """Return what a child process needs to decode one accepted image into `out` at byte `at` of the buffer."""
    kind, pixels, syntax = image.kind, image.pixels, SYNTAXES[image.kind.transfer_syntax]
    assert pixels is not None  # these two were refused before
    assert syntax.codec is not None
    return Job(
        path=pixels.path,
        offset=pixels.offset,
        deflated_from=pixels.deflated_from,
        codec=syntax.codec.value,
        frame=pixels.frame,
        frames=pixels.frames,
        rows=kind.rows or 0,
        columns=kind.columns or 0,
        bits_allocated=kind.bits_allocated or 0,
        bits_stored=kind.bits_stored or 0,
        signed=kind.signed,
        big_endian=syntax.big_endian,
        slope=1.0 if image.slope is None else image.slope,
        intercept=image.intercept or 0.0,
        padding=used_padding(image),
        invert=inverted and kind.photometric == MONOCHROME1,
        out=out,
        at=at,
        name=image.name,
    )


def used_padding(image: Image) -> tuple[int, int] | None:
    """Return the stored values to blank: none when all HU below −1024 are blanked anyway or when they are tissue."""
    padding, slope, intercept = image.kind.padding, image.slope or 0.0, image.intercept or 0.0
    if padding is None:
        return None
    highest = max(value * slope + intercept for value in padding)
    return padding if AIR_HU < highest <= PADDING_HIGHEST_HU else None


def _stands_upside_down(name: str, images: Sequence[Image], workers: int | None) -> bool:
    """Whether MONOCHROME1 images store inverted values; by the standard it tells only how to display them.

    Raises
    ------
    UnsupportedSeries
        Neither reading, or both, look like CT.
    """
    marked = [image for image in images if image.kind.photometric == MONOCHROME1]
    if not marked:
        return False
    sample = marked[:: max(1, len(marked) // _SAMPLE_SLICES)]
    looks = [_looks_like_ct(_decode(sample, inverted, workers)) for inverted in (False, True)]
    if looks[0] == looks[1]:
        raise UnsupportedSeries(f"{name}: MONOCHROME1, and neither air nor bone tells whether the values are inverted")
    return looks[1]


def _looks_like_ct(slots: _Slots) -> bool:
    values = np.concatenate([array.ravel() for array in slots.arrays])
    air = float((values < _AIR_BELOW_HU).mean())
    dense = float((values > _DENSE_ABOVE_HU).mean())
    tissue = float((np.abs(values) < _TISSUE_WITHIN_HU).mean())
    return tissue >= _TISSUE_LEAST and air >= _AIR_LEAST and air > dense


def _assemble(stack: Stack, slots: _Slots, name: str, threads: int) -> tuple[np.ndarray, int]:
    """Return the voxels on the stack's grid, and the number of duplicates dropped."""
    firsts, at = [], 0
    for place in stack.places:
        for other in range(at + 1, at + len(place)):
            if not np.array_equal(slots.arrays[at], slots.arrays[other]):
                raise NotAVolume(
                    f"two different images at the same place: {place[0].name} and {place[other - at].name}", name
                )
        firsts.append(at)
        at += len(place)
    planes = [slots.arrays[first] for first in firsts]
    lattice = stack.lattice_mm
    _, rows, columns = stack.grid.shape
    still = not stack.offsets_px.any() and stack.odd_shapes == 0
    regular = len(lattice) == len(planes) and stack.uneven_mm == 0
    if still and regular and slots.whole is not None and len(firsts) == at:
        return slots.whole, 0
    out = np.empty((len(lattice), rows, columns), planes[0].dtype)

    def fill(k: int) -> None:
        low, high, part = (k, k, 0.0) if regular else _neighbors(stack.heights_mm, float(lattice[k]))
        out[k] = _blend(
            placed(planes[low], stack.offsets_px[low], (rows, columns)),
            placed(planes[high], stack.offsets_px[high], (rows, columns)) if high != low else None,
            part,
        )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(len(lattice))))
    return out, at - len(firsts)


def _neighbors(heights: np.ndarray, height: float) -> tuple[int, int, float]:
    """Return the places below and above a height and the share of the upper one."""
    high = int(np.clip(np.searchsorted(heights, height), 1, len(heights) - 1))
    low = high - 1
    part = float(np.clip((height - heights[low]) / (heights[high] - heights[low]), 0, 1))
    close = 1e-3
    if part < close:
        return low, low, 0.0
    return (high, high, 0.0) if part > 1 - close else (low, high, part)


def _blend(low: np.ndarray, high: np.ndarray | None, part: float) -> np.ndarray:
    if high is None:
        return low
    mixed = low + (high.astype(np.float32) - low) * np.float32(part)
    out: np.ndarray = (np.rint(mixed) if low.dtype == np.int16 else mixed).astype(low.dtype)
    return out


def placed(plane: np.ndarray, offset_px: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Put a slice on a plane of the grid.

    Parameters
    ----------
    plane
        (rows, columns), HU.
    offset_px
        Where its first pixel lies on the grid, in (row, column); whole pixels are copied, parts interpolated.
    shape
        Rows and columns of the grid; what the slice does not cover is air.
    """
    whole = np.rint(offset_px)
    part = offset_px - whole
    if (np.abs(part) > WHOLE_PIXEL_PX).any():
        whole = np.floor(offset_px)
        plane = _shifted(plane, offset_px - whole)
    row, column = int(whole[0]), int(whole[1])
    if (row, column) == (0, 0) and plane.shape == shape:
        return plane
    out = np.full(shape, AIR_HU, plane.dtype)
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + plane.shape[0], shape[0]), min(column + plane.shape[1], shape[1])
    if top < bottom and left < right:
        out[top:bottom, left:right] = plane[top - row : bottom - row, left - column : right - column]
    return out


def _shifted(plane: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the slice moved by 0 … 1 pixel along rows and columns, one pixel larger on each axis."""
    padded = np.pad(plane, 1, mode="constant", constant_values=AIR_HU).astype(np.float32)
    down, right = np.float32(part[0]), np.float32(part[1])
    moved = padded[1:] * (1 - down) + padded[:-1] * down
    moved = moved[:, 1:] * (1 - right) + moved[:, :-1] * right
    out: np.ndarray = (np.rint(moved) if plane.dtype == np.int16 else moved).astype(plane.dtype)
    return out


def _references(stack: Stack) -> tuple[SliceRef, ...]:
    if stack.moved_mm > 0:
        return ()
    nearest = np.abs(stack.lattice_mm[:, None] - stack.heights_mm[None, :]).argmin(axis=1)
    first_pixels = np.rint(stack.offsets_px).astype(int).tolist()
    return tuple(_reference(stack.places[k][0], first_pixels[k]) for k in nearest.tolist())


def _reference(image: Image, first_pixel: list[int]) -> SliceRef:
    assert image.position_lps_mm is not None  # refused before
    return SliceRef(
        image.kind.sop_class_uid,
        image.sop_instance_uid,
        image.instance_number,
        image.frame_number,
        image.position_lps_mm,
        (first_pixel[0], first_pixel[1]),
    )
