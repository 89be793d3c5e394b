"""`efficientnet-c1` (Karno et al. 2023)."""

from cspine.training.recipes.efficientnet_c1.config import (
    EfficientNetC1,
    EfficientNetC1Table,
    efficientnet_c1,
    efficientnet_c1_table,
)
from cspine.training.recipes.efficientnet_c1.run import dry_run_efficientnet_c1, labeled_parts, run_on_stacks
from cspine.training.recipes.efficientnet_c1.system import SYSTEM
from cspine.training.recipes.efficientnet_c1.table import C1Experiment, experiment_on, write_efficientnet_c1

__all__ = [
    "SYSTEM",
    "C1Experiment",
    "EfficientNetC1",
    "EfficientNetC1Table",
    "dry_run_efficientnet_c1",
    "efficientnet_c1",
    "efficientnet_c1_table",
    "experiment_on",
    "labeled_parts",
    "run_on_stacks",
    "write_efficientnet_c1",
]
