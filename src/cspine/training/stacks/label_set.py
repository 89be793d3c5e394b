"""What a set is labeled with, as data: names of the columns, values in masks, and what follows from what."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cspine.domain import CERVICAL, ConfigError, Vertebra
from cspine.training.names import pick

MOST_LEVELS = len(Vertebra)


@dataclass(frozen=True)
class LabelSet:
    """The labels of a set of studies.

    Attributes
    ----------
    overall
        Column of ``train.csv`` that is positive where any level is: the top of the hierarchy.
    levels
        Columns of the levels, from head to foot.
    values
        Of the levels in masks, in the same order.
    finding
        What is looked for, in one word.
    """

    name: str
    overall: str
    levels: tuple[str, ...]
    values: tuple[int, ...]
    finding: str = "fracture"

    def __post_init__(self) -> None:
        if not self.levels or len(self.levels) > MOST_LEVELS or len(set(self.levels)) != len(self.levels):
            raise ConfigError(
                f"label set {self.name!r} has {len(self.levels)} levels, must be 1 … {MOST_LEVELS}, each once"
            )
        if len(self.values) != len(self.levels) or len(set(self.values)) != len(self.values):
            raise ConfigError(
                f"label set {self.name!r}: each of {len(self.levels)} levels needs a mask value of its own"
            )
        if not all(0 < value < 256 for value in self.values) or self.overall in self.levels:
            raise ConfigError(
                f"label set {self.name!r}: mask values must be 1 … 255, and {self.overall!r} must not be a level"
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """All columns: overall, then the levels."""
        return (self.overall, *self.levels)


CERVICAL_FRACTURES = LabelSet(
    "cervical", "patient_overall", tuple(v.name for v in CERVICAL), tuple(int(v) for v in CERVICAL)
)
_KNOWN: Mapping[str, LabelSet] = {CERVICAL_FRACTURES.name: CERVICAL_FRACTURES}


def label_set_named(name: str) -> LabelSet:
    """Return a known label set, or the one in a JSON file.

    The file: ``{"name": "lumbar", "overall": "any", "levels": {"L1": 20, "L2": 21}, "finding": "fracture"}``.

    Raises
    ------
    ConfigError
        Unknown name, or not such a file.
    """
    if not name.endswith(".json"):
        return pick(_KNOWN, name, "label set (or give a .json file)")
    try:
        content = json.loads(Path(name).read_text(encoding="utf-8"))
        levels = {str(key): int(value) for key, value in content["levels"].items()}
        finding = str(content.get("finding", "fracture"))
        return LabelSet(str(content["name"]), str(content["overall"]), tuple(levels), tuple(levels.values()), finding)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{name}: is no label set ({type(error).__name__}: {error}); it needs name, overall and levels with values"
        ) from error
