"""Data on disk and cases: phantoms written as studies, and data sets indexed, filtered, split and checked.

What works on tables needs the extra ``data`` and is imported when it is first asked for, so that everything else works
without it.
"""

from typing import TYPE_CHECKING

from cspine.datasets.late import late_names as _late_names
from cspine.datasets.nifti import nifti_bytes
from cspine.datasets.phantom_studies import (
    Layout,
    PhantomPlan,
    layout_named,
    phantom_header,
    truth_document,
    write_phantoms,
)

if TYPE_CHECKING:
    from cspine.datasets.index import IndexRun, RsnaIndex, index_rsna, read_index

__all__ = [
    "IndexRun",
    "Layout",
    "PhantomPlan",
    "RsnaIndex",
    "index_rsna",
    "layout_named",
    "nifti_bytes",
    "phantom_header",
    "read_index",
    "truth_document",
    "write_phantoms",
]

# Name → the package below this one that it comes from.
_LATE = {
    "IndexRun": "index",
    "RsnaIndex": "index",
    "index_rsna": "index",
    "read_index": "index",
}
__getattr__ = _late_names(__name__, _LATE, "data")
