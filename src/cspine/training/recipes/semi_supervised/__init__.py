"""`semi-supervised` (Abdikhan 2023): two heads, spread vertebra labels, agreement on images without labels."""

from cspine.training.recipes.semi_supervised.config import (
    METHODS,
    PLANES,
    SemiSupervised,
    semi_supervised,
)
from cspine.training.recipes.semi_supervised.planes import in_plane, parts_in_plane
from cspine.training.recipes.semi_supervised.run import SemiRun, Setting, run_semi_supervised, study_answers
from cspine.training.recipes.semi_supervised.score import (
    StudyAnswers,
    fused,
    level_auc,
    level_auc_gain,
    log_loss,
    log_loss_gain,
    log_losses,
    patient_scores,
)
from cspine.training.recipes.semi_supervised.visibility import Visibility, spread_visibility
from cspine.training.recipes.semi_supervised.whole import train_semi_supervised

__all__ = [
    "METHODS",
    "PLANES",
    "SemiRun",
    "SemiSupervised",
    "Setting",
    "StudyAnswers",
    "Visibility",
    "fused",
    "in_plane",
    "level_auc",
    "level_auc_gain",
    "log_loss",
    "log_loss_gain",
    "log_losses",
    "parts_in_plane",
    "patient_scores",
    "run_semi_supervised",
    "semi_supervised",
    "spread_visibility",
    "study_answers",
    "train_semi_supervised",
]
