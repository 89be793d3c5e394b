"""The recipe that stands in a run folder: a run goes on only with the one that it began with."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cspine.domain import ConfigError


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
        The run folder belongs to another recipe.
    """
    path = run / "recipe.json"
    if path.exists():
        if _without(json.loads(path.read_text()), but) != _without(document, but):
            raise ConfigError(f"{run}: holds a run of another recipe ({path.name} differs); use another folder")
        return
    run.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2))


def _without(document: Any, keys: Collection[str]) -> Any:
    if isinstance(document, dict):
        return {key: _without(value, keys) for key, value in document.items() if key not in keys}
    return [_without(value, keys) for value in document] if isinstance(document, list) else document


__all__ = ["keep_recipe"]
