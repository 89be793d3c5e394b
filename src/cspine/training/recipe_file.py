"""The recipe that stands in a run folder: a run goes on only with the one that it began with."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cspine.dicom import write_atomically
from cspine.domain import ConfigError

RECIPE_FILE = "recipe.json"
SHOWN = 6


def keep_recipe(document: dict[str, Any], run: Path, but: Collection[str] = ()) -> None:
    """Write ``run/recipe.json``, or compare the one that is there.

    Parameters
    ----------
    document
        Plain JSON.
    but
        Keys, at any depth, that may differ.

    Raises
    ------
    ConfigError
        The run folder belongs to another recipe; the message says what differs.
    StoreError
        The folder cannot be written, or the disk is full.
    """
    path, plain = run / RECIPE_FILE, json.loads(json.dumps(document))
    if not path.exists():
        run.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(plain, indent=2).encode())
        return
    changes = differences(_without(json.loads(path.read_text(encoding="utf-8")), but), _without(plain, but))
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise ConfigError(
            f"{run}: holds a run of another recipe ({'; '.join(changes[:SHOWN])}{more}); use another folder"
        )


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Return one ``place: old → new`` for each value in which two JSON documents differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        return [d for k in keys for d in differences(old.get(k), new.get(k), f"{where}.{k}" if where else str(k))]
    return [] if old == new else [f"{where}: {old} → {new}"]


def _without(document: Any, keys: Collection[str]) -> Any:
    if isinstance(document, dict):
        return {key: _without(value, keys) for key, value in document.items() if key not in keys}
    return [_without(value, keys) for value in document] if isinstance(document, list) else document


__all__ = ["RECIPE_FILE", "differences", "keep_recipe"]
