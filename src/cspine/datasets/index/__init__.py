"""Index of a data set in the layout of RSNA 2022: tables of slices, studies and boxes. Needs the extra ``data``.

What makes an index is imported when it is first asked for: most commands only read one, and some only its words.
"""

from typing import TYPE_CHECKING

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
from cspine.late import late_names as _late_names

if TYPE_CHECKING:
    from cspine.datasets.index.build import IndexRun, index_rsna
    from cspine.datasets.index.reading import RsnaIndex, read_index

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

_LATE = {"build": ("IndexRun", "index_rsna"), "reading": ("RsnaIndex", "read_index")}
__getattr__ = _late_names(__name__, _LATE, "data")
