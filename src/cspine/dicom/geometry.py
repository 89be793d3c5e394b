"""Where the slices of a series lie, and on which grid they become a volume.

Positions are ImagePositionPatient, split into the height along the normal and two in-plane offsets. Nothing is taken
from file names, numbers or SliceLocation. PS3.3 C.7.6.2.1.1.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from cspine.dicom.images import Image
from cspine.dicom.refusal import MATRIX_LIMIT, SLICE_LEAST, SLICE_LIMIT, VOXEL_LIMIT
from cspine.dicom.series import GAP_FACTOR, SAME_PLACE_MM, SPLIT_GAP_MM, Series
from cspine.domain import Grid, NotAVolume, WorldBox

TILT_LIMIT_DEG = 0.5
# Gantries tilt by up to 30°.
TILT_MOST_DEG = 40.0
# In-plane offsets up to this part of a pixel are ignored; more is resampled.
OFFSET_LIMIT_PX = 0.3
WHOLE_PIXEL_PX = 0.05
SPACING_LIMIT_MM = 10.0
# Slices this close to the regular lattice count as on it: some scanners write positions with one decimal.
LATTICE_TOLERANCE_MM = 0.1 + 1e-6
LATTICE_TOLERANCE = 0.1
LATTICE_TOLERANCE_MOST = 0.25
# Distinct places closer than this part of the median spacing cannot be neighbors of one stack.
NEAREST_FACTOR = 0.25
_COSINE_TOLERANCE = 1e-2


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order along the normal, and the grid that they go to.

    Attributes
    ----------
    places
        Images by place, lowest first; more than one image at a place is a duplicate, to be compared.
    heights_mm
        One per place.
    offsets_px
        (places, 2): where the first stored pixel lies on the grid, in (row, column).
    grid
        Slice axis along the normal, rows and columns as stored by most images.
    tilt_deg
        Angle between the stack and the normal.
    moved_mm
        The largest in-plane shift that is resampled; 0 when rows and columns are as stored.
    gaps_mm
        (low, high) heights between which slices are missing.
    uneven_mm
        The largest distance of a slice from the regular lattice; 0 when it is regular.
    odd_shapes
        Number of images of another matrix than most.
    """

    places: tuple[tuple[Image, ...], ...]
    heights_mm: np.ndarray
    offsets_px: np.ndarray
    grid: Grid
    tilt_deg: float
    moved_mm: float
    gaps_mm: tuple[tuple[float, float], ...]
    uneven_mm: float
    odd_shapes: int

    @property
    def lattice_mm(self) -> np.ndarray:
        """Height of each slice of the grid."""
        lattice: np.ndarray = self.heights_mm[0] + self.grid.spacing_mm[0] * np.arange(self.grid.shape[0])
        return lattice

    def gap_boxes(self) -> tuple[WorldBox, ...]:
        """Return the space without a slice, as boxes in patient coordinates."""
        return tuple(self._slab(low, high) for low, high in self.gaps_mm)

    def _slab(self, low: float, high: float) -> WorldBox:
        first, step = self.heights_mm[0], self.grid.spacing_mm[0]
        _, rows, columns = self.grid.shape
        corners = [
            [(z - first) / step, y, x] for z in (low, high) for y in (-0.5, rows - 0.5) for x in (-0.5, columns - 0.5)
        ]
        world = self.grid.to_world(np.array(corners))
        lo, hi = world.min(axis=0).tolist(), world.max(axis=0).tolist()
        return WorldBox((lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2]))


@dataclass(frozen=True, eq=False)
class _Frame:
    """Orthonormal directions of a stack (LPS) and the pixel spacing between rows and between columns."""

    row: np.ndarray
    column: np.ndarray
    normal: np.ndarray
    spacing: np.ndarray


def arrange(series: Series) -> Stack:
    """Place the slices of a series whose headers were accepted.

    Raises
    ------
    NotAVolume
        Directions that are not orthogonal, too few places, a gap or spacing too wide, or a grid too large.
    """
    frame = _frame(series)
    images, heights, planar = _sorted(series, frame)
    starts = np.flatnonzero(np.diff(heights, prepend=-np.inf) > SAME_PLACE_MM)
    places = tuple(tuple(images[a:b]) for a, b in zip(starts, [*starts[1:], len(images)], strict=True))
    heights, planar = heights[starts], planar[starts]
    step, count, gaps, uneven = _lattice(heights, series.name)
    common = _common_shape(images)
    usual = np.array([_shape(place[0]) == common for place in places])
    tilt = _tilt_deg(heights[usual], planar[usual])
    if tilt > TILT_MOST_DEG:
        raise NotAVolume(f"the slices slide by {tilt:.1f}° against their normal; up to {TILT_MOST_DEG:g}°", series.name)
    origin, shape, moved = _plane(planar, usual, places, frame)
    offsets = (planar - origin) / frame.spacing
    if moved == 0:
        offsets[usual] = 0
    if count * shape[0] * shape[1] > VOXEL_LIMIT or max(shape) > 2 * MATRIX_LIMIT or count > SLICE_LIMIT:
        raise NotAVolume(f"needs a grid of {count} × {shape[0]} × {shape[1]}, more than is read", series.name)
    affine = np.eye(4)
    affine[:3, 0] = frame.normal * step
    affine[:3, 1] = frame.column * frame.spacing[0]
    affine[:3, 2] = frame.row * frame.spacing[1]
    affine[:3, 3] = frame.normal * heights[0] + frame.column * origin[0] + frame.row * origin[1]
    if moved == 0:
        affine[:3, 3] = _exact_origin(affine[:3, 3], places[0][0], bool(usual[0]))
    grid = Grid((count, shape[0], shape[1]), affine, series.kind.frame_uid)
    odd = sum(_shape(image) != common for image in images)
    return Stack(places, heights, offsets, grid, tilt, moved, gaps, uneven, odd)


def _frame(series: Series) -> _Frame:
    """Return the mean directions of all images, made orthonormal."""
    distinct = sorted({image.kind.orientation or () for image in series.images})
    mean = np.mean(np.array(distinct, dtype=np.float64), axis=0)
    row, column = mean[:3], mean[3:]
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    skew = abs(float(row @ column))
    if max(abs(length - 1) for length in lengths) > _COSINE_TOLERANCE or skew > _COSINE_TOLERANCE:
        raise NotAVolume(
            f"ImageOrientationPatient {mean.tolist()} is not two orthogonal unit vectors "
            f"(lengths {lengths[0]:.4f}, {lengths[1]:.4f}, cosine {skew:.4f})",
            series.name,
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    spacing = Counter(image.kind.pixel_spacing_mm for image in series.images).most_common()
    usual = min(value for value, number in spacing if number == spacing[0][1] and value is not None)
    return _Frame(row, column, np.cross(row, column), np.array(usual, dtype=np.float64))


def _sorted(series: Series, frame: _Frame) -> tuple[list[Image], np.ndarray, np.ndarray]:
    """Return images by height, their heights, and their (column direction, row direction) coordinates, mm."""
    positions = np.array([image.position_lps_mm for image in series.images], dtype=np.float64)
    heights = positions @ frame.normal
    rank = [
        (round(float(h), 3), i.sop_instance_uid, i.frame_number or 0, i.name)
        for h, i in zip(heights, series.images, strict=True)
    ]
    order = sorted(range(len(rank)), key=rank.__getitem__)
    planar = np.stack([positions @ frame.column, positions @ frame.row], axis=1)
    return [series.images[i] for i in order], heights[order], planar[order]


def _lattice(heights: np.ndarray, name: str) -> tuple[float, int, tuple[tuple[float, float], ...], float]:
    """Return step and number of the regular lattice, the gaps, and the largest deviation from the lattice."""
    if len(heights) < SLICE_LEAST:
        raise NotAVolume(f"{len(heights)} distinct slice positions; at least {SLICE_LEAST} are needed", name)
    distances = np.diff(heights)
    median = float(np.median(distances))
    if median > SPACING_LIMIT_MM:
        raise NotAVolume(f"slices are {median:.2f} mm apart; at most {SPACING_LIMIT_MM:g} mm are read", name)
    wide = np.flatnonzero(distances > GAP_FACTOR * median)
    gaps = tuple((float(heights[k]), float(heights[k + 1])) for k in wide)
    for low, high in gaps:
        if high - low > SPLIT_GAP_MM:
            raise NotAVolume(
                f"no slices for {high - low:.1f} mm between {low:.1f} and {high:.1f} mm along the stack; "
                f"gaps up to {SPLIT_GAP_MM:g} mm are bridged",
                name,
            )
    k = int(distances.argmin())
    if distances[k] < NEAREST_FACTOR * median:
        raise NotAVolume(
            f"two slices {distances[k]:.3f} mm apart at {heights[k]:.2f} mm in a stack of {median:.2f} mm: "
            "two stacks are mixed",
            name,
        )
    length = float(heights[-1] - heights[0])
    step = length / (len(heights) - 1)
    deviation = _deviation(heights, step)
    tolerance = max(LATTICE_TOLERANCE * step, min(LATTICE_TOLERANCE_MM, LATTICE_TOLERANCE_MOST * step))
    if not gaps and deviation <= tolerance:
        return step, len(heights), (), 0.0
    count = round(length / median) + 1
    step = length / (count - 1)
    return step, count, gaps, _deviation(heights, step)


def _deviation(heights: np.ndarray, step: float) -> float:
    """Return the largest distance of a height from the nearest point of the lattice."""
    index = (heights - heights[0]) / step
    return float(np.abs(index - np.rint(index)).max() * step)


def _common_shape(images: list[Image]) -> tuple[int, int]:
    counts = Counter(_shape(image) for image in images)
    return max(counts, key=lambda shape: (counts[shape], shape))


def _shape(image: Image) -> tuple[int, int]:
    return image.kind.rows or 0, image.kind.columns or 0


def _tilt_deg(heights: np.ndarray, planar: np.ndarray) -> float:
    """Return the angle between the usual step from slice to slice and the normal; single outliers do not count."""
    if len(heights) < 2:
        return 0.0
    slopes = np.diff(planar, axis=0) / np.diff(heights)[:, None]
    return float(np.degrees(np.arctan(np.linalg.norm(np.median(slopes, axis=0)))))


def _plane(
    planar: np.ndarray, usual: np.ndarray, places: tuple[tuple[Image, ...], ...], frame: _Frame
) -> tuple[np.ndarray, tuple[int, int], float]:
    """Return in-plane origin (column, row direction, mm), rows and columns of the grid, and the shift resampled."""
    rows, columns = _shape(places[int(usual.argmax())][0])
    middle = np.median(planar[usual], axis=0)
    moved = np.abs(planar[usual] - middle).max(axis=0)
    if (moved / frame.spacing <= OFFSET_LIMIT_PX).all():
        return middle, (rows, columns), 0.0
    low = planar.min(axis=0)
    sizes = np.array([_shape(place[0]) for place in places]) * frame.spacing
    extent = (planar + sizes).max(axis=0) - low
    wide = np.ceil(extent / frame.spacing - WHOLE_PIXEL_PX).astype(int)
    return low, (int(wide[0]), int(wide[1])), float(np.ptp(planar[usual], axis=0).max())


def _exact_origin(computed: np.ndarray, first: Image, usual: bool) -> np.ndarray:
    """Return the first slice's own position where the computed one differs by rounding alone."""
    own = np.array(first.position_lps_mm, dtype=np.float64)
    return own if usual and float(np.abs(own - computed).max()) < 1e-6 else computed
