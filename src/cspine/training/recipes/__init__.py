"""Recipes: published systems as functions that return a frozen config, and what runs them."""

from cspine.training.recipes.dry_run import Cost, cost_of
from cspine.training.recipes.efficientnet_c1 import (
    EfficientNetC1,
    EfficientNetC1Table,
    efficientnet_c1,
    efficientnet_c1_table,
)
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
from cspine.training.recipes.semi_supervised import SemiSupervised, semi_supervised, train_semi_supervised
from cspine.training.recipes.settings import keys_of, with_settings
from cspine.training.recipes.slice_transfer import (
    SliceTransfer,
    SliceTransferTable,
    slice_transfer,
    slice_transfer_table,
)
from cspine.training.recipes.study_multilabel import (
    StudyMultilabel,
    StudyMultilabelTable,
    UnetPlan,
    study_multilabel,
    study_multilabel_table,
)
from cspine.training.recipes.systems import SYSTEMS, Order, System, with_weights
from cspine.training.recipes.table_slice_transfer import PUBLISHED, Table, TableRow, run_table
from cspine.training.recipes.vertebra_slices import (
    DetectorPlan,
    ForestPlan,
    VertebraSlices,
    VertebraSlicesTable,
    vertebra_slices,
    vertebra_slices_table,
)

__all__ = [
    "PUBLISHED",
    "RECIPES",
    "SYSTEMS",
    "Answers",
    "Cost",
    "DetectorPlan",
    "EfficientNetC1",
    "EfficientNetC1Table",
    "ForestPlan",
    "Order",
    "RunResult",
    "SemiSupervised",
    "SliceTransfer",
    "SliceTransferTable",
    "StudyMultilabel",
    "StudyMultilabelTable",
    "System",
    "Table",
    "TableRow",
    "UnetPlan",
    "VertebraSlices",
    "VertebraSlicesTable",
    "config_from",
    "cost_of",
    "dry_run_slice_transfer",
    "efficientnet_c1",
    "efficientnet_c1_table",
    "export_run",
    "keys_of",
    "run_folds",
    "run_slice_transfer",
    "run_table",
    "semi_supervised",
    "slice_transfer",
    "slice_transfer_table",
    "study_multilabel",
    "study_multilabel_table",
    "train_semi_supervised",
    "vertebra_slices",
    "vertebra_slices_table",
    "with_settings",
    "with_weights",
    "write_page",
]
