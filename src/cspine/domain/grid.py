"""The one door between voxels and millimeters.

Arrays are C-ordered ``(slice, row, column)``. The affine maps that index, taken at voxel *centers*, to
DICOM patient coordinates (LPS, mm), the convention of highdicom. Nobody else multiplies by a spacing.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product

import numpy as np

from cspine.domain.box import Box, WorldBox

# Cosines that DICOM writes with six decimals are orthogonal to about 1e-6; more is a shear (gantry tilt).
ORTHOGONALITY_LIMIT = 1e-4
# Rows of the canonical frame: slice toward the feet (-S), row toward the back (+P), column toward the left (+L).
CANONICAL_DIRECTIONS = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class AxisOrder:
    """A permutation of array axes followed by flips; exact on voxels.

    Attributes
    ----------
    order
        ``order[i]`` is the old axis that becomes new axis ``i``.
    flips
        Whether new axis ``i`` runs backward along that old axis.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Return a view of a 3-D array in the new axis order."""
        view = array.transpose(self.order)
        return view[tuple(slice(None, None, -1 if f else 1) for f in self.flips)]

    def undo(self, array: np.ndarray) -> np.ndarray:
        """Return a view of a 3-D array in the old axis order."""
        view = array[tuple(slice(None, None, -1 if f else 1) for f in self.flips)]
        return view.transpose(np.argsort(self.order))

    def move_box(self, box: Box, shape: tuple[int, int, int]) -> Box:
        """Return where a box of an array of `shape`, both in the old axis order, lies in the new one."""
        start, stop = [], []
        for old, flip in zip(self.order, self.flips, strict=True):
            low, high = box.start_zyx[old], box.stop_zyx[old]
            start.append(shape[old] - high if flip else low)
            stop.append(shape[old] - low if flip else high)
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


AXIS_ORDERS = tuple(
    AxisOrder((a, b, c), (x, y, z))
    for a, b, c in permutations(range(3))
    for x, y, z in product((False, True), repeat=3)
)
"""All 48 ways to lay the three axes along the patient's, mirror images included; the first changes nothing."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular orthogonal voxel grid in patient space.

    Parameters
    ----------
    shape
        Voxels along (slice, row, column), each at least 1.
    affine
        4×4, float64: homogeneous (slice, row, column, 1) → LPS mm. Copied and made read-only.
    frame_uid
        Frame of Reference UID, or ``None`` when the source has none (PS3.3 C.7.4.1).

    Raises
    ------
    ValueError
        Shape or affine is not finite, not orthogonal, or has an extent that is not positive.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    frame_uid: str | None = None

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError(f"affine must be a finite 4×4 matrix, got shape {affine.shape}: {affine.tolist()}")
        if not np.array_equal(affine[3], [0, 0, 0, 1]):
            raise ValueError(f"last row of the affine must be 0 0 0 1, got {affine[3].tolist()}")
        if len(self.shape) != 3 or any(int(n) < 1 for n in self.shape):
            raise ValueError(f"shape must be three numbers of at least 1, got {self.shape}")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if (lengths <= 0).any():
            raise ValueError(f"voxel extents must be positive, got {lengths.tolist()} mm")
        unit = affine[:3, :3] / lengths
        skew = float(np.abs(unit.T @ unit - np.eye(3)).max())
        if skew > ORTHOGONALITY_LIMIT:
            raise ValueError(f"axes are not orthogonal: largest cosine {skew:.2g}, limit {ORTHOGONALITY_LIMIT}")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        same = self.shape == other.shape and self.frame_uid == other.frame_uid
        return same and bool(np.array_equal(self.affine, other.affine))

    def __hash__(self) -> int:
        return hash((self.shape, self.frame_uid, self.affine.tobytes()))

    @classmethod
    def from_axes(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
        directions: np.ndarray = CANONICAL_DIRECTIONS,
        frame_uid: str | None = None,
    ) -> "Grid":
        """Build a grid from spacing and unit directions.

        Parameters
        ----------
        spacing_mm
            Along (slice, row, column).
        origin_lps_mm
            Center of voxel (0, 0, 0), as (x, y, z).
        directions
            3×3; row ``i`` is the LPS unit vector of array axis ``i``. Default: the canonical frame.
        """
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(directions, dtype=np.float64).T * np.asarray(spacing_mm, dtype=np.float64)
        affine[:3, 3] = origin_lps_mm
        return cls(shape, affine, frame_uid)

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centers along (slice, row, column)."""
        z, y, x = (float(v) for v in np.linalg.norm(self.affine[:3, :3], axis=0))
        return z, y, x

    @cached_property
    def directions(self) -> np.ndarray:
        """3×3; row ``i`` is the LPS unit vector of array axis ``i``."""
        rows: np.ndarray = (self.affine[:3, :3] / np.asarray(self.spacing_mm)).T
        return rows

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Outer size along (slice, row, column), whole voxels counted."""
        z, y, x = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm))

    def to_world(self, index_zyx: np.ndarray) -> np.ndarray:
        """Map indices (…, 3) in (slice, row, column) to LPS mm (…, 3) in (x, y, z)."""
        index = np.asarray(index_zyx, dtype=np.float64)
        world: np.ndarray = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        return world

    def to_index(self, world_lps_mm: np.ndarray) -> np.ndarray:
        """Map LPS mm (…, 3) in (x, y, z) to fractional indices (…, 3) in (slice, row, column)."""
        offset = np.asarray(world_lps_mm, dtype=np.float64) - self.affine[:3, 3]
        index: np.ndarray = offset @ self._inverse.T
        return index

    def index_map_to(self, other: "Grid") -> np.ndarray:
        """Return the 4×4 matrix from homogeneous indices of this grid to those of `other`."""
        matrix = np.eye(4)
        matrix[:3, :3] = other._inverse @ self.affine[:3, :3]
        matrix[:3, 3] = other._inverse @ (self.affine[:3, 3] - other.affine[:3, 3])
        return matrix

    def crop(self, box: Box) -> "Grid":
        """Return the grid of a voxel box; it may reach beyond this grid."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world(np.asarray(box.start_zyx))
        return Grid(box.shape, affine, self.frame_uid)

    def at_spacing(self, spacing_mm: tuple[float, float, float]) -> "Grid":
        """Return a grid over the same outer corner and directions at another spacing.

        The number of voxels is rounded, so the far faces may move by half a new voxel.
        """
        new = np.asarray(spacing_mm, dtype=np.float64)
        counts = np.maximum(1, np.rint(np.asarray(self.extent_mm) / new)).astype(int)
        corner = self.to_world(np.full(3, -0.5))
        affine = np.eye(4)
        affine[:3, :3] = self.directions.T * new
        affine[:3, 3] = corner + affine[:3, :3] @ np.full(3, 0.5)
        return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine, self.frame_uid)

    def canonical_order(self) -> AxisOrder:
        """Return the axis order that brings slice 0 nearest the head, row 0 to the front, column 0 to the right.

        Oblique grids go to the nearest axes; no voxel value changes.
        """
        return self.order_toward(CANONICAL_DIRECTIONS)

    def order_toward(self, directions: np.ndarray) -> AxisOrder:
        """Return the axis order that brings this grid's axes nearest to other `directions` (3×3, rows are axes)."""
        cosines = directions @ self.directions.T
        order = _best_permutation(np.abs(cosines))
        flips = tuple(bool(cosines[new, old] < 0) for new, old in enumerate(order))
        return AxisOrder(order, (flips[0], flips[1], flips[2]))

    def reordered(self, axes: AxisOrder) -> "Grid":
        """Return the grid that an array has after ``axes.apply``."""
        start = np.zeros(3)
        affine = np.eye(4)
        for new, (old, flip) in enumerate(zip(axes.order, axes.flips, strict=True)):
            affine[:3, new] = self.affine[:3, old] * (-1 if flip else 1)
            start[old] = self.shape[old] - 1 if flip else 0
        affine[:3, 3] = self.to_world(start)
        z, y, x = (self.shape[old] for old in axes.order)
        return Grid((z, y, x), affine, self.frame_uid)

    def canonical(self) -> "Grid":
        """Return this grid in canonical axis order."""
        return self.reordered(self.canonical_order())

    def box_to_world(self, box: Box) -> WorldBox:
        """Return the LPS box round the outer faces of a voxel box."""
        low = np.asarray(box.start_zyx) - 0.5
        high = np.asarray(box.stop_zyx) - 0.5
        corners = self.to_world(np.array([[(low, high)[b >> i & 1][i] for i in range(3)] for b in range(8)]))
        lo, hi = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return WorldBox((lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2]))

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.inv(self.affine[:3, :3])


def _best_permutation(weight: np.ndarray) -> tuple[int, int, int]:
    """Return the permutation with the largest sum of ``weight[new, order[new]]``."""
    candidates = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    return max(candidates, key=lambda p: sum(float(weight[i, p[i]]) for i in range(3)))
