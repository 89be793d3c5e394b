"""One image object (or one frame of it) as far as its header tells, read without touching the pixels.

What the images of a series share stands once, in `ImageKind`; it is parsed once and reused while the bytes agree.
"""

from dataclasses import dataclass

from cspine.dicom import tags
from cspine.dicom.elements import RawHeader
from cspine.dicom.header import StudyHeader
from cspine.dicom.persontext import study_header


@dataclass(frozen=True)
class PixelSource:
    """Where the pixel data lies.

    Attributes
    ----------
    path
        File on disk.
    offset
        Where the pixel value begins; within the inflated body when `deflated_from` is given.
    length
        Announced length in bytes; ``None`` when encapsulated.
    file_size
        Bytes of the file.
    frame, frames
        Zero-based frame within the object, and how many it has.
    deflated_from
        Where the deflated body begins in the file, else ``None``.
    """

    path: str
    offset: int
    length: int | None
    file_size: int
    frame: int = 0
    frames: int = 1
    deflated_from: int | None = None


@dataclass(frozen=True)
class ImageKind:
    """What the images of a series share. Names as in PS3.3; absent values are ``None``, never a default.

    Attributes
    ----------
    orientation
        ImageOrientationPatient: direction cosines of a row, then of a column (LPS).
    pixel_spacing_mm
        Between rows, between columns.
    padding
        (lowest, highest) stored value that means "no pixel here".
    image_type
        Upper case.
    """

    study_uid: str
    series_uid: str
    frame_uid: str | None
    sop_class_uid: str
    modality: str
    transfer_syntax: str
    rows: int | None
    columns: int | None
    samples: int | None
    photometric: str
    frames: int
    bits_allocated: int | None
    bits_stored: int | None
    high_bit: int | None
    signed: bool
    padding: tuple[int, int] | None
    rescale_type: str
    has_modality_lut: bool
    lossy: str
    lossy_method: str
    image_type: tuple[str, ...]
    kernel: str
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, float] | None
    thickness_mm: float | None
    multi_energy: str
    header: StudyHeader


@dataclass(frozen=True)
class Image:
    """One slice.

    Attributes
    ----------
    name
        What messages call it: the path as the user knows it.
    slope, intercept
        Stored value → HU; ``None`` when the header does not say.
    pixels
        ``None`` when there is no pixel data.
    """

    name: str
    kind: ImageKind
    sop_instance_uid: str
    instance_number: int | None
    acquisition_number: int | None
    position_lps_mm: tuple[float, float, float] | None
    slope: float | None
    intercept: float | None
    lossy_ratio: float | None
    pixels: PixelSource | None
    frame_number: int | None = None


def image_kind(raw: RawHeader) -> ImageKind:
    """Return what the images of a series share, from the elements of one of them."""
    value, big = raw.values, raw.big_endian
    signed = tags.short(value.get(tags.PIXEL_REPRESENTATION), big) == 1
    spacing = tags.numbers(value.get(tags.PIXEL_SPACING), 2)
    frames = tags.integer(value.get(tags.FRAMES))
    return ImageKind(
        study_uid=tags.text(value.get(tags.STUDY_UID)),
        series_uid=tags.text(value.get(tags.SERIES_UID)),
        frame_uid=tags.text(value.get(tags.FRAME_UID)) or None,
        sop_class_uid=tags.text(value.get(tags.SOP_CLASS_UID)),
        modality=tags.text(value.get(tags.MODALITY)),
        transfer_syntax=raw.transfer_syntax,
        rows=tags.short(value.get(tags.ROWS), big),
        columns=tags.short(value.get(tags.COLUMNS), big),
        samples=tags.short(value.get(tags.SAMPLES), big),
        photometric=tags.text(value.get(tags.PHOTOMETRIC)),
        frames=1 if frames is None else frames,
        bits_allocated=tags.short(value.get(tags.BITS_ALLOCATED), big),
        bits_stored=tags.short(value.get(tags.BITS_STORED), big),
        high_bit=tags.short(value.get(tags.HIGH_BIT), big),
        signed=signed,
        padding=_padding(raw, signed),
        rescale_type=tags.text(value.get(tags.RESCALE_TYPE)).upper(),
        has_modality_lut=tags.MODALITY_LUT in value,
        lossy=tags.text(value.get(tags.LOSSY)),
        lossy_method=tags.text(value.get(tags.LOSSY_METHOD)),
        image_type=tuple(part.strip().upper() for part in tags.text(value.get(tags.IMAGE_TYPE)).split("\\")),
        kernel=tags.text(value.get(tags.KERNEL)),
        orientation=tags.numbers(value.get(tags.ORIENTATION), 6),
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        thickness_mm=tags.number(value.get(tags.THICKNESS)),
        multi_energy=tags.text(value.get(tags.MULTI_ENERGY)).upper(),
        header=study_header(value),
    )


def image(raw: RawHeader, kind: ImageKind, path: str, name: str, file_size: int) -> Image:
    """Return the one image of a single-frame object."""
    value = raw.values
    position = tags.numbers(value.get(tags.POSITION), 3)
    pixels = None
    if raw.pixel_offset is not None:
        pixels = PixelSource(path, raw.pixel_offset, raw.pixel_length, file_size, deflated_from=raw.deflated_from)
    return Image(
        name=name,
        kind=kind,
        sop_instance_uid=tags.text(value.get(tags.SOP_INSTANCE_UID)),
        instance_number=tags.integer(value.get(tags.INSTANCE_NUMBER)),
        acquisition_number=tags.integer(value.get(tags.ACQUISITION_NUMBER)),
        position_lps_mm=(position[0], position[1], position[2]) if position else None,
        slope=tags.number(value.get(tags.SLOPE)),
        intercept=tags.number(value.get(tags.INTERCEPT)),
        lossy_ratio=_last_ratio(value.get(tags.LOSSY_RATIO)),
        pixels=pixels,
    )


def _padding(raw: RawHeader, signed: bool) -> tuple[int, int] | None:
    """Return the stored values that mean padding (PS3.3 C.7.5.1.1.2), in the pixels' own representation."""
    first = tags.short(raw.values.get(tags.PADDING), raw.big_endian, signed)
    if first is None:
        return None
    last = tags.short(raw.values.get(tags.PADDING_LIMIT), raw.big_endian, signed)
    other = first if last is None else last
    return min(first, other), max(first, other)


def _last_ratio(value: bytes | None) -> float | None:
    """Return the ratio of the last of several lossy steps (PS3.3 C.7.6.1.1.5.2)."""
    return tags.number((value or b"").split(b"\\")[-1])
