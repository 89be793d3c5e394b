"""What every run folder holds, whatever the recipe: what the run is, its answers, and what came of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cspine.domain import ConfigError
from cspine.training.recipe_file import RECIPE_FILE

ANSWERS_FILE = "predictions.csv"
RESULT_FILE = "result.json"
Say = Callable[[str], None]


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


__all__ = ["ANSWERS_FILE", "RECIPE_FILE", "RESULT_FILE", "Say", "read_document"]
