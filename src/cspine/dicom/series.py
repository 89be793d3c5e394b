"""Group images into studies and series, and a series into stacks that may be one volume.

A DICOM series may hold a scout, two kernels, an axial stack and its reformats, or the same stack twice. What shares
orientation, matrix, spacing, kernel, image type and frame of reference forms one `Series` here; a wide gap and a
repeated acquisition split it further (docs/explanation/series-choice.md).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from statistics import median

import numpy as np

from cspine.dicom.header import StudyHeader
from cspine.dicom.images import Image, ImageKind

# Directions closer than this belong to one stack: 0.1°, far above the rounding of written cosines.
DIRECTION_TOLERANCE = 2e-3
# Positions along the normal closer than this are the same place.
SAME_PLACE_MM = 0.01
# A gap is one when it exceeds this many median spacings …
GAP_FACTOR = 1.5
# … and splits the stack when it is also wider than this: most of a vertebra fits in.
SPLIT_GAP_MM = 10.0


@dataclass(frozen=True)
class Series:
    """A group of images that may be one volume.

    Attributes
    ----------
    study_uid, series_uid
        As the headers give them; empty when they do not.
    part
        What sets this group apart from others of the same series; empty when it is alone.
    """

    study_uid: str
    series_uid: str
    images: tuple[Image, ...] = field(repr=False)
    part: str = ""

    @property
    def kind(self) -> ImageKind:
        """What most images share: the kind of the first one."""
        return self.images[0].kind

    @property
    def header(self) -> StudyHeader:
        """Patient, study and series in words."""
        return self.images[0].kind.header

    @property
    def name(self) -> str:
        """A short name for messages."""
        uid = self.series_uid or "series without UID"
        return f"{uid} ({self.part})" if self.part else uid

    @cached_property
    def positions_mm(self) -> tuple[float, ...]:
        """Sorted positions along the normal, mm; empty without geometry."""
        heights = heights_mm(self.images)
        return () if heights is None else tuple(sorted(heights))

    @property
    def extent_mm(self) -> float:
        """Distance of the outer slices' centers along the normal; 0 without geometry."""
        places = self.positions_mm
        return places[-1] - places[0] if places else 0.0

    @property
    def spacing_mm(self) -> float:
        """Median distance of neighboring places; 0 when there is but one."""
        return median_gap(self.positions_mm)


@dataclass(frozen=True)
class Study:
    """The series of one study, in the order of their UIDs."""

    uid: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class ScanResult:
    """What was found: studies with their series, and every file that is in none of them."""

    studies: tuple[Study, ...]
    skipped: tuple[Skipped, ...]


def group(images: Iterable[Image]) -> tuple[Study, ...]:
    """Group images into studies and series; the order of the images does not matter."""
    by_series: dict[tuple[str, str], list[Image]] = defaultdict(list)
    for image in images:
        by_series[image.kind.study_uid, image.kind.series_uid].append(image)
    by_study: dict[str, list[Series]] = defaultdict(list)
    for (study, uid), members in sorted(by_series.items()):
        members.sort(key=lambda image: (image.sop_instance_uid, image.frame_number or 0, image.name))
        by_study[study] += _parts(study, uid, members)
    return tuple(Study(uid, tuple(series)) for uid, series in sorted(by_study.items()))


def normal_of(orientation: tuple[float, ...]) -> np.ndarray:
    """Return the direction of the stack: row direction × column direction (LPS), not normalized."""
    return np.cross(orientation[:3], orientation[3:])


def heights_mm(images: Iterable[Image]) -> list[float] | None:
    """Return positions along the normal of the first image, ``None`` when an image lacks geometry."""
    images = list(images)
    orientation = images[0].kind.orientation
    if orientation is None or any(image.position_lps_mm is None for image in images):
        return None
    normal = normal_of(orientation)
    length = float(np.linalg.norm(normal))
    if length == 0:
        return None
    places = np.array([image.position_lps_mm for image in images], dtype=np.float64)
    heights: list[float] = (places @ (normal / length)).tolist()
    return heights


def median_gap(places: Iterable[float]) -> float:
    """Return the median distance of sorted places that are not the same place; 0 when there are fewer than two."""
    places = list(places)
    gaps = [b - a for a, b in pairwise(places) if b - a > SAME_PLACE_MM]
    return median(gaps) if gaps else 0.0


def _parts(study: str, uid: str, members: list[Image]) -> list[Series]:
    groups = _merge_shapes(_by_kind(members))
    for split in (_by_acquisition, _by_gap):
        groups = [piece for piece_of in groups for piece in split(piece_of)]
    if len(groups) == 1:
        return [Series(study, uid, tuple(groups[0]))]
    named = [Series(study, uid, tuple(piece), _describe(piece)) for piece in groups]
    return [_numbered(series, named) for series in named]


def _by_kind(members: list[Image]) -> list[list[Image]]:
    """Separate images whose headers say that they cannot be of one stack."""
    keys: dict[int, tuple[object, ...]] = {}
    directions: list[np.ndarray] = []
    groups: dict[tuple[object, ...], list[Image]] = {}
    for image in members:
        kind = image.kind
        if id(kind) not in keys:
            keys[id(kind)] = (
                _direction_class(kind.orientation, directions),
                kind.sop_class_uid,
                kind.rows,
                kind.columns,
                _rounded(kind.pixel_spacing_mm),
                kind.kernel,
                kind.image_type[:3],
                _unit(kind),
                kind.frame_uid,
            )
        groups.setdefault(keys[id(kind)], []).append(image)
    return list(groups.values())


def _rounded(spacing: tuple[float, float] | None) -> tuple[float, ...] | None:
    return None if spacing is None else tuple(round(value, 4) for value in spacing)


def _direction_class(orientation: tuple[float, ...] | None, known: list[np.ndarray]) -> int:
    """Return the number of the first known direction within `DIRECTION_TOLERANCE`, else add one; −1 without."""
    if orientation is None:
        return -1
    direction = np.asarray(orientation)
    for number, other in enumerate(known):
        if float(np.abs(direction - other).max()) < DIRECTION_TOLERANCE:
            return number
    known.append(direction)
    return len(known) - 1


def _merge_shapes(groups: list[list[Image]]) -> list[list[Image]]:
    """Rejoin the few slices of another matrix that fill places left free by the many of the same stack."""
    groups = sorted(groups, key=len, reverse=True)
    kept: list[list[Image]] = []
    for piece in groups:
        home = next((other for other in kept if _fills(piece, other)), None)
        if home is None:
            kept.append(list(piece))
        else:
            home += piece
    return kept


def _fills(few: list[Image], many: list[Image]) -> bool:
    a, b = few[0].kind, many[0].kind
    if (a.rows, a.columns) == (b.rows, b.columns) or _same_but_matrix(a) != _same_but_matrix(b):
        return False
    if a.orientation is None or b.orientation is None or len(few) * 2 > len(many):
        return False
    if float(np.abs(np.subtract(a.orientation, b.orientation)).max()) >= DIRECTION_TOLERANCE:
        return False
    heights = heights_mm([*many, *few])
    if heights is None:
        return False
    taken, wanted = np.array(heights[: len(many)]), np.array(heights[len(many) :])
    return bool((np.abs(taken[None, :] - wanted[:, None]).min(axis=1) > SAME_PLACE_MM).all())


def _same_but_matrix(kind: ImageKind) -> tuple[object, ...]:
    spacing = _rounded(kind.pixel_spacing_mm)
    return kind.sop_class_uid, spacing, kind.kernel, kind.image_type[:3], _unit(kind), kind.frame_uid


def _unit(kind: ImageKind) -> str:
    """Return the unit of the values; an unnamed one is HU in a CT image (PS3.3 C.8.2.1.1.2)."""
    return kind.rescale_type or "HU"


def _by_acquisition(piece: list[Image]) -> list[list[Image]]:
    """Separate acquisitions that cover the same places; an acquisition number alone separates nothing."""
    heights = heights_mm(piece)
    if heights is None or not _repeats(heights):
        return [piece]
    by_number: dict[int | None, list[Image]] = defaultdict(list)
    for image in piece:
        by_number[image.acquisition_number].append(image)
    parts = [by_number[number] for number in sorted(by_number, key=lambda n: (n is None, n or 0))]
    if len(parts) == 1 or any(_repeats(heights_mm(part) or []) for part in parts):
        return [piece]
    return parts


def _repeats(heights: list[float]) -> bool:
    ordered = sorted(heights)
    return any(b - a <= SAME_PLACE_MM for a, b in pairwise(ordered))


def _by_gap(piece: list[Image]) -> list[list[Image]]:
    heights = heights_mm(piece)
    if heights is None:
        return [piece]
    order = sorted(range(len(piece)), key=heights.__getitem__)
    places = [heights[i] for i in order]
    limit = max(SPLIT_GAP_MM, GAP_FACTOR * median_gap(places))
    cuts = [k for k in range(1, len(places)) if places[k] - places[k - 1] > limit]
    edges = [0, *cuts, len(places)]
    return [[piece[i] for i in order[a:b]] for a, b in pairwise(edges)]


def _describe(piece: list[Image]) -> str:
    kind = piece[0].kind
    words = (
        _plane(kind.orientation),
        f"{kind.rows}×{kind.columns}",
        f"kernel {kind.kernel}" if kind.kernel else "",
        " ".join(kind.image_type[:3]).strip(),
        f"{len(piece)} images",
    )
    return ", ".join(word for word in words if word)


def _plane(orientation: tuple[float, ...] | None) -> str:
    if orientation is None:
        return "no orientation"
    return ("sagittal", "coronal", "axial")[int(np.abs(normal_of(orientation)).argmax())]


def _numbered(series: Series, named: list[Series]) -> Series:
    """Tell apart groups that would be described by the same words."""
    alike = [other for other in named if other.part == series.part]
    if len(alike) == 1:
        return series
    return replace(series, part=f"{series.part}, part {alike.index(series) + 1} of {len(alike)}")
