"""The comparison of `winner-2022`: its two models, their blend, and what a part left out costs, on the same folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import numpy as np

from cspine.training.learning import Hardware
from cspine.training.recipes.answers import StudyAnswers
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.winner_2022.config import Winner2022, Winner2022Table
from cspine.training.recipes.winner_2022.crops import CropSet
from cspine.training.recipes.winner_2022.run import WinnerRun, division_of, run_winner_2022
from cspine.training.stacks import Parts, fold_parts

BLEND = "both models"


@dataclass(frozen=True, eq=False)
class WinnerExperiment:
    """The finished runs: variant → one run per fold."""

    recipe: Winner2022Table
    crops: Mapping[str, CropSet]
    runs: Mapping[str, Sequence[WinnerRun]]

    def answers(self, variant: str, model: str = BLEND) -> StudyAnswers:
        """Return the answers of a model of a variant to every tested study."""
        found = (run.test if model == BLEND else run.models[model] for run in self.runs[variant])
        return reduce(StudyAnswers.joined, found)


def experiment_on(recipe: Winner2022Table, crops: CropSet, out: Path, hardware: Hardware, say: Say) -> WinnerExperiment:
    """Train every variant in every fold below ``out/runs``; what was finished before is read.

    Raises as `run_winner_2022`; folds that are impossible are refused.
    """
    runs: dict[str, list[WinnerRun]] = {}
    cut = {variant: _without_neighbors(crops) if variant == "no neighbors" else crops for variant in recipe.variants}
    for number, parts in enumerate(_divisions(recipe, crops), start=1):
        for variant in recipe.variants:
            say(f"== {parts.kind}: {variant}")
            folder = out / "runs" / f"fold-{number}" / variant.replace(" ", "-")
            one = recipe_of(recipe.base, variant)
            runs.setdefault(variant, []).append(
                run_winner_2022(one, cut[variant], parts, folder, hardware=hardware, say=say)
            )
    return WinnerExperiment(recipe, cut, runs)


def recipe_of(base: Winner2022, variant: str) -> Winner2022:
    """Return the recipe of a row."""
    if variant == "no mask channel":
        return replace(base, mask_channel=False)
    if variant == "no neighbors":
        return replace(base, crops=replace(base.crops, neighbors=0))
    return base


def _without_neighbors(crops: CropSet) -> CropSet:
    """Return crops whose slices stand alone: the middle channel of each."""
    middle = [np.asarray(one.pixels)[:, :, one.pixels.shape[2] // 2, None] for one in crops.crops]
    kept = tuple(replace(one, pixels=pixels) for one, pixels in zip(crops.crops, middle, strict=True))
    return replace(crops, crops=kept)


def _divisions(recipe: Winner2022Table, crops: CropSet) -> list[Parts]:
    if not recipe.folds:
        return [division_of(recipe.base)(crops.stacks)]
    return fold_parts(crops.stacks, recipe.folds, recipe.base.seed)
