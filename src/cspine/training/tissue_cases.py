"""Phantom cases as compact tissue codes, the raw material of training.

A case is stored as two uint8 arrays of *codes* (whole field at 1.5 mm, spine at 1 mm) and the centers of all
vertebrae. A code says tissue, and for bone which bone and which part. Intensities, blur, noise, field of view and
deformation are drawn anew each time a sample is made from it (`synthesis`), so a few hundred cases serve thousands
of steps.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.domain import Grid, Vertebra
from cspine.phantom import Tissue

# Codes below BONE_BASE are tissue classes; above, ``BONE_BASE + 4 * bone + part``.
BONE_BASE = 64
PART_CANCELLOUS, PART_CORTEX = 0, 1
CODES = 256


@dataclass(frozen=True, eq=False)
class CodeMap:
    """Tissue codes on a canonical grid.

    Attributes
    ----------
    codes
        uint8 (slice, row, column); may be a memory map.
    """

    grid: Grid
    codes: np.ndarray


@dataclass(frozen=True, eq=False)
class TissueCase:
    """One phantom for training.

    Attributes
    ----------
    centers_lps_mm
        Centers of every vertebra that the phantom has, by definition of `VertebraTruth`.
    """

    field: CodeMap
    spine: CodeMap
    centers_lps_mm: dict[Vertebra, np.ndarray]


def bone_of(codes: np.ndarray) -> np.ndarray:
    """Return the bone number of each code, 0 where it is not bone (uint8)."""
    return np.where(codes >= BONE_BASE, (codes.astype(np.int16) - BONE_BASE) // 4, 0).astype(np.uint8)


def encode(tissue: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """Join tissue classes and bone numbers into codes; teeth and cartilage stay tissue classes."""
    part = np.where(tissue == Tissue.CORTEX, PART_CORTEX, PART_CANCELLOUS)
    coded = BONE_BASE + 4 * bone.astype(np.int16) + part
    is_bone = (bone > 0) & ((tissue == Tissue.CORTEX) | (tissue == Tissue.CANCELLOUS))
    return np.where(is_bone, coded, tissue).astype(np.uint8)


def save_case(case: TissueCase, folder: Path) -> None:
    """Write a case as two .npy files and a JSON; the JSON last, so that its presence means a whole case."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "field.npy", case.field.codes)
    np.save(folder / "spine.npy", case.spine.codes)
    about = {
        "field": case.field.grid.affine.tolist(),
        "spine": case.spine.grid.affine.tolist(),
        "centers": {v.name: list(map(float, c)) for v, c in case.centers_lps_mm.items()},
    }
    partial = folder / "case.json.partial"
    partial.write_text(json.dumps(about))
    partial.rename(folder / "case.json")


def load_case(folder: Path) -> TissueCase:
    """Open a case; the arrays are memory-mapped."""
    about = json.loads((folder / "case.json").read_text())
    maps = {}
    for name in ("field", "spine"):
        codes = np.load(folder / f"{name}.npy", mmap_mode="r")
        maps[name] = CodeMap(Grid(codes.shape, np.array(about[name])), codes)
    centers = {Vertebra[name]: np.array(c) for name, c in about["centers"].items()}
    return TissueCase(maps["field"], maps["spine"], centers)


def list_cases(root: Path) -> list[Path]:
    """Return the folders of all whole cases below `root`, in order of their names."""
    return sorted(p.parent for p in root.glob("*/case.json"))
