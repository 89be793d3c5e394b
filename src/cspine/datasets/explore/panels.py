"""Pictures of slices, masks and boxes. Only the slices that are shown are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cspine.datasets.index import LEVELS, UID
from cspine.datasets.labeled_study import Placement, StudyFiles, mask_on, place_study, series_of, with_level
from cspine.datasets.tiles import Tile, gray_tile, level_palette, mask_tile, montage, overlay_tile, png, with_frames
from cspine.dicom import Series, read_images
from cspine.domain import AxisOrder, Grid, InputError, LabelMap, Vertebra
from cspine.stores import read_nifti_labels

Measures = Mapping[str, Mapping[str, Any]]
TILE_PX = 220
COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Panel:
    """A PNG and what it shows, one row per tile."""

    png: bytes
    table: pd.DataFrame


@dataclass(frozen=True, eq=False)
class OpenStudy:
    """A study whose headers were read: single slices come from it in canonical orientation."""

    files: StudyFiles
    series: Series
    placement: Placement

    @classmethod
    def of(cls, files: StudyFiles) -> "OpenStudy":
        """Read the headers; errors as in `read_study`."""
        series = series_of(files)
        return cls(files, series, place_study(files, series))

    def slice_hu(self, index: int) -> np.ndarray:
        """Return HU (rows, columns) of a slice counted from the head."""
        number = self.placement.numbers[index]
        (k,) = [k for k, image in enumerate(self.series.images) if image.instance_number == number][:1]
        plane = read_images(self.series, [k], workers=1)[0]
        turned = _stored_order(self.series).apply(plane[None])[0]
        return _fitted(turned, self.placement.grid.shape[1:])

    def labels(self) -> LabelMap:
        """Return the mask on the slices."""
        assert self.files.mask is not None  # asked only of studies with one
        return mask_on(read_nifti_labels(self.files.mask), self.placement.grid, str(self.files.mask))[0]


def random_slices(studies: Sequence[StudyFiles], count: int, rng: np.random.Generator) -> Panel:
    """Draw slices from anywhere."""
    tiles, rows = [], []
    for k in rng.choice(len(studies), size=min(count, len(studies)), replace=False) if studies else []:
        opened = _opened(studies[int(k)])
        if opened is None:
            continue
        index = int(rng.integers(len(opened.placement.numbers)))
        number = opened.placement.numbers[index]
        tiles.append(Tile(gray_tile(opened.slice_hu(index)), f"{opened.files.uid} slice {number}"))
        rows.append([opened.files.uid, number, index])
    return _panel(tiles, rows, [UID, "slice_number", "slice_from_head"])


def low_contrast_slices(studies: Sequence[StudyFiles], contrast: pd.DataFrame, count: int) -> Panel:
    """Draw the slices of lowest contrast."""
    by_uid = {files.uid: files for files in studies}
    tiles, rows = [], []
    for row in contrast.sort_values(["contrast", UID], kind="stable").head(count).itertuples(index=False):
        opened = _opened(by_uid[row.StudyInstanceUID])
        if opened is not None and row.slice_number in opened.placement.numbers:
            hu = opened.slice_hu(opened.placement.numbers.index(row.slice_number))
            tiles.append(Tile(gray_tile(hu), f"contrast {row.contrast:.2f} {'removed' if row.low else 'kept'}"))
            rows.append([row.StudyInstanceUID, row.slice_number, row.contrast, row.low])
    return _panel(tiles, rows, [UID, "slice_number", "contrast", "low"])


def box_examples(studies: Sequence[StudyFiles], count: int, rng: np.random.Generator) -> Panel:
    """Draw one slice of each of some boxed studies with its boxes in the color of their level."""
    boxed = [files for files in studies if files.boxes]
    tiles, rows = [], []
    for k in rng.permutation(len(boxed))[:count]:
        opened = _opened(boxed[int(k)])
        if opened is None or not opened.placement.boxes:
            continue
        chosen = opened.placement.boxes[int(rng.integers(len(opened.placement.boxes)))]
        labels = opened.labels().labels if opened.files.mask else None
        same = [b for b in opened.placement.boxes if b.box.start_zyx[0] == chosen.box.start_zyx[0]]
        placed = same if labels is None else [with_level(box, labels) for box in same]
        gray = gray_tile(opened.slice_hu(chosen.box.start_zyx[0]))
        names = ", ".join(sorted({box.level.name for box in placed if box.level})) or "no mask"
        framed = with_frames(gray, [(box.box, box.level) for box in placed], max(1, gray.shape[1] // 256))
        tiles.append(Tile(framed, f"{opened.files.uid} slice {chosen.slice_number}, {names}"))
        rows += [[opened.files.uid, b.slice_number, *_corner(b), b.level.name if b.level else ""] for b in placed]
    return _panel(tiles, rows, [UID, "slice_number", "x", "y", "width", "height", "level"])


def triptychs(studies: Sequence[StudyFiles], count: int, rng: np.random.Generator) -> Panel:
    """Draw image, mask and overlay side by side, each at a random level of a random mask."""
    masked = [files for files in studies if files.mask]
    tiles, rows = [], []
    for k in rng.permutation(len(masked))[:count]:
        opened = _opened(masked[int(k)])
        if opened is None:
            continue
        labels = opened.labels().labels
        level = Vertebra(int(rng.choice(np.unique(labels[labels > 0]))))
        index = int(np.median(np.flatnonzero((labels == level).any(axis=(1, 2)))))
        gray, plane = gray_tile(opened.slice_hu(index)), labels[index]
        seen = [Vertebra(int(v)).name for v in np.unique(plane) if v]
        number = opened.placement.numbers[index]
        caption = f"{opened.files.uid} slice {number}"
        tiles += [
            Tile(gray, caption),
            Tile(mask_tile(plane), " ".join(seen)),
            Tile(overlay_tile(gray, plane), "overlay"),
        ]
        rows.append([opened.files.uid, number, " ".join(seen), int((plane > 0).sum())])
    return _panel(tiles, rows, [UID, "slice_number", "levels", "mask_pixels"], columns=3, width_px=300)


def side_views(studies: Sequence[StudyFiles], count: int = 1) -> Panel:
    """Draw each level's mask from the side, brighter where it is thicker, and all of them together."""
    tiles, rows = [], []
    for files in [files for files in studies if files.mask][:count]:
        opened = _opened(files)
        if opened is None:
            continue
        mask = opened.labels()
        aspect = _aspect(mask.grid)
        together = np.zeros((*mask.labels.shape[:2], 3), np.uint8)
        for level in [v for v in Vertebra if v.name in LEVELS and (mask.labels == v).any()]:
            side = _from_side(mask.labels == level, level)
            together = np.maximum(together, side)
            tiles.append(Tile(side, level.name, aspect))
            voxels = int((mask.labels == level).sum())
            rows.append([files.uid, level.name, voxels, voxels * mask.grid.voxel_mm3 / 1000])
        tiles.append(Tile(together, f"all, {files.uid}", aspect))
    return _panel(tiles, rows, [UID, "vertebra", "voxels", "volume_cm3"])


def _opened(files: StudyFiles) -> OpenStudy | None:
    """Return a study, or nothing where it cannot be shown; the page lists the reason from the measuring pass."""
    try:
        opened = OpenStudy.of(files)
        return opened if opened.placement.numbers else None
    except InputError:
        return None


def _stored_order(series: Series) -> AxisOrder:
    """Return how stored planes turn to canonical ones; the order of the slices is none of their business."""
    cosines = series.kind.orientation
    assert cosines is not None  # the series was placed
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    grid = Grid.from_axes((1, 2, 2), (1.0, 1.0, 1.0), directions=np.stack([np.cross(row, column), column, row]))
    order = grid.canonical_order()
    return AxisOrder(order.order, (False, order.flips[1], order.flips[2]))


def _fitted(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a slice of another matrix cut or filled with air to the grid of its study."""
    out = np.full(shape, -1000, plane.dtype)
    rows, columns = np.minimum(plane.shape, shape)
    out[:rows, :columns] = plane[:rows, :columns]
    return out


def _corner(placed: Any) -> list[int]:
    (_, top, left), (_, height, width) = placed.box.start_zyx, placed.box.shape
    return [left, top, width, height]


def _aspect(grid: Grid) -> float:
    """Return height over width of a pixel seen from the side."""
    slice_mm, row_mm, _ = grid.spacing_mm
    return slice_mm / row_mm


def _from_side(mask: np.ndarray, level: Vertebra) -> np.ndarray:
    thickness = mask.sum(axis=2).astype(float)
    share = np.sqrt(thickness / max(1.0, thickness.max()))
    return np.asarray((share[..., None] * level_palette()[level]).astype(np.uint8))


def _panel(
    tiles: list[Tile], rows: list[list[Any]], columns_of: list[str], columns: int = COLUMNS, width_px: int = TILE_PX
) -> Panel:
    return Panel(png(montage(tiles, columns, width_px)), pd.DataFrame(rows, columns=columns_of))
