"""What was odd about a series and how it was handled, as flags in plain words."""

import re

from cspine.dicom.choice import slice_mm
from cspine.dicom.geometry import TILT_LIMIT_DEG, Stack
from cspine.dicom.images import Image, ImageKind
from cspine.dicom.series import Series
from cspine.dicom.syntaxes import SYNTAXES, Loss
from cspine.domain import Flag, FlagCode

MONOCHROME1 = "MONOCHROME1"
THICK_MM = 1.5
PADDING_SHARE = 0.001
# BodyPartExamined is only a hint (PS3.3 annex L): these agree with a neck, an absent one says nothing.
NECK_PARTS = ("NECK", "CSPINE", "CERVICAL", "CTSPINE", "SPINE", "HEAD", "SKULL", "WHOLEBODY", "HEADNECK", "CSPN")
# What scanners write into ContrastBolusAgent (PS3.3 C.7.6.4) where none was given.
NO_AGENT = ("NONE", "NO", "N", "WITHOUT", "NATIVE", "NON CONTRAST", "NO CONTRAST", "0")
_GAPS_NAMED = 5
# The synchondroses of C1 and C2 close by seven, the apophyses of the other vertebrae only in the late teens.
ADULT_YEARS = 18
_AGE, _PER_YEAR = re.compile(r"(\d{3})([DWMY])"), {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}


def flags_of(series: Series, stack: Stack, duplicates: int, padding_share: float, inverted: bool) -> tuple[Flag, ...]:
    """Return the flags of a series that was read.

    Parameters
    ----------
    duplicates
        Images dropped because an identical one lies at the same place.
    padding_share
        Share of all pixels that were padding or below −1024 HU.
    inverted
        Whether the stored values were turned over.
    """
    flags = [*_header_flags(series), *_geometry_flags(series, stack)]
    if duplicates:
        flags.append(Flag(FlagCode.DUPLICATE_SLICES, f"{duplicates} images were there twice; one of each was used"))
    if padding_share > PADDING_SHARE:
        flags.append(
            Flag(
                FlagCode.PADDING, f"{padding_share:.1%} of the pixels lie outside the scanned field; they count as air"
            )
        )
    if any(image.kind.photometric == MONOCHROME1 for image in series.images):
        how = (
            "the stored values were inverted and have been turned over"
            if inverted
            else "the values were used as stored"
        )
        flags.append(Flag(FlagCode.MONOCHROME1, f"images are marked MONOCHROME1; {how}"))
    return tuple(flags)


def _header_flags(series: Series) -> list[Flag]:
    flags = []
    if series.header.is_phantom:
        flags.append(Flag(FlagCode.PHANTOM, "the images are marked as a phantom, not a patient"))
    years = age_years(series.header.patient_age)
    if years is not None and years < ADULT_YEARS:
        flags.append(Flag(FlagCode.CHILD, _child_words(years)))
    if (agent := series.header.contrast_agent) and agent.strip().upper() not in NO_AGENT:
        flags.append(Flag(FlagCode.CONTRAST_MEDIUM, _contrast_words(agent)))
    lossy = [image for image in series.images if is_lossy(image.kind)]
    if lossy:
        flags.append(Flag(FlagCode.LOSSY, _lossy_words(lossy, len(series.images))))
    part = (series.header.body_part or "").upper().replace(" ", "")
    if part and not any(word in part for word in NECK_PARTS):
        flags.append(
            Flag(
                FlagCode.OTHER_BODY_PART,
                f"the header says {series.header.body_part}; the images decide, not the header",
            )
        )
    return flags


def age_years(text: str | None) -> float | None:
    """Return PatientAge (AS, such as ``008Y``, PS3.5 6.2) in years; ``None`` where there is none."""
    found = _AGE.fullmatch((text or "").strip())
    return None if found is None else int(found[1]) / _PER_YEAR[found[2]]


def _child_words(years: float) -> str:
    return (
        f"the header says that the patient is {years:.0f} years old; growth plates look like breaks below "
        f"{ADULT_YEARS}, and the networks have seen adults alone"
    )


def _contrast_words(agent: str) -> str:
    return (
        f"the header names a contrast agent ({agent}); filled vessels are dense as bone and run through its foramina, "
        "where they may hide a break or look like a piece"
    )


def is_lossy(kind: ImageKind) -> bool:
    """Whether lossy compression was applied, or may have been and the header does not deny it (C.7.6.1.1.5)."""
    syntax = SYNTAXES.get(kind.transfer_syntax)
    possible = syntax is not None and syntax.loss is not Loss.NEVER
    return kind.lossy == "01" or (possible and kind.lossy != "00")


def _lossy_words(images: list[Image], total: int) -> str:
    ratios = (image.lossy_ratio or _measured(image) for image in images)
    known = [ratio for ratio in ratios if ratio]
    ratio = f" at a ratio of {max(known):.1f}:1" if known else " at an unknown ratio"
    many = "the images were" if len(images) == total else f"{len(images)} of {total} images were"
    return f"{many} compressed with loss{ratio}; fine fracture lines may be gone"


def _measured(image: Image) -> float | None:
    """Return raw size over stored size of a compressed single frame, ``None`` when it is stored raw."""
    kind, pixels = image.kind, image.pixels
    if pixels is None or pixels.length is not None or pixels.frames != 1:
        return None
    raw = (kind.rows or 0) * (kind.columns or 0) * (kind.bits_stored or 0) / 8
    return raw / max(1, pixels.file_size - pixels.offset)


def _geometry_flags(series: Series, stack: Stack) -> list[Flag]:
    flags = []
    if stack.moved_mm > 0 and stack.tilt_deg > TILT_LIMIT_DEG:
        flags.append(
            Flag(
                FlagCode.GANTRY_TILT,
                f"the stack is tilted by {stack.tilt_deg:.1f}°; slices were shifted by up to {stack.moved_mm:.1f} mm",
            )
        )
    elif stack.moved_mm > 0:
        flags.append(
            Flag(FlagCode.SHEARED, f"slices are shifted against each other by up to {stack.moved_mm:.1f} mm; corrected")
        )
    if stack.gaps_mm:
        flags.append(Flag(FlagCode.MISSING_SLICES, _gap_words(stack)))
    elif stack.uneven_mm > 0:
        spacing = stack.grid.spacing_mm[0]
        flags.append(
            Flag(
                FlagCode.UNEVEN_SPACING,
                f"slices are unevenly spaced (off by up to {stack.uneven_mm:.2f} mm); resampled to {spacing:.2f} mm",
            )
        )
    if stack.odd_shapes:
        _, rows, columns = stack.grid.shape
        flags.append(
            Flag(
                FlagCode.MIXED_SHAPES,
                f"{stack.odd_shapes} images have another matrix; they were placed on {rows} × {columns} pixels",
            )
        )
    thickness = slice_mm(series)
    if thickness > THICK_MM:
        flags.append(
            Flag(FlagCode.THICK_SLICES, f"slices are {thickness:.1f} mm thick or apart; fine fractures can be missed")
        )
    return flags


def _gap_words(stack: Stack) -> str:
    shown = ", ".join(f"{low:.1f} … {high:.1f}" for low, high in stack.gaps_mm[:_GAPS_NAMED])
    more = f" and {len(stack.gaps_mm) - _GAPS_NAMED} more" if len(stack.gaps_mm) > _GAPS_NAMED else ""
    return f"slices are missing between {shown} mm along the stack{more}; the gap was bridged by interpolation"
