"""Index of a data set in the layout of RSNA 2022: tables of slices, studies and boxes. Needs the extra ``data``."""

from cspine.datasets.index.build import IndexRun, index_rsna
from cspine.datasets.index.reading import RsnaIndex, read_index
from cspine.datasets.index.schema import (
    BAD_STUDIES,
    LEVELS,
    OVERALL,
    TARGETS,
    UID,
    Direction,
    Problem,
    ProblemKind,
)

__all__ = [
    "BAD_STUDIES",
    "LEVELS",
    "OVERALL",
    "TARGETS",
    "UID",
    "Direction",
    "IndexRun",
    "Problem",
    "ProblemKind",
    "RsnaIndex",
    "index_rsna",
    "read_index",
]
