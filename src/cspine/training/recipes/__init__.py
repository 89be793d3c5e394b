"""Recipes: published systems as functions that return a frozen config, and what runs them."""

from cspine.training.recipes.dry_run import Cost, cost_of
from cspine.training.recipes.export_run import export_run
from cspine.training.recipes.page_slice_transfer import write_page
from cspine.training.recipes.registry import RECIPES, config_from
from cspine.training.recipes.run_slice_transfer import (
    Answers,
    RunResult,
    dry_run_slice_transfer,
    run_folds,
    run_slice_transfer,
)
from cspine.training.recipes.settings import keys_of, with_settings
from cspine.training.recipes.slice_transfer import (
    SliceTransfer,
    SliceTransferTable,
    slice_transfer,
    slice_transfer_table,
)
from cspine.training.recipes.table_slice_transfer import PUBLISHED, Table, TableRow, run_table

__all__ = [
    "PUBLISHED",
    "RECIPES",
    "Answers",
    "Cost",
    "RunResult",
    "SliceTransfer",
    "SliceTransferTable",
    "Table",
    "TableRow",
    "config_from",
    "cost_of",
    "dry_run_slice_transfer",
    "export_run",
    "keys_of",
    "run_folds",
    "run_slice_transfer",
    "run_table",
    "slice_transfer",
    "slice_transfer_table",
    "with_settings",
    "write_page",
]
