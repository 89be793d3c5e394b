"""Arrays of studies that are read once and kept as files, mapped into memory when they are taken up again."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cspine.domain import Rejected

ABOUT = "about.json"


def kept_name(about: Mapping[str, Any], size: int) -> str:
    """Return the folder of arrays that are made alike: what is made otherwise has another one."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    return f"{size}px-{digest}"


def store_arrays(
    kept_in: Path, uid: str, arrays: Mapping[str, np.ndarray | None], plain: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the arrays of a study and plain values; return what `are_stored` and `open_arrays` take.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    name = hashlib.sha256(uid.encode()).hexdigest()[:24]
    folder = kept_in / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).unlink(missing_ok=True)
        for array, value in arrays.items():
            if value is None:
                (folder / f"{array}.npy").unlink(missing_ok=True)
            else:
                np.save(folder / f"{array}.npy", value)
        (folder / ABOUT).write_text(json.dumps(plain), encoding="utf-8")
    except OSError as error:
        raise Rejected(f"{folder}: cannot be written: {error.strerror}; free space or use another folder") from error
    return {"folder": name}


def are_stored(kept_in: Path | None, values: Mapping[str, Any]) -> bool:
    """Return whether the arrays of an earlier run are still there."""
    return kept_in is not None and (kept_in / str(values.get("folder")) / ABOUT).is_file()


def open_arrays(
    kept_in: Path, values: Mapping[str, Any], names: Collection[str], mapped: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return plain values and arrays of a study; those in `mapped` are memory maps, absent ones ``None``."""
    folder = kept_in / values["folder"]
    plain: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return plain, {name: _array(folder / f"{name}.npy", mapped=name in mapped) for name in names}


def _array(path: Path, *, mapped: bool) -> np.ndarray | None:
    if not path.exists():
        return None
    found: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    return found
