"""Phantoms and scans to a model bundle. Needs the extra ``train``."""

from cspine.training.torchvision_mend import mend_torchvision  # isort: skip  # first: it mends what others import

from cspine.training.export import BundleAbout, export_bundle
from cspine.training.loop import LoopConfig, Task, fit, rate_at
from cspine.training.make_cases import CasePlan, make_cases
from cspine.training.pseudo_labels import Consistency, consistent, pseudo_label
from cspine.training.vertebrae import VertebraRecipe, train_vertebrae, vertebra_recipe

__all__ = [
    "BundleAbout",
    "CasePlan",
    "Consistency",
    "LoopConfig",
    "Task",
    "VertebraRecipe",
    "consistent",
    "export_bundle",
    "fit",
    "make_cases",
    "mend_torchvision",
    "pseudo_label",
    "rate_at",
    "train_vertebrae",
    "vertebra_recipe",
]
