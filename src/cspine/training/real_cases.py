"""Real scans with pseudo-labels, for adapting the whole-volume network."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.domain import Grid, Vertebra


@dataclass(frozen=True, eq=False)
class RealCase:
    """A real scan on a canonical grid with the classes that an earlier network gave it.

    Attributes
    ----------
    hu
        int16 (slice, row, column).
    classes
        uint8, `SEG_CLASSES`.
    """

    grid: Grid
    hu: np.ndarray
    classes: np.ndarray
    centers_lps_mm: dict[Vertebra, np.ndarray]


def save_real_case(case: RealCase, folder: Path) -> None:
    """Write a case; the JSON last, so that its presence means a whole case."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "hu.npy", case.hu)
    np.save(folder / "classes.npy", case.classes)
    centers = {v.name: list(map(float, c)) for v, c in case.centers_lps_mm.items()}
    (folder / "real.json").write_text(json.dumps({"grid": case.grid.affine.tolist(), "centers": centers}))


def load_real_case(folder: Path) -> RealCase:
    """Open a case; the arrays are memory-mapped."""
    about = json.loads((folder / "real.json").read_text())
    hu = np.load(folder / "hu.npy", mmap_mode="r")
    classes = np.load(folder / "classes.npy", mmap_mode="r")
    centers = {Vertebra[name]: np.array(c) for name, c in about["centers"].items()}
    return RealCase(Grid(hu.shape, np.array(about["grid"])), hu, classes, centers)
