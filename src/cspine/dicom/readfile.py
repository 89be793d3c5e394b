"""Turn one file into images: the plain reader first, pydicom for whatever is unusual."""

import os
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError

from cspine.dicom import tags
from cspine.dicom.elements import PIXEL_DATA, NeedMore, RawHeader, Unusual, parse
from cspine.dicom.enhanced import MULTI_FRAME_CT, frames_of
from cspine.dicom.images import Image, ImageKind, image, image_kind

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
# What pydicom lets through on damaged files; anything else is our own mistake and must be seen.
FOREIGN_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    struct.error,
    zlib.error,
    RecursionError,
    MemoryError,
)

HEADER_LIMIT_BYTES = 64 * 2**20

_FIRST_BYTES = 16 * 1024
_GROWTH = 16
_DEFER_BYTES = 64 * 1024
_FIRST_GROUPS = (0x0002, 0x0008)
_HIGHEST_FIRST_ELEMENT = 0x0100


class NotReadable(Exception):
    """A file that is no image of a series; the text says why, for the list of skipped files."""


@dataclass(frozen=True)
class RawFile:
    """The wanted elements of one file, and what its bytes say besides.

    Attributes
    ----------
    head
        The first bytes of the file, at least up to the pixel data where the plain reader understood it.
    """

    header: RawHeader
    head: bytes
    size: int
    modified_ns: int


class ImageReader:
    """Reads files and remembers what their images share."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[bytes | str | None, ...], ImageKind] = {}

    def read(self, path: Path, name: str) -> list[Image]:
        """Return the images of one file, several when it is multi-frame.

        Raises
        ------
        NotReadable
            Not a regular file, no permission, not DICOM, or DICOM without an image.
        """
        try:
            file = read_raw(path)
        except PermissionError as error:
            raise NotReadable("no permission to read it") from error
        except OSError as error:
            raise NotReadable(f"cannot be read: {error.strerror or error}") from error
        raw, size = file.header, file.size
        kind = self._kind(raw)
        if kind.sop_class_uid == DICOMDIR_CLASS or path.name.upper() == "DICOMDIR":
            raise NotReadable("a DICOMDIR: an index, not an image")
        if kind.rows is None and kind.columns is None:
            raise NotReadable(f"{_class_name(kind.sop_class_uid)}: not an image")
        if kind.sop_class_uid in MULTI_FRAME_CT:
            return _multi_frame(path, name, raw, kind, size)
        return [image(raw, kind, str(path), name, size)]

    def _kind(self, raw: RawHeader) -> ImageKind:
        values = raw.values
        key = (raw.transfer_syntax, *map(values.get, tags.PER_KIND))
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = image_kind(raw)
        return kind


def read_raw(path: Path | str, wanted: frozenset[int] = tags.WANTED) -> RawFile:
    """Return the wanted elements of a file.

    Raises
    ------
    NotReadable
        Not a regular file, not DICOM, or damaged.
    OSError
        It cannot be opened.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotReadable("not a regular file")
    if status.st_size == 0:
        raise NotReadable("empty file (0 bytes)")
    amount = _FIRST_BYTES
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a file object would take as long as reading the bytes
    try:
        while True:
            head = os.pread(handle, amount, 0)
            try:
                return RawFile(parse(head, wanted), head, status.st_size, status.st_mtime_ns)
            except NeedMore:
                if len(head) >= status.st_size:
                    break
                if amount >= HEADER_LIMIT_BYTES:
                    raise NotReadable(f"no pixel data within the first {amount} bytes") from None
                amount *= _GROWTH
            except Unusual:
                break
    finally:
        os.close(handle)
    return RawFile(_by_pydicom(path, head[:132], wanted), head, status.st_size, status.st_mtime_ns)


def _by_pydicom(path: Path | str, start: bytes, wanted: frozenset[int]) -> RawHeader:
    if start[128:] != b"DICM" and not _looks_naked(start):
        raise NotReadable("not a DICOM file")
    try:
        with warnings.catch_warnings():  # oddities are judged by what was found, not by pydicom's remarks
            warnings.simplefilter("ignore")
            return _raw_of(_dataset(path, wanted), wanted)
    except FOREIGN_ERRORS as error:
        raise NotReadable(f"damaged DICOM file: {type(error).__name__}: {error}") from error


def _dataset(path: Path | str, wanted: frozenset[int]) -> pydicom.Dataset:
    return pydicom.dcmread(path, force=True, defer_size=_DEFER_BYTES, specific_tags=[*wanted, PIXEL_DATA])


def _raw_of(dataset: pydicom.Dataset, wanted: frozenset[int]) -> RawHeader:
    implicit, little = dataset.original_encoding
    values: dict[int, bytes] = {}
    for tag in wanted:
        item = dataset.get_item(tag) if tag in dataset else None
        if isinstance(item, RawDataElement):
            values[tag] = bytes(item.value or b"")
        elif item is not None:
            values[tag] = str(item.value).encode("utf-8", "replace")
    if not values:
        raise ValueError("no element that an image has")
    meta = getattr(dataset, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
    if not syntax:
        syntax = _assumed_syntax(implicit, little)
    pixels = dataset.get_item(PIXEL_DATA) if PIXEL_DATA in dataset else None
    if not isinstance(pixels, RawDataElement):
        return RawHeader(values, syntax, little is False)
    length = None if pixels.length in (0xFFFFFFFF, None) else int(pixels.length)
    return RawHeader(values, syntax, little is False, pixels.value_tell, length)


def _assumed_syntax(implicit: bool | None, little: bool | None) -> str:
    """Return the syntax that an object without file meta information was read in."""
    if little is False:
        return "1.2.840.10008.1.2.2"
    return "1.2.840.10008.1.2.1" if implicit is False else "1.2.840.10008.1.2"


def _looks_naked(start: bytes) -> bool:
    """Whether the file may be a data set without preamble: it begins with a low group and a low element."""
    if len(start) < 8:
        return False
    for order in ("<HH", ">HH"):
        group, element = struct.unpack_from(order, start)
        if group in _FIRST_GROUPS and element <= _HIGHEST_FIRST_ELEMENT:
            return True
    return False


def _class_name(uid: str) -> str:
    name = pydicom.uid.UID(uid, pydicom.config.IGNORE).name if uid else ""
    return f"DICOM object of class {name} without rows and columns" if name else "DICOM object without SOP class"


def _multi_frame(path: Path, name: str, raw: RawHeader, kind: ImageKind, size: int) -> list[Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            return frames_of(dataset, image(raw, kind, str(path), name, size))
    except FOREIGN_ERRORS as error:
        raise NotReadable(f"damaged multi-frame object: {type(error).__name__}: {error}") from error
