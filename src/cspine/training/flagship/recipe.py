"""The recipe with which a user trains on the RSNA set what the shipped bundle is for phantoms."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cspine.phantom import FractureMix
from cspine.training.fracture_cases import FractureCasePlan
from cspine.training.fracture_recipe import FracturePhase, FractureRecipe
from cspine.training.fracture_task import FracturePlan
from cspine.training.loop import LoopConfig
from cspine.training.make_cases import CasePlan
from cspine.training.pseudo_labels import Consistency


@dataclass(frozen=True)
class AdaptPlan:
    """How the whole-volume network of the vertebra stage learns what the studies look like.

    Attributes
    ----------
    phantoms
        Cases that stand beside the studies, so that nothing is forgotten.
    loop
        The training; no steps leave the network as it is.
    rule
        Which studies without a mask may teach by the network's own labels.
    studies
        Most studies that teach; those with masks come first.
    """

    phantoms: CasePlan = field(default_factory=lambda: CasePlan(count=48, seed=2028))
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=700, learning_rate=1e-3, warmup=50))
    rule: Consistency = field(default_factory=Consistency)
    studies: int = 400


@dataclass(frozen=True)
class FlagshipRecipe:
    """How a detector is made from a data set in the layout of RSNA 2022.

    Attributes
    ----------
    phantoms
        Persons and phases of the fracture network before it sees a study; error levels and map for the end.
    adapt
        Of the vertebra stage.
    tune
        Further training of the fracture network on crops of the studies, phantoms among them.
    phantom_share
        Share of the phantom persons that stay among the samples.
    continued
        Whether the fracture network goes on from that of the bundle, where it has one of this version; else it begins
        from noise and goes through the phases of `phantoms`.
    generated
        Share of the studies without a fracture into which fractures are put.
    mix
        Which fractures those are.
    folds
        Of studies, grouped by patient; each is answered by a network that has not seen it.
    ensemble
        Whether the bundle holds the networks of all folds, which answer together, instead of one trained on everything.
        Calibration is that of single networks: their mean is a little less sure than each.
    """

    name: str = "cspine-flagship"
    version: str = "1"
    phantoms: FractureRecipe = field(default_factory=FractureRecipe)
    adapt: AdaptPlan = field(default_factory=AdaptPlan)
    tune: FracturePhase = field(
        default_factory=lambda: FracturePhase(
            1.0,
            FracturePlan(),
            LoopConfig(
                steps=6000, batch=6, learning_rate=1e-3, threads=1, save_every=200, channels_last=False, ema=0.998
            ),
        )
    )
    phantom_share: float = 0.5
    continued: bool = True
    generated: float = 0.5
    mix: FractureMix = field(default_factory=lambda: FractureMix(study=1.0))
    folds: int = 5
    ensemble: bool = False
    seed: int = 0

    def smaller(self, persons: int | None, steps: int | None, folds: int | None) -> "FlagshipRecipe":
        """Return the recipe with other sizes; `steps` are those of each fold, and the rest follows."""
        recipe = self
        if steps is not None:
            share = steps / self.tune.loop.steps
            first = sum(phase.loop.steps for phase in self.phantoms.phases)
            recipe = replace(
                recipe,
                tune=replace(self.tune, loop=_of_steps(self.tune.loop, steps)),
                phantoms=self.phantoms.of_length(round(share * first)),
                adapt=replace(self.adapt, loop=_of_steps(self.adapt.loop, round(share * self.adapt.loop.steps))),
            )
        if persons is not None:
            cases: FractureCasePlan = replace(recipe.phantoms.cases, persons=persons)
            few = replace(recipe.adapt.phantoms, count=min(persons, recipe.adapt.phantoms.count))
            recipe = replace(
                recipe, phantoms=replace(recipe.phantoms, cases=cases), adapt=replace(recipe.adapt, phantoms=few)
            )
        return recipe if folds is None else replace(recipe, folds=folds)

    def on(self, workers: int, threads: int) -> "FlagshipRecipe":
        """Return the recipe for a machine: processes that make phantoms and samples, threads that train."""

        def here(loop: LoopConfig) -> LoopConfig:
            return replace(loop, workers=workers, threads=threads)

        phases = tuple(replace(phase, loop=here(phase.loop)) for phase in self.phantoms.phases)
        cases = replace(self.phantoms.cases, workers=workers)
        return replace(
            self,
            phantoms=replace(self.phantoms, cases=cases, phases=phases),
            adapt=replace(
                self.adapt, phantoms=replace(self.adapt.phantoms, workers=workers), loop=here(self.adapt.loop)
            ),
            tune=replace(self.tune, loop=here(self.tune.loop)),
        )

    def with_anatomies(self, meshes: tuple[str, ...]) -> "FlagshipRecipe":
        """Return the recipe with folders of meshes beside the procedural anatomy."""
        cases, drawn = self.phantoms.cases, self.adapt.phantoms
        crops = replace(cases.crops, anatomies=(*cases.crops.anatomies, *meshes))
        return replace(
            self,
            phantoms=replace(self.phantoms, cases=replace(cases, crops=crops)),
            adapt=replace(self.adapt, phantoms=replace(drawn, anatomies=(*drawn.anatomies, *meshes))),
        )

    def document(self) -> dict[str, Any]:
        """Return the recipe as plain JSON; anatomy folders by name only."""
        cases, drawn = self.phantoms.cases, self.adapt.phantoms
        crops = replace(cases.crops, anatomies=tuple(Path(a).name for a in cases.crops.anatomies))
        plain = replace(
            self,
            phantoms=replace(self.phantoms, cases=replace(cases, crops=crops)),
            adapt=replace(self.adapt, phantoms=replace(drawn, anatomies=tuple(Path(a).name for a in drawn.anatomies))),
        )
        document: dict[str, Any] = json.loads(json.dumps(asdict(plain)))
        return document


def _of_steps(loop: LoopConfig, steps: int) -> LoopConfig:
    return replace(loop, steps=max(1, steps), warmup=min(loop.warmup, max(1, steps // 4)))


__all__ = ["AdaptPlan", "FlagshipRecipe"]
