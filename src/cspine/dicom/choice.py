"""Choose the one series of a study to read (docs/explanation/series-choice.md has the rule in words)."""

import re
from dataclasses import dataclass

from cspine.dicom.refusal import refusal
from cspine.dicom.series import Series, normal_of
from cspine.domain import InputError, NoImages

# C1 to C7 measure about 110 … 130 mm along the table.
NECK_EXTENT_MM = 120.0
THIN_MM = 1.25
# Extents below that are compared in steps, so that a slice more or less does not outweigh the kernel.
_EXTENT_STEP_MM = 10.0
# Within this angle of the patient's axes a stack counts as axial; a gantry tilts up to 30°.
_AXIAL_COSINE = 0.86

_SIEMENS_KERNEL = re.compile(r"^[A-Za-z]{1,2}(\d{2})")
_SHARP_FROM = 50
_SHARP_NAMES = re.compile(
    r"^(BONE|BONE ?PLUS|EDGE|ULTRA|DETAIL|HD ?BONE.*|D|E|YB|YC|YD|FC3\d|FC8\d|SHARP|U?H?R?[- ]?BONE.*)$", re.IGNORECASE
)
_SHARP_WORDS = re.compile(r"\b(bone|bones|bony|knochen|osseux|os|oss[eo]|hueso|sharp)\b", re.IGNORECASE)


@dataclass(frozen=True)
class NotUsed:
    """A series that was not read, and why."""

    series: Series
    reason: str


@dataclass(frozen=True)
class Choice:
    """The series to read, and the others with the reason why not."""

    chosen: Series
    not_used: tuple[NotUsed, ...]


@dataclass(frozen=True)
class _Merit:
    """One preference: what it is, and the sentence when another series is better at it."""

    value: float
    lost: str


def choose_series(candidates: tuple[Series, ...] | list[Series]) -> Choice:
    """Choose the series of one study that shows most of the neck in the finest slices.

    Parameters
    ----------
    candidates
        Series of one study; their order does not matter.

    Raises
    ------
    NoImages
        There is no series at all.
    InputError
        Every series is refused; the class and the first sentence are those of the series with most images.
    """
    if not candidates:
        raise NoImages("no image series was found")
    objections = [(series, refusal(series)) for series in candidates]
    readable = [series for series, objection in objections if objection is None]
    if not readable:
        raise _all_refused([(s, o) for s, o in objections if o is not None])
    ranked = sorted(readable, key=lambda s: (*(-m.value for m in _merits(s)), s.series_uid, s.part))
    best = ranked[0]
    not_used = [NotUsed(series, _why_not(series, best)) for series in ranked[1:]]
    not_used += [NotUsed(series, str(objection)) for series, objection in objections if objection is not None]
    return Choice(best, tuple(not_used))


def slice_mm(series: Series) -> float:
    """Return how thick a slice counts: its thickness or the spacing, whichever is larger."""
    return max(series.kind.thickness_mm or 0.0, series.spacing_mm)


def is_sharp(series: Series) -> bool:
    """Whether kernel or description tell of a bone reconstruction."""
    kernel = series.kind.kernel.split("\\")[0].strip()
    numbered = _SIEMENS_KERNEL.match(kernel)
    if numbered and not kernel.upper().startswith("FC"):
        return int(numbered.group(1)) >= _SHARP_FROM
    return bool(_SHARP_NAMES.match(kernel) or _SHARP_WORDS.search(series.header.series_description or ""))


def is_original_axial(series: Series) -> bool:
    """Whether the slices are reconstructed as scanned, not reformatted."""
    orientation = series.kind.orientation
    axial = orientation is not None and abs(float(normal_of(orientation)[2])) >= _AXIAL_COSINE
    return axial and series.kind.image_type[0] != "DERIVED"


def _merits(series: Series) -> tuple[_Merit, ...]:
    """Return the preferences in order; more is better."""
    extent, thickness = series.extent_mm, slice_mm(series)
    return (
        _Merit(min(extent, NECK_EXTENT_MM) // _EXTENT_STEP_MM, f"covers {extent:.0f} mm, less than the one chosen"),
        _Merit(is_original_axial(series), "reformatted or derived, not original axial slices"),
        _Merit(thickness <= THIN_MM, f"slices of {thickness:.3g} mm, thicker than {THIN_MM} mm"),
        _Merit(is_sharp(series), f"kernel {series.kind.kernel or 'unknown'} is not a bone kernel"),
        _Merit(-round(thickness, 3), f"slices of {thickness:.3g} mm, thicker than the one chosen"),
        _Merit(round(extent), f"covers {extent:.0f} mm, less than the one chosen"),
        _Merit(len(series.images), f"{len(series.images)} images, fewer than the one chosen"),
    )


def _why_not(series: Series, best: Series) -> str:
    for own, other in zip(_merits(series), _merits(best), strict=True):
        if own.value < other.value:
            return own.lost
    return "equal to the one chosen"


def _all_refused(objections: list[tuple[Series, InputError]]) -> InputError:
    objections.sort(key=lambda pair: (-len(pair[0].images), pair[0].series_uid, pair[0].part))
    first = objections[0][1]
    if len(objections) > 1:
        others = "; ".join(str(objection) for _, objection in objections[1:4])
        more = f" and {len(objections) - 4} more" if len(objections) > 4 else ""
        first.args = (f"{first} (other series of the study refused too: {others}{more})",)
    return first
