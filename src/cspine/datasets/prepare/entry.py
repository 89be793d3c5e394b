"""An entry of the cache as it is read back."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.datasets.prepare.make import Arrays
from cspine.domain import NoImages, Vertebra
from cspine.pipeline import RefineSpec, level_code, prompt


@dataclass(frozen=True, eq=False)
class PreparedVertebra:
    """What there is of one vertebra; parts that were not prepared are ``None``.

    Attributes
    ----------
    crop_ct, crop_inside, crop_mask
        float16, uint8, uint8 on the crop's grid.
    slice_ct, slice_mask
        float16, uint8 (slice, row, column).
    """

    vertebra: Vertebra
    center_lps_mm: np.ndarray
    crop_ct: np.ndarray | None
    crop_inside: np.ndarray | None
    crop_mask: np.ndarray | None
    slice_ct: np.ndarray | None
    slice_mask: np.ndarray | None

    def crop(self, spec: RefineSpec) -> np.ndarray:
        """Return float32 (4, slice, row, column), the network input of `pipeline.refine_input`."""
        if self.crop_ct is None or self.crop_inside is None:
            raise NoImages(f"{self.vertebra.name}: the crops were not prepared; add crops to what is prepared")
        level = np.full(self.crop_ct.shape, level_code(int(self.vertebra)), np.float32)
        return np.stack([self.crop_ct.astype(np.float32), prompt(spec), level, self.crop_inside.astype(np.float32)])


@dataclass(frozen=True, eq=False)
class Prepared:
    """One study.

    Attributes
    ----------
    coarse, coarse_mask
        float16 and uint8 (slice, row, column); ``None`` where they were not prepared.
    boxes_lps_mm
        (boxes, 2, 3).
    box_levels
        uint8, 0 for not known.
    """

    coarse: np.ndarray | None
    coarse_affine: np.ndarray | None
    coarse_mask: np.ndarray | None
    vertebrae: tuple[PreparedVertebra, ...]
    boxes_lps_mm: np.ndarray
    box_levels: np.ndarray


def entry_content(arrays: Arrays) -> bytes:
    """Return the file of an entry; equal arrays make equal bytes."""
    out = io.BytesIO()
    np.savez(out, **{name: arrays[name] for name in sorted(arrays)})  # type: ignore[arg-type]  # stubs: allow_pickle is bool
    return out.getvalue()


def read_prepared(path: Path) -> Prepared:
    """Read an entry.

    Raises
    ------
    NoImages
        It is absent or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        vertebrae = [_vertebra(arrays, k) for k in range(len(arrays["levels"]))]
        return Prepared(
            arrays.get("coarse"),
            arrays.get("coarse_affine"),
            arrays.get("coarse_mask"),
            tuple(vertebrae),
            arrays["boxes_lps_mm"],
            arrays["box_levels"],
        )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NoImages(f"{path}: absent or damaged ({error}); delete it and prepare again") from error


def _vertebra(arrays: Arrays, k: int) -> PreparedVertebra:
    names = ("crop_ct", "crop_inside", "crop_mask", "slice_ct", "slice_mask")
    parts = {name: arrays[name][k] if name in arrays else None for name in names}
    return PreparedVertebra(Vertebra(int(arrays["levels"][k])), arrays["centers_lps_mm"][k], **parts)
