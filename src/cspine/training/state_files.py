"""Weights in files: safetensors, npz, and torch's own format without executing what a pickle says."""

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from cspine.dicom import write_atomically
from cspine.domain import ConfigError
from cspine.training.names import pick

State = dict[str, torch.Tensor]


def save_state(state: Mapping[str, torch.Tensor], path: Path, about: Mapping[str, str] | None = None) -> None:
    """Write weights as safetensors, whole or not at all.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_atomically(path, safetensors.torch.save(plain, dict(about) if about else None))


def load_state(path: Path) -> State:
    """Read weights by the file's ending: ``.safetensors``, ``.npz``, ``.pt`` or ``.pth``.

    Raises
    ------
    ConfigError
        No such file, another ending, or not what the ending says; a file that would run code is refused.
    """
    read = pick(_READERS, path.suffix, f"kind of weights file in {path.name}:")
    if not path.is_file():
        raise ConfigError(f"{path}: no such file of weights")
    try:
        return read(path)
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        safetensors.SafetensorError,
    ) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(f"{path}: not a readable {path.suffix} file of plain tensors ({first})") from error


def _safetensors(path: Path) -> State:
    state: State = safetensors.torch.load_file(path)
    return state


def _npz(path: Path) -> State:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _torch(path: Path) -> State:
    found: Any = torch.load(path, map_location="cpu", weights_only=True)
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ValueError("it holds something else than named tensors")
    return dict(found)


_READERS: dict[str, Callable[[Path], State]] = {
    ".safetensors": _safetensors,
    ".npz": _npz,
    ".pt": _torch,
    ".pth": _torch,
}
