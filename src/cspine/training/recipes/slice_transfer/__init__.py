"""`slice-transfer` (Moustafa et al. 2025)."""

from cspine.training.recipes.slice_transfer.config import (
    SliceTransfer,
    SliceTransferTable,
    slice_transfer,
    slice_transfer_table,
)
from cspine.training.recipes.slice_transfer.images import list_images
from cspine.training.recipes.slice_transfer.page import write_page
from cspine.training.recipes.slice_transfer.run import (
    Answers,
    RunResult,
    dry_run_slice_transfer,
    run_folds,
    run_slice_transfer,
)
from cspine.training.recipes.slice_transfer.system import SYSTEM
from cspine.training.recipes.slice_transfer.table import PUBLISHED, Table, TableRow, run_table

__all__ = [
    "PUBLISHED",
    "SYSTEM",
    "Answers",
    "RunResult",
    "SliceTransfer",
    "SliceTransferTable",
    "Table",
    "TableRow",
    "dry_run_slice_transfer",
    "list_images",
    "run_folds",
    "run_slice_transfer",
    "run_table",
    "slice_transfer",
    "slice_transfer_table",
    "write_page",
]
