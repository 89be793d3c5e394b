"""`vertebra-slices` (Raghuvanshi et al.)."""

from cspine.training.recipes.vertebra_slices.config import (
    DetectorPlan,
    ForestPlan,
    VertebraSlices,
    VertebraSlicesTable,
    vertebra_slices,
    vertebra_slices_table,
)
from cspine.training.recipes.vertebra_slices.run import BoxRun, ForestRun, dry_run_vertebra_slices, run_task
from cspine.training.recipes.vertebra_slices.system import SYSTEM
from cspine.training.recipes.vertebra_slices.table import SlicesExperiment, experiment_on, write_vertebra_slices

__all__ = [
    "SYSTEM",
    "BoxRun",
    "DetectorPlan",
    "ForestPlan",
    "ForestRun",
    "SlicesExperiment",
    "VertebraSlices",
    "VertebraSlicesTable",
    "dry_run_vertebra_slices",
    "experiment_on",
    "run_task",
    "vertebra_slices",
    "vertebra_slices_table",
    "write_vertebra_slices",
]
