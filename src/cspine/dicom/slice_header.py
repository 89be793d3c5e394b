"""One image file in one row: what a table of a hundred thousand slices needs, read without touching the pixels.

A scan (`cspine.dicom.scan`) keeps what reading the voxels needs. This keeps what describes a data set, as plain values
in one flat tuple, and what the slices of a series share is turned into values only once.
"""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from cspine.dicom import tags
from cspine.dicom.elements import RawHeader
from cspine.dicom.persontext import study_header
from cspine.dicom.readfile import NotReadable, RawFile, read_raw
from cspine.dicom.syntaxes import SYNTAXES
from cspine.domain import NoImages

HASH_BYTES = 16
_PER_SLICE = (tags.SOP_INSTANCE_UID, tags.INSTANCE_NUMBER, tags.POSITION)
_SHARED = (
    tags.STUDY_UID,
    tags.SERIES_UID,
    tags.CHARACTER_SET,
    tags.PATIENT_ID,
    tags.MODALITY,
    tags.PHOTOMETRIC,
    tags.SAMPLES,
    tags.BITS_ALLOCATED,
    tags.BITS_STORED,
    tags.PIXEL_REPRESENTATION,
    tags.ROWS,
    tags.COLUMNS,
    tags.PIXEL_SPACING,
    tags.WINDOW_CENTER,
    tags.WINDOW_WIDTH,
    tags.SLOPE,
    tags.INTERCEPT,
    tags.ORIENTATION,
    tags.THICKNESS,
    tags.KERNEL,
    tags.MANUFACTURER,
)
_WANTED = frozenset((*_PER_SLICE, *_SHARED))


class PixelState(StrEnum):
    """Whether the file holds the pixels that its header promises, as far as lengths tell."""

    WHOLE = "whole"
    TRUNCATED = "truncated"
    ABSENT = "absent"


class SliceHeader(NamedTuple):
    """One image file.

    Attributes
    ----------
    pixel_spacing_mm
        Between rows, between columns.
    window_center, window_width
        The first of several.
    position_lps_mm
        ImagePositionPatient.
    orientation
        ImageOrientationPatient.
    header_hash
        BLAKE2b of every byte ahead of the pixel data, hexadecimal.
    """

    sop_instance_uid: str
    instance_number: int | None
    position_lps_mm: tuple[float, ...] | None
    pixels: PixelState
    file_bytes: int
    modified_ns: int
    header_hash: str
    study_uid: str
    series_uid: str
    patient_id: str
    modality: str
    transfer_syntax: str
    photometric: str
    samples: int | None
    bits_allocated: int | None
    bits_stored: int | None
    pixel_representation: int | None
    rows: int | None
    columns: int | None
    pixel_spacing_mm: tuple[float, ...] | None
    window_center: float | None
    window_width: float | None
    slope: float | None
    intercept: float | None
    orientation: tuple[float, ...] | None
    thickness_mm: float | None
    kernel: str
    manufacturer: str


class SliceHeaderReader:
    """Reads files and remembers what the slices of a series share; use one for each series or folder."""

    def __init__(self) -> None:
        self._shared: dict[tuple[bytes | str | None, ...], tuple[tuple[object, ...], int | None]] = {}

    def read(self, path: Path | str, name: str) -> SliceHeader:
        """Return the header of one file.

        Parameters
        ----------
        name
            What messages call it.

        Raises
        ------
        NoImages
            Not readable, not DICOM, damaged, or no image.
        """
        try:
            file = read_raw(path, _WANTED)
        except NotReadable as error:
            raise NoImages(f"{name}: {error}") from error
        except OSError as error:
            raise NoImages(f"{name}: cannot be read: {error.strerror or error}") from error
        values = file.header.values
        key = (file.header.transfer_syntax, *map(values.get, _SHARED))
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _shared_values(file.header), _pixel_bytes(file.header)
        same, pixel_bytes = shared
        rows, columns = same[10], same[11]
        if rows is None or columns is None:
            raise NoImages(f"{name}: a DICOM object without rows and columns, not an image")
        return SliceHeader(
            tags.text(values.get(tags.SOP_INSTANCE_UID)),
            tags.integer(values.get(tags.INSTANCE_NUMBER)),
            tags.numbers(values.get(tags.POSITION), 3),
            _pixel_state(file, pixel_bytes),
            file.size,
            file.modified_ns,
            _header_hash(file),
            *same,  # type: ignore[arg-type]  # the order of `_shared_values` is that of the class; a test compares
        )


def _shared_values(header: RawHeader) -> tuple[object, ...]:
    """Return the values of `SliceHeader` from `study_uid` on."""
    value, big = header.values, header.big_endian
    return (
        tags.text(value.get(tags.STUDY_UID)),
        tags.text(value.get(tags.SERIES_UID)),
        study_header(value).patient_id or "",
        tags.text(value.get(tags.MODALITY)),
        header.transfer_syntax,
        tags.text(value.get(tags.PHOTOMETRIC)),
        tags.short(value.get(tags.SAMPLES), big),
        tags.short(value.get(tags.BITS_ALLOCATED), big),
        tags.short(value.get(tags.BITS_STORED), big),
        tags.short(value.get(tags.PIXEL_REPRESENTATION), big),
        tags.short(value.get(tags.ROWS), big),
        tags.short(value.get(tags.COLUMNS), big),
        tags.numbers(value.get(tags.PIXEL_SPACING), 2),
        _first_number(value.get(tags.WINDOW_CENTER)),
        _first_number(value.get(tags.WINDOW_WIDTH)),
        tags.number(value.get(tags.SLOPE)),
        tags.number(value.get(tags.INTERCEPT)),
        tags.numbers(value.get(tags.ORIENTATION), 6),
        tags.number(value.get(tags.THICKNESS)),
        tags.text(value.get(tags.KERNEL)),
        tags.text(value.get(tags.MANUFACTURER)),
    )


def _first_number(value: bytes | None) -> float | None:
    return tags.number((value or b"").split(b"\\", 1)[0])


def _pixel_state(file: RawFile, needed: int | None) -> PixelState:
    header = file.header
    if header.pixel_offset is None:
        return PixelState.ABSENT
    if header.deflated_from is not None:
        return PixelState.WHOLE  # lengths speak of the inflated body; what is missing shows when it is read
    needed = 1 if needed is None else max(needed, header.pixel_length or 0)
    return PixelState.WHOLE if file.size - header.pixel_offset >= needed else PixelState.TRUNCATED


def _pixel_bytes(header: RawHeader) -> int | None:
    """Return the size of the pixels that a header promises; ``None`` where they are compressed."""
    syntax = SYNTAXES.get(header.transfer_syntax)
    if syntax is not None and syntax.encapsulated:
        return None
    wanted = (tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED, tags.SAMPLES)
    rows, columns, bits, samples = (tags.short(header.values.get(tag), header.big_endian) for tag in wanted)
    return (rows or 0) * (columns or 0) * ((bits or 0) // 8) * (samples or 1)


def _header_hash(file: RawFile) -> str:
    offset = file.header.pixel_offset
    plain = file.header.deflated_from is None and offset is not None and offset <= len(file.head)
    return hashlib.blake2b(file.head[:offset] if plain else file.head, digest_size=HASH_BYTES).hexdigest()
