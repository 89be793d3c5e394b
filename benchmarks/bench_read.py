"""Read a CT series of 300 slices of 512×512: cspine beside SimpleITK, dcm2niix and plain pydicom, in one run.

    python -m benchmarks.bench_read [--slices 300] [--repeats 5]

cspine is timed from the folder's path to voxels in HU that can be summed, child processes included and warm; its
first read, which starts them, stands in a column of its own. Every other reader gets the same folder. Rounds take
turns, so that whatever else the machine does hits all of them; the middle column is the median.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK

from cspine.dicom import StoredAs, StudyHeader, choose_series, scan, to_volume, write_ct_series
from cspine.dicom.decode import default_workers
from cspine.domain import Grid, Volume

TARGET_S = {StoredAs.RAW: 0.4, StoredAs.JPEG_LOSSLESS: 0.8}
Reader = Callable[[Path], object]


def noisy_neck(slices: int) -> Volume:
    """Return a cylinder of tissue with a bone column and quantum noise: it compresses like a CT."""
    grid = Grid.from_axes((slices, 512, 512), (0.8, 0.4, 0.4), (-102.0, -102.0, 0.0))
    row, column = np.mgrid[-256:256, -256:256] * 0.4
    plane = np.where(np.hypot(row, column) < 75, 45.0, -1000.0)
    plane[np.hypot(row - 20, column) < 14] = 450.0
    rng = np.random.default_rng(0)
    hu = np.empty(grid.shape, np.int16)
    for k in range(slices):
        hu[k] = plane + rng.normal(0, 18, plane.shape)
    return Volume(grid, np.maximum(hu, -1024))


def by_cspine(folder: Path) -> object:
    (study,) = scan([folder]).studies
    return to_volume(choose_series(study.series).chosen).volume.hu.max()


def by_simpleitk(folder: Path) -> object:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()  # the view does not keep it alive
    return SimpleITK.GetArrayViewFromImage(image).max()


def by_dcm2niix(folder: Path) -> object:
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-o", out, str(folder)], check=True, capture_output=True)
        return len(list(Path(out).iterdir()))


def by_pydicom(folder: Path) -> object:
    """Read, sort and rescale in the plain way; compressed pixels through imagecodecs, in threads."""
    datasets = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    with ThreadPoolExecutor(default_workers()) as pool:
        planes = list(pool.map(_plane, datasets))
    return np.stack(planes).max()


def _plane(dataset: pydicom.Dataset) -> np.ndarray:
    import imagecodecs  # noqa: PLC0415 - only for compressed series

    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        pixels = imagecodecs.ljpeg_decode(frame).view(np.int16)
    else:
        pixels = dataset.pixel_array
    return pixels * np.float32(dataset.RescaleSlope) + np.float32(dataset.RescaleIntercept)


def measure(folder: Path, readers: dict[str, Reader], repeats: int) -> dict[str, tuple[float, float, float]]:
    """Return (first, median, fastest) seconds of each reader."""
    first = {name: _seconds(reader, folder) for name, reader in readers.items()}
    rounds = [{name: _seconds(reader, folder) for name, reader in readers.items()} for _ in range(repeats)]
    times = {name: [one[name] for one in rounds] for name in readers}
    return {name: (first[name], statistics.median(values), min(values)) for name, values in times.items()}


def _seconds(reader: Reader, folder: Path) -> float:
    start = time.perf_counter()
    reader(folder)
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> None:
    """Print one table per transfer syntax."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    readers: dict[str, Reader] = {
        "cspine": by_cspine,
        "SimpleITK": by_simpleitk,
        "plain pydicom": by_pydicom,
    }
    if shutil.which("dcm2niix"):
        readers["dcm2niix"] = by_dcm2niix
    volume = noisy_neck(options.slices)
    print(f"{options.slices} slices of 512×512, {default_workers()} processors, seconds")
    for stored_as in StoredAs:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "series")
            write_ct_series(volume, folder, stored_as=stored_as, header=StudyHeader(is_phantom=True))
            print(f"\n{stored_as.name:<16}{'first':>8}{'median':>8}{'fastest':>9}")
            for name, (first, middle, fastest) in measure(folder, readers, options.repeats).items():
                target = f"   target {TARGET_S[stored_as]}" if name == "cspine" else ""
                print(f"{name:<16}{first:>8.2f}{middle:>8.2f}{fastest:>9.2f}{target}")


if __name__ == "__main__":
    main()
