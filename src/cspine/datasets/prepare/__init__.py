"""What networks train on, made once by the pipeline's own pre-processing and kept by its content."""

from cspine.datasets.prepare.entry import Prepared, PreparedVertebra, read_prepared
from cspine.datasets.prepare.make import PARTS, PreparePlan, entry_bytes, make_entry
from cspine.datasets.prepare.run import PreparedSet, SpaceNeeded, prepare_set, space_needed
from cspine.datasets.prepare.vertebrae import (
    Found,
    VertebraFinder,
    from_mask,
    from_mask_of,
    from_mask_or_network,
    from_network,
)

__all__ = [
    "PARTS",
    "Found",
    "PreparePlan",
    "Prepared",
    "PreparedSet",
    "PreparedVertebra",
    "SpaceNeeded",
    "VertebraFinder",
    "entry_bytes",
    "from_mask",
    "from_mask_of",
    "from_mask_or_network",
    "from_network",
    "make_entry",
    "prepare_set",
    "read_prepared",
    "space_needed",
]
