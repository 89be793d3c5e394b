"""The elements that reading a CT series needs, and how their bytes become values (PS3.5 section 6.2)."""

import math

STUDY_UID, SERIES_UID, FRAME_UID = 0x0020000D, 0x0020000E, 0x00200052
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
CHARACTER_SET, IMAGE_TYPE, MODALITY = 0x00080005, 0x00080008, 0x00080060
ROWS, COLUMNS, SAMPLES, PHOTOMETRIC, FRAMES = 0x00280010, 0x00280011, 0x00280002, 0x00280004, 0x00280008
BITS_ALLOCATED, BITS_STORED, HIGH_BIT, PIXEL_REPRESENTATION = 0x00280100, 0x00280101, 0x00280102, 0x00280103
PADDING, PADDING_LIMIT = 0x00280120, 0x00280121
INTERCEPT, SLOPE, RESCALE_TYPE, MODALITY_LUT = 0x00281052, 0x00281053, 0x00281054, 0x00283000
WINDOW_CENTER, WINDOW_WIDTH = 0x00281050, 0x00281051
LOSSY, LOSSY_RATIO, LOSSY_METHOD = 0x00282110, 0x00282112, 0x00282114
POSITION, ORIENTATION, PIXEL_SPACING = 0x00200032, 0x00200037, 0x00280030
THICKNESS, KERNEL, MULTI_ENERGY, CONTRAST_AGENT = 0x00180050, 0x00181210, 0x00189361, 0x00180010
INSTANCE_NUMBER, ACQUISITION_NUMBER, SERIES_NUMBER = 0x00200013, 0x00200012, 0x00200011
BODY_PART, SERIES_DESCRIPTION, STUDY_DESCRIPTION = 0x00180015, 0x0008103E, 0x00081030
PATIENT_NAME, PATIENT_ID, BIRTH_DATE, SEX, AGE = 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00101010
ACCESSION, STUDY_DATE, STUDY_TIME = 0x00080050, 0x00080020, 0x00080030
MANUFACTURER, MODEL, IMAGE_COMMENTS = 0x00080070, 0x00081090, 0x00204000

# What differs from slice to slice; everything else in `WANTED` is shared by most images of a series.
PER_IMAGE = (
    SOP_INSTANCE_UID,
    INSTANCE_NUMBER,
    ACQUISITION_NUMBER,
    POSITION,
    INTERCEPT,
    SLOPE,
    LOSSY_RATIO,
)
PER_KIND = (
    STUDY_UID,
    SERIES_UID,
    FRAME_UID,
    SOP_CLASS_UID,
    CHARACTER_SET,
    IMAGE_TYPE,
    MODALITY,
    ROWS,
    COLUMNS,
    SAMPLES,
    PHOTOMETRIC,
    FRAMES,
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    PIXEL_REPRESENTATION,
    PADDING,
    PADDING_LIMIT,
    RESCALE_TYPE,
    MODALITY_LUT,
    LOSSY,
    LOSSY_METHOD,
    ORIENTATION,
    PIXEL_SPACING,
    THICKNESS,
    KERNEL,
    MULTI_ENERGY,
    CONTRAST_AGENT,
    SERIES_NUMBER,
    BODY_PART,
    SERIES_DESCRIPTION,
    STUDY_DESCRIPTION,
    PATIENT_NAME,
    PATIENT_ID,
    BIRTH_DATE,
    SEX,
    AGE,
    ACCESSION,
    STUDY_DATE,
    STUDY_TIME,
    MANUFACTURER,
    MODEL,
    IMAGE_COMMENTS,
)
WANTED = frozenset(PER_IMAGE + PER_KIND)


def text(value: bytes | None) -> str:
    """Return an ASCII string without padding; empty when absent."""
    return (value or b"").decode("ascii", "replace").strip("\0 ")


def numbers(value: bytes | None, count: int) -> tuple[float, ...] | None:
    """Return `count` decimal strings as numbers, ``None`` when absent, not finite or of another count."""
    try:
        parsed = tuple(float(part) for part in (value or b"").rstrip(b"\0 ").split(b"\\"))
    except ValueError:
        return None
    return parsed if len(parsed) == count and all(map(math.isfinite, parsed)) else None


def number(value: bytes | None) -> float | None:
    """Return a decimal string as a number, ``None`` when absent or not one finite number."""
    parsed = numbers(value, 1)
    return parsed[0] if parsed else None


def integer(value: bytes | None) -> int | None:
    """Return an integer string, ``None`` when absent or not a whole number."""
    parsed = number(value)
    return int(parsed) if parsed is not None and parsed == int(parsed) else None


def short(value: bytes | None, big_endian: bool, signed: bool = False) -> int | None:
    """Return a 16-bit binary value, ``None`` when absent or of another length."""
    if value is None or len(value) != 2:
        return None
    return int.from_bytes(value, "big" if big_endian else "little", signed=signed)
