"""Planes through the neck, as points in the patient, and what the scan shows there.

A `Reformat` is a picture-sized table of points in LPS mm: it knows no voxels. `sample` asks the scan at these points
only, so the cost does not depend on the size of the volume. The sagittal and the coronal reformat are curved along
the neck: each row goes through the line of the vertebral centers. Pictures hang as radiologists hang them: head up,
the front to the left on sagittal ones, the patient's right to the left on coronal and axial ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Box, Grid, LabelMap, Vertebra, VertebraFinding, Volume, WorldBox

AIR_HU = -1000.0
# Room round the centers, mm: the head's base above, the trachea in front, spinous processes and skin behind.
ABOVE_MM, BELOW_MM = 42.0, 38.0
FRONT_MM, BACK_MM = 48.0, 78.0
SIDE_MM = 62.0
AXIAL_HALF_MM, AXIAL_BACK_MM, AXIAL_PIXEL_MM = 44.0, 14.0, 0.5
SCAN_EDGE_MM = 6.0  # shown beyond the edge of the scan, so that a cut is seen as one
MIN_FIELD_MM, MAX_FIELD_MM = 90.0, 320.0
SMOOTH_MM = 5.0  # of the line of centers
# The line goes on with its slope for this far: up to the tip of the dens, down to the first thoracic bodies.
REACH_UP_MM, REACH_DOWN_MM = 24.0, 40.0
MAX_PIXELS = 440
FINEST_MM = 0.4


@dataclass(frozen=True, eq=False)
class Reformat:
    """A plane or curved surface to draw.

    Attributes
    ----------
    name
        ``"sagittal"``, ``"coronal"`` or ``"axial"``.
    points_lps_mm
        (row, column, 3).
    pixel_mm
        Distance of pixels along rows and columns; along the curve it is measured in the plane of the picture.
    row_axis, column_axis
        Which of (x, y, z) runs along the rows (down) and columns (right) of the picture.
    depth_mm
        Smallest and largest coordinate across the picture, over the rows that hold vertebrae.
    """

    name: str
    points_lps_mm: np.ndarray
    pixel_mm: float
    row_axis: int
    column_axis: int
    depth_mm: tuple[float, float]

    @property
    def depth_axis(self) -> int:
        """Which of (x, y, z) runs through the picture."""
        return 3 - self.row_axis - self.column_axis

    def pixel_of(self, point_lps_mm: Sequence[float]) -> tuple[float, float]:
        """Return the (row, column), at pixel centers, over which a point lies."""
        first = self.points_lps_mm[0, 0]
        down = 1.0 if self.row_axis == 1 else -1.0
        row = down * (point_lps_mm[self.row_axis] - first[self.row_axis]) / self.pixel_mm
        column = (point_lps_mm[self.column_axis] - first[self.column_axis]) / self.pixel_mm
        return float(row), float(column)


@dataclass(frozen=True, eq=False)
class Sampled:
    """What the scan shows on a reformat, all (row, column).

    Attributes
    ----------
    hu
        float32, linear between voxels.
    labels
        uint8, of the nearest voxel.
    inside
        Whether the point lies in the scanned field.
    """

    hu: np.ndarray
    labels: np.ndarray
    inside: np.ndarray


def sagittal(found: Sequence[VertebraFinding], grid: Grid) -> Reformat:
    """Return the sagittal surface through the vertebral centers, or the middle plane of a scan without any."""
    scan, centers = grid.box_to_world(Box((0, 0, 0), grid.shape)), _centers(found)
    z_mm = _heights(found, scan)
    y_low, y_high = _span(centers[:, 1], FRONT_MM, BACK_MM, scan, axis=1)
    x_mm = _curve(centers[:, [2, 0]], z_mm, scan.center_lps_mm[0], go_on=False)
    pixel = _pixel_mm(y_high - y_low, z_mm)
    rows = np.arange(z_mm[1], z_mm[0], -pixel)
    columns = np.arange(y_low, y_high, pixel)
    points = np.empty((len(rows), len(columns), 3))
    points[..., 0] = np.interp(rows, *x_mm)[:, None]
    points[..., 1], points[..., 2] = columns, rows[:, None]
    return Reformat("sagittal", points, pixel, row_axis=2, column_axis=1, depth_mm=_depth(points, 0, centers))


def coronal(found: Sequence[VertebraFinding], grid: Grid) -> Reformat:
    """Return the coronal surface through the vertebral bodies, or the middle plane of a scan without any.

    C1 is left out where another level guides: the center of its ring lies in the canal, the dens in front of it.
    """
    bodies = [f for f in found if f.vertebra != Vertebra.C1]
    scan, centers = grid.box_to_world(Box((0, 0, 0), grid.shape)), _centers(found)
    guide = _centers(bodies) if len(_centers(bodies)) else centers
    z_mm = _heights(found, scan)
    x_low, x_high = _span(centers[:, 0], SIDE_MM, SIDE_MM, scan, axis=0)
    y_mm = _curve(guide[:, [2, 1]], z_mm, scan.center_lps_mm[1], go_on=True)
    pixel = _pixel_mm(x_high - x_low, z_mm)
    rows = np.arange(z_mm[1], z_mm[0], -pixel)
    columns = np.arange(x_low, x_high, pixel)
    points = np.empty((len(rows), len(columns), 3))
    points[..., 0], points[..., 2] = columns, rows[:, None]
    points[..., 1] = np.interp(rows, *y_mm)[:, None]
    return Reformat("coronal", points, pixel, row_axis=2, column_axis=0, depth_mm=_depth(points, 1, centers))


def axial(center_lps_mm: Sequence[float]) -> Reformat:
    """Return the axial plane through a vertebral center, with its arch and spinous process."""
    x, y, z = center_lps_mm
    steps = np.arange(-AXIAL_HALF_MM, AXIAL_HALF_MM, AXIAL_PIXEL_MM)
    points = np.empty((len(steps), len(steps), 3))
    points[..., 0], points[..., 1], points[..., 2] = x + steps, (y + AXIAL_BACK_MM + steps)[:, None], z
    return Reformat("axial", points, AXIAL_PIXEL_MM, row_axis=1, column_axis=0, depth_mm=(z, z))


def sample(reformat: Reformat, volume: Volume, labels: LabelMap) -> Sampled:
    """Return HU and labels at the points of a reformat; both grids may have any orientation."""
    index = volume.grid.to_index(reformat.points_lps_mm)
    top = np.array(volume.grid.shape) - 1
    inside: np.ndarray = np.all((index > -0.5) & (index < top + 0.5), axis=-1)
    held = np.moveaxis(np.clip(index, 0, top), -1, 0)
    hu = ndimage.map_coordinates(volume.hu, held, output=np.float32, order=1, mode="nearest", prefilter=False)
    hu[~inside] = AIR_HU
    return Sampled(hu, _nearest(labels, reformat.points_lps_mm), inside)


def _nearest(labels: LabelMap, points_lps_mm: np.ndarray) -> np.ndarray:
    index = np.rint(labels.grid.to_index(points_lps_mm)).astype(np.intp)
    top = np.array(labels.grid.shape) - 1
    outside = ((index < 0) | (index > top)).any(axis=-1)
    k, i, j = np.moveaxis(np.clip(index, 0, top), -1, 0)
    out: np.ndarray = labels.labels[k, i, j]
    out[outside] = 0
    return out


def _centers(found: Sequence[VertebraFinding]) -> np.ndarray:
    """Return (N, 3) centers of the vertebrae that were seen, head to foot."""
    seen = [f.center_lps_mm for f in found if f.center_lps_mm is not None]
    return np.array(seen, dtype=np.float64).reshape(-1, 3)


def _heights(found: Sequence[VertebraFinding], scan: WorldBox) -> tuple[float, float]:
    """Return the lowest and the highest z of a picture: the seen neck and its surroundings, inside the scan."""
    centers = _centers(found)
    low, high = _span(centers[:, 2], BELOW_MM, ABOVE_MM, scan, axis=2)
    return low, high


def _span(values: np.ndarray, before_mm: float, after_mm: float, scan: WorldBox, axis: int) -> tuple[float, float]:
    """Return the part of one axis to show: round the centers, within the scan, neither tiny nor endless."""
    edge_low, edge_high = scan.min_lps_mm[axis] - SCAN_EDGE_MM, scan.max_lps_mm[axis] + SCAN_EDGE_MM
    low, high = edge_low, edge_high
    if values.size:
        low = max(edge_low, float(values.min()) - before_mm)
        high = min(edge_high, float(values.max()) + after_mm)
    size = min(max(high - low, MIN_FIELD_MM), MAX_FIELD_MM)
    middle = (low + high) / 2
    return middle - size / 2, middle + size / 2


def _pixel_mm(width_mm: float, z_mm: tuple[float, float]) -> float:
    return max(FINEST_MM, width_mm / MAX_PIXELS, (z_mm[1] - z_mm[0]) / MAX_PIXELS)


def _curve(
    guide: np.ndarray, z_mm: tuple[float, float], default_mm: float, *, go_on: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return (z ascending, depth): a smooth line through the guide points (N, 2) of (z, depth).

    Beyond the guide it stays, or with `go_on` keeps the slope of the last pair a while.
    """
    z = np.arange(z_mm[0] - 1, z_mm[1] + 1, 1.0)
    if len(guide) == 0:
        return z, np.full_like(z, default_mm)
    ascending = guide[np.argsort(guide[:, 0])]
    if go_on and len(ascending) > 1:
        below = _reached(ascending[1], ascending[0], REACH_DOWN_MM)
        above = _reached(ascending[-2], ascending[-1], REACH_UP_MM)
        ascending = np.vstack([below, ascending, above])
    depth = np.interp(z, ascending[:, 0], ascending[:, 1])
    return z, ndimage.gaussian_filter1d(depth, SMOOTH_MM, mode="nearest")


def _reached(start: np.ndarray, end: np.ndarray, further_mm: float) -> np.ndarray:
    """Return the point that lies `further_mm` in z beyond `end` on the line from `start`, at most at 45°."""
    rise, drift = end - start
    slope = np.clip(drift / rise, -1, 1) if abs(rise) > 1 else 0.0
    return np.asarray(end + np.copysign(further_mm, rise) * np.array([1.0, slope]))


def _depth(points: np.ndarray, axis: int, centers: np.ndarray) -> tuple[float, float]:
    """Return the range of the depth coordinate over the rows between first and last center."""
    rows_z, depth = points[:, 0, 2], points[:, 0, axis]
    if len(centers):
        within = (rows_z >= centers[:, 2].min()) & (rows_z <= centers[:, 2].max())
        depth = depth[within] if within.any() else depth[[np.abs(rows_z - centers[0, 2]).argmin()]]
    return float(depth.min()), float(depth.max())
