"""Why a series cannot be answered on, from its headers alone (docs/reference of refused input: facts of PS3.3 C.8.2.1).

Each rule looks at what the images share and yields a sentence or ``None``; the first that objects decides.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from cspine.dicom.enhanced import MULTI_FRAME_CT
from cspine.dicom.images import Image, ImageKind, PixelSource
from cspine.dicom.series import Series
from cspine.dicom.syntaxes import SYNTAXES, Loss
from cspine.domain import InputError, NotAVolume, UnsupportedSeries

MATRIX_LIMIT = 2048
MATRIX_LEAST = 16
SLICE_LIMIT = 3000
SLICE_LEAST = 4
# 2 GiB of int16; the largest series in use (1,100 slices of 768²) has 0.65 × 2³⁰ voxels.
VOXEL_LIMIT = 2**30
BITS_LEAST = 10
SPACING_RANGE_MM = (0.05, 5.0)

CT_CLASSES = frozenset(("1.2.840.10008.5.1.4.1.1.2", *MULTI_FRAME_CT))

_NOT_SLICES = {
    "LOCALIZER": "a localizer (scout), not slices",
    "PROJECTION IMAGE": "projections, not slices",
    "MIP": "maximum intensity projections, not HU",
    "MINIP": "minimum intensity projections, not HU",
    "MAX_IP": "maximum intensity projections, not HU",
    "MIN_IP": "minimum intensity projections, not HU",
    "VOLUME_RENDERED": "rendered pictures, not HU",
    "SURFACE": "rendered pictures, not HU",
    "VRT": "rendered pictures, not HU",
    "SSD": "rendered pictures, not HU",
    "SCREEN SAVE": "a screenshot, not HU",
    "DOSE": "a dose sheet, not slices",
    "DOSE_INFO": "a dose sheet, not slices",
}
# PS3.3 C.8.15.3.? value 4 of multi-energy images, and what vendors write in ImageType and descriptions.
_ENERGY_TYPES = re.compile(
    r"^(MAT_SPECIFIC|MAT_REMOVED|MAT_FRACTIONAL|MAT_MODIFIED|MAT_VALUE_BASED|EFF_ATOMIC_NUM|ELECTRON_DENSITY"
    r"|.*\b(IODINE|VNCA?|RHO_?Z|ZEFF|BONE_?MARROW|CALCIUM_SUPPRESSED)\b.*)$"
)
_ENERGY_WORDS = re.compile(
    r"\b(iodine (map|density|overlay)|iodine no water|virtual non[- ]?(calcium|contrast)|vnca?"
    r"|calcium[- ]suppress(ed|ion)|bone marrow (map|edema)|effective z|z[- ]?eff(ective)?|electron density|rho/z)\b",
    re.IGNORECASE,
)


def refusal(series: Series) -> InputError | None:
    """Return why a series must be refused, ``None`` when nothing in its headers forbids reading it."""
    for kind in _distinct(image.kind for image in series.images):
        for rule in _KIND_RULES:
            sentence = rule(kind)
            if sentence:
                return UnsupportedSeries(f"{series.name}: {sentence}")
    for sentence in _geometry_complaints(series):
        return NotAVolume(sentence, series.name)
    for image in series.images:
        sentence = _pixel_complaint(image)
        if sentence:
            return UnsupportedSeries(f"{image.name}: {sentence}")
    return None


def image_refusal(image: Image) -> str | None:
    """Return why the pixels of an image cannot be read as HU, ``None`` when nothing in its header forbids it."""
    complaints = (rule(image.kind) for rule in _KIND_RULES)
    return next((said for said in complaints if said), None) or _pixel_complaint(image)


def _distinct(kinds: Iterable[ImageKind]) -> list[ImageKind]:
    return list({id(kind): kind for kind in kinds}.values())


def _not_ct(kind: ImageKind) -> str | None:
    if kind.modality == "CT" and kind.sop_class_uid in CT_CLASSES:
        return None
    return f"not a CT image: modality {kind.modality or 'missing'}, SOP class {kind.sop_class_uid or 'missing'}"


def _color(kind: ImageKind) -> str | None:
    if kind.samples in (1, None) and kind.photometric in ("MONOCHROME1", "MONOCHROME2"):
        return None
    return (
        f"not grayscale: {kind.photometric or 'no photometric interpretation'}, {kind.samples} samples per pixel; "
        "HU cannot be recovered from a color picture"
    )


def _no_slices(kind: ImageKind) -> str | None:
    return next((_NOT_SLICES[value] for value in kind.image_type if value in _NOT_SLICES), None)


def _lossy_jpeg(kind: ImageKind) -> str | None:
    syntax = SYNTAXES.get(kind.transfer_syntax)
    if syntax is None:
        return f"transfer syntax {kind.transfer_syntax} is not supported; convert it to an uncompressed one"
    if syntax.loss is Loss.FATAL:
        return f"stored as {syntax.name}; HU cannot be recovered from it, send the original images"
    return None


def _bits(kind: ImageKind) -> str | None:
    if kind.bits_allocated not in (8, 16, 32) or kind.bits_stored is None or kind.high_bit is None:
        return f"bits allocated {kind.bits_allocated}, stored {kind.bits_stored}: 16 or 32 allocated are supported"
    if kind.bits_stored < BITS_LEAST:
        return f"{kind.bits_stored} bits per pixel cannot hold HU; at least {BITS_LEAST} are needed"
    if kind.bits_stored > kind.bits_allocated or kind.high_bit != kind.bits_stored - 1:
        return f"bits stored {kind.bits_stored} of {kind.bits_allocated} with high bit {kind.high_bit} is not supported"
    return None


def _other_quantity(kind: ImageKind) -> str | None:
    if kind.has_modality_lut:
        return "pixel values go through a modality lookup table instead of slope and intercept"
    if kind.rescale_type not in ("", "HU"):
        return f"RescaleType is {kind.rescale_type}, not HU"
    for value in kind.image_type[2:]:
        if _ENERGY_TYPES.match(value):
            return f"a dual-energy map (image type {value}), not a CT image in HU"
    words = _ENERGY_WORDS.search(kind.header.series_description or "")
    if words:
        return f"a dual-energy map (series description says “{words.group(0)}”), not a CT image in HU"
    return None


def _matrix(kind: ImageKind) -> str | None:
    sides = (kind.rows or 0, kind.columns or 0)
    if max(sides) > MATRIX_LIMIT or min(sides) < MATRIX_LEAST:
        return f"{sides[0]} rows × {sides[1]} columns; {MATRIX_LEAST} … {MATRIX_LIMIT} are supported"
    if kind.frames != 1:
        return f"{kind.frames} frames in a single-frame CT object"
    return None


_KIND_RULES: tuple[Callable[[ImageKind], str | None], ...] = (
    _not_ct,
    _color,
    _no_slices,
    _lossy_jpeg,
    _bits,
    _other_quantity,
    _matrix,
)


def _geometry_complaints(series: Series) -> Iterator[str]:
    """Yield what forbids a volume, from the number of slices and their positions."""
    count = len(series.images)
    if count < SLICE_LEAST:
        yield f"{count} slices; at least {SLICE_LEAST} are needed for a volume"
    if count > SLICE_LIMIT:
        yield f"{count} slices; at most {SLICE_LIMIT} are read"
    kinds = _distinct(image.kind for image in series.images)
    voxels = count * max((kind.rows or 0) * (kind.columns or 0) for kind in kinds)
    if voxels > VOXEL_LIMIT:
        yield f"{voxels} voxels; at most {VOXEL_LIMIT} are read"
    if any(kind.orientation is None for kind in kinds):
        yield "an image without a usable ImageOrientationPatient"
    lost = next((image for image in series.images if image.position_lps_mm is None), None)
    if lost is not None:
        yield f"no usable ImagePositionPatient in {lost.name}"
    low, high = SPACING_RANGE_MM
    for kind in kinds:
        spacing = kind.pixel_spacing_mm
        if spacing is None:
            yield "an image without a usable PixelSpacing"
        elif not low <= min(spacing) <= max(spacing) <= high:
            yield f"pixel spacing {spacing[0]:g} × {spacing[1]:g} mm; {low:g} … {high:g} mm are supported"


def _pixel_complaint(image: Image) -> str | None:
    kind, pixels = image.kind, image.pixels
    if image.slope is None or image.intercept is None:
        return "RescaleSlope or RescaleIntercept is missing or no number; HU cannot be computed"
    if image.slope == 0:
        return "RescaleSlope is 0; HU cannot be computed"
    if pixels is None:
        return "no pixel data"
    if SYNTAXES[kind.transfer_syntax].encapsulated:
        return None if pixels.length is None else "compressed pixel data that is not encapsulated"
    return _length_complaint(pixels, (kind.rows or 0) * (kind.columns or 0) * (kind.bits_allocated or 0) // 8)


def _length_complaint(pixels: PixelSource, needed: int) -> str | None:
    """Check announced against needed and against present bytes of uncompressed pixel data."""
    if pixels.length is None:
        return "uncompressed pixel data of undefined length"
    if pixels.length < needed * (pixels.frame + 1):
        return f"pixel data of {pixels.length} bytes; {needed * pixels.frames} are needed for its rows and columns"
    missing = pixels.offset + pixels.length - pixels.file_size
    if pixels.deflated_from is None and missing > 0:
        return f"truncated: {missing} bytes of {pixels.length} of the pixel data are missing"
    return None
