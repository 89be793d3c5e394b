"""What every run folder holds, whatever the recipe: what the run is, its answers, and what came of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cspine.dicom import write_atomically
from cspine.domain import ConfigError
from cspine.training.learning.checkpoint import differences

RECIPE_FILE = "recipe.json"
ANSWERS_FILE = "predictions.csv"
RESULT_FILE = "result.json"
SHOWN = 6
Say = Callable[[str], None]


def remember(run: Path, document: dict[str, Any]) -> None:
    """Write what a run is into its folder, or check that it is the same.

    Raises
    ------
    ConfigError
        The folder holds another run; the message says what differs.
    """
    path = run / RECIPE_FILE
    plain = json.loads(json.dumps(document))
    if path.exists():
        changes = differences(json.loads(path.read_text(encoding="utf-8")), plain)
        if changes:
            raise ConfigError(f"{run}: holds another run ({'; '.join(changes[:SHOWN])}); use another folder")
        return
    write_atomically(path, json.dumps(plain, indent=2).encode())


def read_document(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a run folder says.

    Raises
    ------
    ConfigError
        There is no such file: the run is not finished, or none.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path.parent}: not a finished run (no readable {path.name}); train it to its end"
        ) from error
    return found
