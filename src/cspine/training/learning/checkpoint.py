"""Checkpoints: written whole or not at all, read without running code, refused when they belong to another run."""

import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cspine.dicom import write_atomically
from cspine.domain import ConfigError
from cspine.training.recipe_file import differences

CHECKPOINT_VERSION = 1
SHOWN = 6


def save_checkpoint(path: Path, document: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Write a checkpoint.

    Parameters
    ----------
    document
        What the run is: the same on every resume. Plain JSON.
    content
        Where the run is: tensors, numbers, text.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    buffer = io.BytesIO()
    torch.save({"version": CHECKPOINT_VERSION, "document": json.dumps(document), "content": dict(content)}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Read the content of a checkpoint of the run that `document` describes.

    Raises
    ------
    ConfigError
        Not a checkpoint, one of another version, or one of another run; the message names what differs.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        version, told, content = saved["version"], json.loads(saved["document"]), saved["content"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise ConfigError(f"{path}: not a checkpoint ({type(error).__name__}); delete it to begin anew") from error
    if version != CHECKPOINT_VERSION:
        raise ConfigError(
            f"{path}: checkpoint of version {version}, this cspine reads {CHECKPOINT_VERSION}; use another run folder"
        )
    changes = differences(told, json.loads(json.dumps(document)))
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise ConfigError(
            f"{path}: belongs to another run ({'; '.join(changes[:SHOWN])}{more}); use another run folder"
        )
    found: dict[str, Any] = content
    return found
