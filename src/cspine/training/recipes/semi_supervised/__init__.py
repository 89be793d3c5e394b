"""`semi-supervised` (Abdikhan 2023): two heads, spread vertebra labels, agreement on images without labels."""

from cspine.training.recipes.semi_supervised.config import (
    METHODS,
    PLANES,
    SemiSupervised,
    SemiSupervisedTable,
    semi_supervised,
    semi_supervised_table,
)
from cspine.training.recipes.semi_supervised.page import write_semi_supervised
from cspine.training.recipes.semi_supervised.planes import in_plane, parts_in_plane
from cspine.training.recipes.semi_supervised.run import SemiRun, Setting, run_semi_supervised, study_answers
from cspine.training.recipes.semi_supervised.score import patient_scores
from cspine.training.recipes.semi_supervised.system import SYSTEM
from cspine.training.recipes.semi_supervised.table import SemiExperiment, experiment_on
from cspine.training.recipes.semi_supervised.visibility import Visibility, spread_visibility

__all__ = [
    "METHODS",
    "PLANES",
    "SYSTEM",
    "SemiExperiment",
    "SemiRun",
    "SemiSupervised",
    "SemiSupervisedTable",
    "Setting",
    "Visibility",
    "experiment_on",
    "in_plane",
    "parts_in_plane",
    "patient_scores",
    "run_semi_supervised",
    "semi_supervised",
    "semi_supervised_table",
    "spread_visibility",
    "study_answers",
    "write_semi_supervised",
]
