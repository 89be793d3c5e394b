"""`study-multilabel` (capstone report, 2022)."""

from cspine.training.recipes.study_multilabel.config import (
    StudyMultilabel,
    StudyMultilabelTable,
    UnetPlan,
    study_multilabel,
    study_multilabel_table,
)
from cspine.training.recipes.study_multilabel.run import (
    dry_run_study_multilabel,
    run_folds_study_multilabel,
    run_on_parts,
)
from cspine.training.recipes.study_multilabel.segmentation import Segmented, divided, run_segmentation
from cspine.training.recipes.study_multilabel.system import SYSTEM
from cspine.training.recipes.study_multilabel.table import MultilabelExperiment, experiment_on, write_study_multilabel

__all__ = [
    "SYSTEM",
    "MultilabelExperiment",
    "Segmented",
    "StudyMultilabel",
    "StudyMultilabelTable",
    "UnetPlan",
    "divided",
    "dry_run_study_multilabel",
    "experiment_on",
    "run_folds_study_multilabel",
    "run_on_parts",
    "run_segmentation",
    "study_multilabel",
    "study_multilabel_table",
    "write_study_multilabel",
]
