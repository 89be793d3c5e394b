"""Phantoms, scans, images to networks and model bundles. Needs the extra ``train``; recipes also ``data``."""

from importlib import import_module
from typing import TYPE_CHECKING

from cspine.training.torchvision_mend import mend_torchvision  # isort: skip  # first: it mends what others import

from cspine.training.export import BundleAbout, export_bundle
from cspine.training.fracture_cases import FractureCasePlan, make_fracture_cases
from cspine.training.fractures import FractureRecipe, train_fractures
from cspine.training.loop import LoopConfig, Task, fit, rate_at
from cspine.training.make_cases import CasePlan, make_cases
from cspine.training.pseudo_labels import Consistency, consistent, pseudo_label
from cspine.training.vertebrae import VertebraRecipe, continued_recipe, train_vertebrae, vertebra_recipe

if TYPE_CHECKING:
    from cspine.training.learning import Hardware
    from cspine.training.recipes import (
        SYSTEMS,
        EfficientNetC1,
        EfficientNetC1Table,
        Order,
        RunResult,
        SemiSupervised,
        SliceTransfer,
        SliceTransferTable,
        StudyMultilabel,
        StudyMultilabelTable,
        System,
        VertebraSlices,
        VertebraSlicesTable,
        dry_run_slice_transfer,
        efficientnet_c1,
        efficientnet_c1_table,
        export_run,
        run_folds,
        run_slice_transfer,
        run_table,
        semi_supervised,
        slice_transfer,
        slice_transfer_table,
        study_multilabel,
        study_multilabel_table,
        train_semi_supervised,
        vertebra_slices,
        vertebra_slices_table,
        with_settings,
        with_weights,
        write_page,
    )

__all__ = [
    "SYSTEMS",
    "BundleAbout",
    "CasePlan",
    "Consistency",
    "EfficientNetC1",
    "EfficientNetC1Table",
    "FractureCasePlan",
    "FractureRecipe",
    "Hardware",
    "LoopConfig",
    "Order",
    "RunResult",
    "SemiSupervised",
    "SliceTransfer",
    "SliceTransferTable",
    "StudyMultilabel",
    "StudyMultilabelTable",
    "System",
    "Task",
    "VertebraRecipe",
    "VertebraSlices",
    "VertebraSlicesTable",
    "consistent",
    "continued_recipe",
    "dry_run_slice_transfer",
    "efficientnet_c1",
    "efficientnet_c1_table",
    "export_bundle",
    "export_run",
    "fit",
    "make_cases",
    "make_fracture_cases",
    "mend_torchvision",
    "pseudo_label",
    "rate_at",
    "run_folds",
    "run_slice_transfer",
    "run_table",
    "semi_supervised",
    "slice_transfer",
    "slice_transfer_table",
    "study_multilabel",
    "study_multilabel_table",
    "train_fractures",
    "train_semi_supervised",
    "train_vertebrae",
    "vertebra_recipe",
    "vertebra_slices",
    "vertebra_slices_table",
    "with_settings",
    "with_weights",
    "write_page",
]

# Recipes stand on what not every training needs: they are imported when they are first asked for (PEP 562).
_LATE = {"Hardware": "learning"} | dict.fromkeys(
    (
        "SYSTEMS",
        "EfficientNetC1",
        "EfficientNetC1Table",
        "Order",
        "RunResult",
        "SemiSupervised",
        "SliceTransfer",
        "SliceTransferTable",
        "StudyMultilabel",
        "StudyMultilabelTable",
        "System",
        "VertebraSlices",
        "VertebraSlicesTable",
        "dry_run_slice_transfer",
        "efficientnet_c1",
        "efficientnet_c1_table",
        "export_run",
        "run_folds",
        "run_slice_transfer",
        "run_table",
        "semi_supervised",
        "slice_transfer",
        "slice_transfer_table",
        "study_multilabel",
        "study_multilabel_table",
        "vertebra_slices",
        "vertebra_slices_table",
        "train_semi_supervised",
        "with_settings",
        "with_weights",
        "write_page",
    ),
    "recipes",
)


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
