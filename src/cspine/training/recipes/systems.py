"""The published systems by name; a system is imported when it is asked for."""

import pkgutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from cspine.training.names import pick
from cspine.training.recipes.system import System

SYSTEM_NAMES = tuple(
    found.name.replace("_", "-") for found in pkgutil.iter_modules([str(Path(__file__).parent)]) if found.ispkg
)
# Begins that fit every network; a file fits one.
EVERYWHERE = ("none", "imagenet")


def system_named(name: str) -> System:
    """Return a system.

    Raises
    ------
    ConfigError
        Unknown name; the message says the nearest.
    """
    known = pick(dict(zip(SYSTEM_NAMES, SYSTEM_NAMES, strict=True)), name, "recipe")
    found: System = import_module(f"cspine.training.recipes.{known.replace('-', '_')}").SYSTEM
    return found


def with_weights(recipe: Any, weights: str | None) -> Any:
    """Return a recipe or table whose networks begin with `weights`; a file is for the classifier alone."""
    if weights is None:
        return recipe
    if hasattr(recipe, "base"):
        return replace(recipe, base=with_weights(recipe.base, weights))
    if hasattr(recipe, "detector") and weights in EVERYWHERE:
        recipe = replace(recipe, detector=replace(recipe.detector, weights=weights))
    return replace(recipe, weights=weights)
