"""A copy of a data set in the layout of RSNA 2022 with leaks put into it: studies under another UID, copied slices.

    python -m tools.seed_leaks ROOT OUT [--seed 0] [--each 10] [--twins 5]

What is not changed is linked, not copied. Of every way of copying, that many slices go into another study each, with
UIDs, number and place of their own; of each twin, all slices go into a study of its own. Sources are studies with raw
pixels.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

from cspine.dicom import derived_uid

Change = Callable[[np.ndarray], np.ndarray]
NUMBER = 9000
TWIN = "whole study under another UID"


def _jpeg(hu: np.ndarray) -> np.ndarray:
    """Return a slice after a lossy round trip over eight bits."""
    gray = np.clip((hu + 1000) / 8, 0, 255).astype(np.uint8)
    back: np.ndarray = imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(gray, level=75)).astype(float) * 8 - 1000
    return back


def _cropped(hu: np.ndarray) -> np.ndarray:
    rows, columns = (n // 10 for n in hu.shape)
    return hu[rows : -rows - 2, columns - 2 : -columns]


WAYS: dict[str, Change] = {
    "re-encoded as JPEG of quality 75": _jpeg,
    "cropped by a tenth on each side": _cropped,
    "mirrored left to right": lambda hu: hu[:, ::-1],
    "mirrored top to bottom": lambda hu: hu[::-1],
    "moved by 4 and 3 pixels": lambda hu: np.roll(hu, (4, -3), axis=(0, 1)),
    "noise of 20 HU": lambda hu: hu + np.random.default_rng(1).normal(0, 20, hu.shape),
}


@dataclass(frozen=True)
class Seeded:
    """A leak that was put there: from one study into another."""

    how: str
    one: str
    other: str


def seed_leaks(root: Path, out: Path, rng: np.random.Generator, each: int = 10, twins: int = 5) -> list[Seeded]:
    """Write the copy and return what was put into it.

    Parameters
    ----------
    root
        With an index; the index of the copy takes up its fingerprints.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(root, out, copy_function=os.link, ignore=shutil.ignore_patterns("cspine-index"))
    if (root / "cspine-index").is_dir():
        shutil.copytree(root / "cspine-index", out / "cspine-index")
    images = out / "train_images"
    raw = [uid for uid in sorted(path.name for path in images.iterdir()) if _is_raw(images / uid)]
    order = [raw[k] for k in rng.permutation(len(raw))]
    pairs = _pairs(order, sorted(path.name for path in images.iterdir()), rng)
    made: list[Seeded] = []
    for way, change in WAYS.items():
        for _ in range(each):
            one, other = next(pairs)
            files = sorted((images / one).glob("*.dcm"), key=lambda path: int(path.stem))
            middle = files[len(files) // 5 : -len(files) // 5 or None]
            _copy(middle[int(rng.integers(len(middle)))], images / other / f"{NUMBER + len(made)}.dcm", change)
            made.append(Seeded(way, one, other))
    for uid in order[:twins]:
        twin = derived_uid("twin", uid)
        (images / twin).mkdir()
        for path in (images / uid).glob("*.dcm"):
            if int(path.stem) < NUMBER:
                _rename(path, images / twin / path.name)
        made.append(Seeded(TWIN, uid, twin))
    return made


def _pairs(sources: list[str], targets: list[str], rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Yield pairs of different studies, none twice."""
    seen: set[frozenset[str]] = set()
    for k in range(100 * len(sources)):
        one, other = sources[k % len(sources)], targets[int(rng.integers(len(targets)))]
        if one != other and frozenset((one, other)) not in seen:
            seen.add(frozenset((one, other)))
            yield one, other


def _is_raw(folder: Path) -> bool:
    heads = (pydicom.dcmread(path, stop_before_pixels=True) for path in folder.glob("*.dcm"))
    return all(head.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian for head in heads)


def _copy(source: Path, target: Path, change: Change) -> None:
    """Write a changed copy of a slice into another study."""
    ds = pydicom.dcmread(source)
    stored = ds.pixel_array
    offset, limits = float(ds.RescaleIntercept), np.iinfo(stored.dtype)
    pixels = change(stored.astype(float) + offset) - offset
    ds.PixelData = np.clip(np.rint(pixels), limits.min, limits.max).astype(stored.dtype).tobytes()
    ds.Rows, ds.Columns = pixels.shape
    ds.StudyInstanceUID, ds.SeriesInstanceUID = target.parent.name, f"{target.parent.name[:58]}.1"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived_uid("copy", str(target.name), str(source))
    ds.InstanceNumber = int(target.stem)
    ds.ImagePositionPatient = [0.0, 0.0, 1000.0 + ds.InstanceNumber]
    ds.save_as(target)


def _rename(source: Path, target: Path) -> None:
    """Write a slice under the UIDs of another study and patient."""
    ds = pydicom.dcmread(source)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = target.parent.name, derived_uid("twin series", target.parent.name)
    ds.PatientID = ds.PatientName = target.parent.name[-12:]
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived_uid("twin image", ds.SOPInstanceUID)
    ds.save_as(target)


def main() -> int:
    """Write the copy and print what was put into it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--twins", type=int, default=5)
    options = parser.parse_args()
    for one in seed_leaks(options.root, options.out, np.random.default_rng(options.seed), options.each, options.twins):
        print(f"{one.how},{one.one},{one.other}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
