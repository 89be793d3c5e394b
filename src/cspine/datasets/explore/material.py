"""What is drawn, how much of it, and what becomes of it."""

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from cspine.datasets.explore.tables import Measures
from cspine.datasets.filters import SLICE_GROUP_LIMIT
from cspine.datasets.labeled_study import StudyFiles
from cspine.domain import ConfigError


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One figure.

    Attributes
    ----------
    name
        Of its files: ``<name>.csv`` and ``<name>.svg`` or ``.png``.
    caption
        What is seen, with the numbers.
    picture
        The file's bytes.
    """

    name: str
    title: str
    caption: str
    table: pd.DataFrame
    picture: bytes
    kind: str = "svg"

    @property
    def file(self) -> str:
        """Name of the picture."""
        return f"{self.name}.{self.kind}"


@dataclass(frozen=True, eq=False)
class Section:
    """Figures under one heading."""

    title: str
    exhibits: tuple[Exhibit, ...]


@dataclass(frozen=True)
class PanelPlan:
    """How many pictures the panels show, and which: equal seeds show equal slices.

    Attributes
    ----------
    slice_limits
        Most slices of each group of studies but the last, rising.

    Raises
    ------
    ConfigError
        The limits do not rise.
    """

    seed: int = 0
    random_slices: int = 12
    examples: int = 8
    triptychs: int = 4
    side_views: int = 1
    visibility: int = 3
    slice_limits: tuple[int, ...] = (SLICE_GROUP_LIMIT,)

    def __post_init__(self) -> None:
        limits = self.slice_limits
        if not 1 <= len(limits) <= 6 or any(b <= a for a, b in pairwise((0, *limits))):
            raise ConfigError(f"slice_limits are {limits}, must be one to six rising numbers above 0, such as 350")


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that is drawn.

    Attributes
    ----------
    labels
        As ``train.csv``; empty without one.
    measures
        By UID, of the studies that could be read.
    funnel
        ``rule``, ``studies``, ``slices``; ``None`` when no filter was asked for.
    problems
        UID and sentence of what the index could not use.
    """

    labels: pd.DataFrame
    studies: tuple[StudyFiles, ...]
    measures: Measures
    errors: dict[str, str]
    funnel: pd.DataFrame | None
    problems: tuple[tuple[str, str], ...] = ()
