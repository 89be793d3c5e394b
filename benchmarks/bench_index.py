"""Index the headers of a data set in the layout of RSNA 2022: cspine beside pydicom in a loop, in one run.

    python -m benchmarks.bench_index [--slices 4000] [--repeats 3] [--memory-slices 100000]

The files have the header of an original image and its size, but hold no pixels on disk (they are sparse). Both
readers are warm; cspine is timed from the root to finished tables, with the start of its processes. Rounds take
turns, so that whatever else the machine does hits both; processor time hardly depends on it (that of workers is not
counted: they are not children of this process). The projection is linear in slices and leaves a cold disk out. Memory
is the largest sum over all processes of an index run of what each holds, shared pages divided among those that share
them (Linux's Pss), read every tenth of a second.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from cspine.datasets import index_rsna

ALL_SLICES = 711_601
SLICES_PER_STUDY = 352
PIXEL_BYTES = 512 * 512 * 2
FIELDS = [
    "StudyInstanceUID",
    "PatientID",
    "PhotometricInterpretation",
    "BitsStored",
    "Rows",
    "Columns",
    "PixelSpacing",
    "WindowCenter",
    "WindowWidth",
    "PixelRepresentation",
    "InstanceNumber",
    "ImagePositionPatient",
    "SliceThickness",
]
# Of fixed width, so that one written header serves all slices.
SOP, NUMBER, HEIGHT = "1.2.826.0.1.3680043.10000.10000000", "000000", "-00000.000"


def template(study: str) -> bytes:
    """Return the header of an image of the challenge, up to the pixels."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = SOP
    ds.ContentDate, ds.ContentTime = "20220727", "180913.389546"
    ds.PatientName = ds.PatientID = study.rsplit(".", 1)[1]
    ds.Modality, ds.SliceThickness, ds.KVP, ds.PatientPosition = "CT", "0.625", "120", "HFS"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, f"{study}.1"
    ds.SeriesNumber, ds.InstanceNumber = "6", NUMBER
    ds.ImagePositionPatient = ["-120.2", "-52.7", HEIGHT]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.Rows, ds.Columns = 1, "MONOCHROME2", 512, 512
    ds.PixelSpacing, ds.BitsAllocated, ds.BitsStored, ds.HighBit = ["0.351562", "0.351562"], 16, 16, 15
    ds.PixelRepresentation, ds.WindowCenter, ds.WindowWidth = 1, "500", "2000"
    ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue() + b"\xe0\x7f\x10\x00OW\x00\x00" + PIXEL_BYTES.to_bytes(4, "little")


def write_tree(root: Path, slices: int) -> None:
    """Write sparse files that say everything but the pixels."""
    for first in range(0, slices, SLICES_PER_STUDY):
        study = f"1.2.826.0.1.3680043.{10000 + first // SLICES_PER_STUDY}"
        folder = root / "train_images" / study
        folder.mkdir(parents=True)
        head = template(study)
        for k in range(min(SLICES_PER_STUDY, slices - first)):
            content = head.replace(SOP.encode(), f"{SOP[:-7]}{first + k:07d}".encode())
            content = content.replace(NUMBER.encode().join((b"IS\x06\x00", b"")), f"IS\x06\x00{k + 1:06d}".encode())
            content = content.replace(HEIGHT.encode(), f"{-0.625 * k:+010.3f}".encode())
            path = folder / f"{k + 1}.dcm"
            path.write_bytes(content)
            os.truncate(path, len(content) + PIXEL_BYTES)


def by_pydicom(root: Path) -> int:
    """Read as a notebook does: one file after the other into a table."""
    rows = []
    for path in sorted((root / "train_images").rglob("*.dcm")):
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        rows.append({"TransferSyntaxUID": ds.file_meta.TransferSyntaxUID, **{name: ds.get(name) for name in FIELDS}})
    return len(pd.DataFrame(rows))


def by_cspine(root: Path, workers: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return index_rsna(root, Path(folder), workers).read


def again(root: Path, folder: Path) -> int:
    return index_rsna(root, folder, 1).kept


def seconds(reader: Callable[[], int], slices: int) -> tuple[float, float]:
    """Return elapsed time, and processor time of this process and its children."""
    start, before = time.perf_counter(), os.times()
    found = reader()
    if found != slices:
        raise SystemExit(f"{found} of {slices} slices were read")
    return time.perf_counter() - start, sum(os.times()[:4]) - sum(before[:4])


def peak_mb(slices: int, workers: int) -> tuple[float, float, float, int]:
    """Index in a session of its own; return seconds, peak of all its processes, of the first one, and their number."""
    code = (
        "import sys, tempfile; from pathlib import Path; from cspine.datasets import index_rsna\n"
        "with tempfile.TemporaryDirectory() as out: index_rsna(Path(sys.argv[1]), Path(out), int(sys.argv[2]))\n"
    )
    peak, own, most, start = 0.0, 0.0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        write_tree(Path(scratch), slices)
        start = time.perf_counter()
        command = [sys.executable, "-c", code, scratch, str(workers)]
        with subprocess.Popen(command, start_new_session=True) as running:
            while running.poll() is None:
                held = held_mb(running.pid)
                peak, own = max(peak, sum(held.values())), max(own, held.get(running.pid, 0.0))
                most = max(most, len(held))
                time.sleep(0.1)
        took = time.perf_counter() - start
    if running.returncode:
        raise SystemExit(f"the index ended with {running.returncode}")
    return took, peak, own, most


def held_mb(session: int) -> dict[int, float]:
    """Return the memory of each process of a session, its share of shared pages included."""
    held = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if int((place / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                lines = (place / "smaps_rollup").read_text().splitlines()
                held[int(place.name)] = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        except OSError:  # it has ended
            continue
    return held


def main(arguments: list[str] | None = None) -> None:
    """Print slices per second, the projection, and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-slices", type=int, default=0, help="measure memory on this many; 0: do not")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    n, workers = options.slices, options.workers
    with tempfile.TemporaryDirectory() as scratch:
        root, kept = Path(scratch, "set"), Path(scratch, "kept")
        write_tree(root, n)
        index_rsna(root, kept)
        readers: dict[str, Callable[[], int]] = {
            "pydicom in a loop": lambda: by_pydicom(root),
            "cspine, 1 process": lambda: by_cspine(root, 1),
            f"cspine, {workers} processes": lambda: by_cspine(root, workers),
            "cspine, nothing changed": lambda: again(root, kept),
        }
        rounds = [{name: seconds(reader, n) for name, reader in readers.items()} for _ in range(options.repeats)]
    print(f"{n} slices, {options.repeats} rounds, medians; minutes are projected to {ALL_SLICES} slices")
    plain = statistics.median(one["pydicom in a loop"][0] for one in rounds)
    for name in readers:
        took, work = (statistics.median(one[name][k] for one in rounds) for k in (0, 1))
        print(
            f"{name:<26}{n / took:>8.0f} slices/s{plain / took:>6.1f} ×{ALL_SLICES * took / n / 60:>7.1f} minutes"
            f"{1e6 * work / n:>7.0f} µs of processor a slice"
        )
    if options.memory_slices:
        took, peak, own, processes = peak_mb(options.memory_slices, workers)
        print(
            f"{options.memory_slices} slices in {took:.1f} s: peak {peak:.0f} MB in {processes} processes, {own:.0f} MB"
            " of it at most in the one that writes the tables"
        )


if __name__ == "__main__":
    main()
