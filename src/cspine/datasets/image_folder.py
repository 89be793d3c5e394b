"""Folders of pictures, as data sets passed on without DICOM files: ``train/fracture/…``, ``val/normal/…``.

Nothing says which patient a picture is of. The file name often does, by a common beginning before the number of the
slice; where it does not, every picture is a patient of its own, and only a comparison of the pictures finds what
leaks.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from cspine.datasets.index.schema import Problem, ProblemKind
from cspine.datasets.leak_pass import SCALES, Gallery, PictureFile
from cspine.datasets.leaks import Pixels
from cspine.domain import NoImages

PARTS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
LABELS = {"fracture": 1, "fractured": 1, "positive": 1, "normal": 0, "negative": 0, "no_fracture": 0}
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
# Of a name such as "1.2.826.0.1.3680043.10678-127.jpg" or "patient12_slice_0003.png" the last number is that of the
# slice.
_SLICE = re.compile(r"[\s_.-]*(slice|img|image|im)?[\s_.-]*\(?\d+\)?$", re.IGNORECASE)
# Beginnings that say what every picture is, not whose.
_NOBODY = re.compile(
    r"^(fractured?|normal|positive|negative|image|img|slice|scan|ct|train|test|val)?[\s_.-]*$", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """An indexed folder of pictures.

    Attributes
    ----------
    pictures
        file, part, label (0, 1), patient (a guess), guessed (whether the name gave it), rows, columns, mode,
        file_bytes, modified_ns.
    problems
        Files that are no pictures, and folders that say no label.
    """

    root: Path
    pictures: pd.DataFrame
    problems: tuple[Problem, ...]


def index_image_folder(root: Path) -> ImageFolder:
    """Index the pictures below a folder by the names of their folders; only their heads are read.

    Raises
    ------
    NoImages
        There is no picture in a folder whose name is that of a label.
    """
    rows, problems = [], []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES):
        file = path.relative_to(root).as_posix()
        folders = [part.lower() for part in path.relative_to(root).parts[:-1]]
        label = next((LABELS[name] for name in reversed(folders) if name in LABELS), None)
        if label is None:
            problems.append(Problem(ProblemKind.VALUE, file, f"lies in no folder called {', '.join(LABELS)}"))
            continue
        part = next((PARTS[name] for name in folders if name in PARTS), "all")
        try:
            with Image.open(path) as picture:
                size, mode = picture.size, picture.mode
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            problems.append(Problem(ProblemKind.BROKEN_FILE, file, f"is no picture: {type(error).__name__}"))
            continue
        status = path.stat()
        rows.append((file, part, label, size[1], size[0], mode, status.st_size, status.st_mtime_ns))
    if not rows:
        raise NoImages(f"{root}: no picture in a folder called {', '.join(LABELS)}")
    columns = ["file", "part", "label", "rows", "columns", "mode", "file_bytes", "modified_ns"]
    table = pd.DataFrame(rows, columns=columns)
    patients = guess_patients(list(table["file"]))
    table.insert(3, "patient", patients)
    table.insert(4, "guessed", [bool(p != f) for p, f in zip(patients, table["file"], strict=True)])
    return ImageFolder(root, table, tuple(problems))


def guess_patients(files: Sequence[str]) -> list[str]:
    """Return whose picture each file seems to be: the beginning of its name that others share, else the file itself."""
    stems = [_SLICE.sub("", file.rsplit("/", 1)[-1].rsplit(".", 1)[0]) for file in files]
    counts = Counter(stems)
    # A beginning that nearly all files share names the data set, not a patient.
    shared = [stem for stem, n in counts.items() if n > 1 and not _NOBODY.match(stem) and n < max(3, 0.9 * len(files))]
    known = set(shared)
    return [stem if stem in known else file for stem, file in zip(stems, files, strict=True)]


def folder_gallery(folder: ImageFolder, kept_in: Path) -> Gallery:
    """Return the pictures of a folder for a leak check: across its parts, or where it has one part, across patients."""
    table = folder.pictures
    single = table["part"].nunique() == 1
    files = tuple(
        PictureFile(row.file, row.file if not row.guessed else row.patient, row.patient if single else row.part,
                    int(row.file_bytes), int(row.modified_ns))
        for row in table.itertuples()
    )  # fmt: skip
    return Gallery(folder.root, files, _read_gray, kept_in, SCALES)


def _read_gray(paths: Sequence[Path]) -> list[Pixels | str]:
    found: list[Pixels | str] = []
    for path in paths:
        try:
            with Image.open(path) as picture:
                found.append((np.asarray(picture.convert("L"), dtype=np.uint8), None))
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            found.append(f"{path}: is no picture: {type(error).__name__}")
    return found
