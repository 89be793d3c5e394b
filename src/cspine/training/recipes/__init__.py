"""Recipes: published systems as functions that return a frozen config, and what runs them.

Each system is a package here with a `SYSTEM`; `system_named` imports it.
"""

from cspine.training.recipes.compare import compare_runs
from cspine.training.recipes.dry_run import Cost, cost_of
from cspine.training.recipes.export_run import export_run
from cspine.training.recipes.settings import config_from, keys_of, with_settings
from cspine.training.recipes.system import Order, System
from cspine.training.recipes.systems import SYSTEM_NAMES, system_named, with_weights

__all__ = [
    "SYSTEM_NAMES",
    "Cost",
    "Order",
    "System",
    "compare_runs",
    "config_from",
    "cost_of",
    "export_run",
    "keys_of",
    "system_named",
    "with_settings",
    "with_weights",
]
