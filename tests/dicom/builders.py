"""Small series of CT files, and ways to break them."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset

from cspine.dicom import LoadedSeries, Numbering, StudyHeader, Vendor, choose_series, scan, to_volume, write_ct_series
from cspine.domain import Grid, Volume

SHAPE = (12, 24, 32)
SPACING_MM = (1.0, 0.5, 0.75)

ORIENTATIONS = [
    np.diag(signs)[list(order)]
    for order in itertools.permutations(range(3))
    for signs in itertools.product((-1.0, 1.0), repeat=3)
]


def volume(
    shape: tuple[int, int, int] = SHAPE,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    directions: np.ndarray | None = None,
    seed: int = 0,
) -> Volume:
    """Return distinct HU in every voxel neighborhood, with air at the left edge, −1000 … 1400."""
    rng = np.random.default_rng(seed)
    hu = rng.integers(-100, 1400, shape).astype(np.int16)
    hu[:, :, :4] = -1000
    axes = np.diag([1.0, 1.0, 1.0])[[2, 1, 0]] if directions is None else directions
    return Volume(Grid.from_axes(shape, spacing_mm, (-11.5, 20.25, -103.0), axes), hu)


def smooth_volume(shape: tuple[int, int, int] = SHAPE, spacing_mm: tuple[float, float, float] = SPACING_MM) -> Volume:
    """Return HU that are linear in space within a margin of air, so that interpolation can be judged."""
    grid = volume(shape, spacing_mm).grid
    return Volume(grid, linear_hu(grid).astype(np.int16))


def linear_hu(grid: Grid) -> np.ndarray:
    """Return ``20 z + 10 y + 5 x`` of every voxel's LPS position relative to (0, 20, −100)."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(grid.to_world(index), -1, 0)
    values: np.ndarray = np.rint(20 * (z + 100) + 10 * (y - 20) + 5 * x)
    return values


def write(
    folder: Path, of: Volume | None = None, vendor: Vendor = Vendor.CSPINE, header: StudyHeader | None = None
) -> list[Path]:
    """Write a raw series, first slice first."""
    return write_ct_series(of or volume(), folder, vendor=vendor, header=header, numbering=Numbering())


def edit(paths: Iterable[Path], change: Callable[[Dataset], None]) -> None:
    """Apply a change to each file in place."""
    for path in paths:
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)


def setting(**values: object) -> Callable[[Dataset], None]:
    """Return a change that sets elements; ``None`` deletes them."""

    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(dataset, keyword)
            elif keyword.startswith("PixelPadding"):
                dataset.add_new(keyword, "SS" if dataset.PixelRepresentation else "US", value)
            else:
                setattr(dataset, keyword, value)

    return change


def stored(dataset: Dataset) -> np.ndarray:
    """Return the stored values of a raw 16-bit file, writable."""
    dtype = "<i2" if dataset.PixelRepresentation else "<u2"
    return np.frombuffer(dataset.PixelData, dtype).reshape(dataset.Rows, dataset.Columns).copy()


def store(dataset: Dataset, values: np.ndarray) -> None:
    """Replace pixels and matrix."""
    dataset.Rows, dataset.Columns = values.shape
    dataset.PixelData = values.tobytes()


def load(*paths: Path) -> LoadedSeries:
    """Scan, choose and read; there must be exactly one study."""
    (study,) = scan(paths).studies
    return to_volume(choose_series(study.series).chosen)


def codes(loaded: LoadedSeries) -> set[str]:
    """Return the codes of all flags."""
    return {flag.code.value for flag in loaded.flags}


def message(loaded: LoadedSeries, code: str) -> str:
    """Return the message of the one flag of that code."""
    (text,) = (flag.message for flag in loaded.flags if flag.code.value == code)
    return text


@contextmanager
def without_privileges() -> Iterator[Path]:
    """Yield a folder that everybody may enter, and be nobody meanwhile: root may read and write everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        as_root = os.geteuid() == 0
        if as_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if as_root:
                os.seteuid(0)
