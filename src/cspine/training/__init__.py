"""Phantoms, scans, images to networks and model bundles. Needs the extra ``train``; recipes also ``data``."""

from importlib import import_module
from typing import TYPE_CHECKING

from cspine.training.torchvision_mend import mend_torchvision  # isort: skip  # first: it mends what others import

from cspine.training.devices import Place
from cspine.training.export import BundleAbout, export_bundle
from cspine.training.fracture_cases import FractureCasePlan, make_fracture_cases
from cspine.training.fracture_recipe import FractureRecipe, continued_fractures, gpu_fractures
from cspine.training.fractures import train_fractures
from cspine.training.loop import LoopConfig, Task, fit, rate_at
from cspine.training.make_cases import CasePlan, make_cases
from cspine.training.pseudo_labels import Consistency, consistent, pseudo_label
from cspine.training.vertebrae import VertebraRecipe, continued_recipe, train_vertebrae, vertebra_recipe

if TYPE_CHECKING:
    from cspine.training.flagship import FlagshipRecipe, train_flagship
    from cspine.training.learning import Hardware
    from cspine.training.recipes import (
        SYSTEM_NAMES,
        Order,
        System,
        compare_runs,
        export_run,
        system_named,
        with_settings,
        with_weights,
    )

__all__ = [
    "SYSTEM_NAMES",
    "BundleAbout",
    "CasePlan",
    "Consistency",
    "FlagshipRecipe",
    "FractureCasePlan",
    "FractureRecipe",
    "Hardware",
    "LoopConfig",
    "Order",
    "Place",
    "System",
    "Task",
    "VertebraRecipe",
    "compare_runs",
    "consistent",
    "continued_fractures",
    "continued_recipe",
    "export_bundle",
    "export_run",
    "fit",
    "gpu_fractures",
    "make_cases",
    "make_fracture_cases",
    "mend_torchvision",
    "pseudo_label",
    "rate_at",
    "system_named",
    "train_flagship",
    "train_fractures",
    "train_vertebrae",
    "vertebra_recipe",
    "with_settings",
    "with_weights",
]

# Recipes stand on what not every training needs: they are imported when they are first asked for (PEP 562).
_LATE = {"Hardware": "learning", "FlagshipRecipe": "flagship", "train_flagship": "flagship"} | dict.fromkeys(
    ("SYSTEM_NAMES", "Order", "System", "compare_runs", "export_run", "system_named", "with_settings", "with_weights"),
    "recipes",
)


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
