"""The recipes of the fracture stage: which persons are drawn, how the network learns, what tunes it."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cspine.evaluation import ErrorLevels
from cspine.phantom import CropPlan
from cspine.pipeline import FractureSpec, LocalizeSpec, SecondLookSpec
from cspine.training.fracture_cases import FractureCasePlan
from cspine.training.fracture_net import WIDTHS
from cspine.training.fracture_task import FracturePlan
from cspine.training.loop import LoopConfig
from cspine.workflow import EvaluationPlan


@dataclass(frozen=True)
class FracturePhase:
    """A stretch of the training; it begins from what the one before it left.

    Attributes
    ----------
    persons
        Share of the persons that it trains on, the first ones; others may still be drawn meanwhile.
    plan
        How their crops become samples.
    loop
        The training.
    """

    persons: float
    plan: FracturePlan
    loop: LoopConfig

    def few(self, persons: int) -> int:
        """Return how many of the persons it trains on, the first ones."""
        return max(1, round(self.persons * persons))


_PATCH, _CROP, _WHOLE = (24, 48, 48), FracturePlan().shape, FractureSpec().shape


def _phase(persons: float, shape: tuple[int, int, int], plan: FracturePlan, loop: LoopConfig) -> FracturePhase:
    small = shape == _PATCH
    return FracturePhase(persons, replace(plan, shape=shape, aimed=small), loop)


FRACTURE_GRAPH = "fracture"
_SEEDS = 1000
_LOOP = LoopConfig(batch=16, threads=1, save_every=100, channels_last=False, freeze_norm=1.0, ema=0.99)
_CROPS = replace(_LOOP, batch=6, learning_rate=1e-3, freeze_norm=0.8)
_FIRST = FracturePlan(twins=0.0, moving=0.0)
PHASES = (
    _phase(0.2, _PATCH, _FIRST, replace(_LOOP, steps=500, learning_rate=3e-3)),
    _phase(0.6, _PATCH, _FIRST, replace(_LOOP, steps=900, learning_rate=2e-3, seed=1)),
    _phase(1.0, _PATCH, _FIRST, replace(_LOOP, steps=1000, learning_rate=2e-3, seed=2)),
    _phase(1.0, _PATCH, FracturePlan(), replace(_LOOP, steps=3000, learning_rate=2e-3, seed=4)),
    _phase(1.0, _CROP, FracturePlan(), replace(_CROPS, steps=400, seed=5)),
)
"""What a break looks like is learned on small parts round breaks, six for the cost of a crop; then what parts it from
the same place unbroken; then to judge a crop."""
CONTINUED = (
    _phase(0.67, _PATCH, FracturePlan(), replace(_LOOP, steps=2500, learning_rate=2e-3, seed=6)),
    _phase(1.0, _PATCH, FracturePlan(), replace(_LOOP, steps=3500, learning_rate=1.5e-3, seed=7)),
    _phase(1.0, _CROP, FracturePlan(), replace(_CROPS, steps=1600, seed=8)),
)
"""What a network that has learned this goes through on new persons."""
_HELD = replace(_LOOP, batch=64, save_every=1000, log_every=100, freeze_norm=0.9, ema=0.998)
_HELD_PLAN = FracturePlan(streaked=0.15, cut=0.12, aspect=0.08, denser=0.25)
HELD = (
    _phase(0.36, _PATCH, _HELD_PLAN, replace(_HELD, steps=808, learning_rate=2e-3, seed=12)),
    _phase(0.49, _PATCH, _HELD_PLAN, replace(_HELD, steps=991, learning_rate=1.5e-3, seed=13)),
    _phase(0.58, _WHOLE, _HELD_PLAN, replace(_HELD, batch=16, steps=2106, learning_rate=1e-3, seed=14)),
    _phase(0.93, _PATCH, _HELD_PLAN, replace(_HELD, steps=384, learning_rate=1.5e-3, seed=13)),
    _phase(1.0, _WHOLE, _HELD_PLAN, replace(_HELD, batch=16, steps=913, learning_rate=1e-3, seed=14)),
)
"""The same on a GPU that draws its samples itself: larger batches, and whole crops of the size that is judged."""


@dataclass(frozen=True)
class FractureRecipe:
    """How the fracture stage of the shipped bundle is made.

    Attributes
    ----------
    cases
        Which crops are drawn.
    widths
        Channels of the network's four scales.
    phases
        The training.
    members
        Networks that are trained, each from another start on other samples, and answer together.
    mirrored
        Whether each also answers for the mirrored crop.
    second_look
        Vertebrae that are judged from three samplings of the scan.
    tuning
        Phantom studies for calibration and thresholds: cases of each anatomy, family A, persons that did not train.
    tuning_seed
        Theirs.
    localize
        From maps to findings.
    level_errors, study_errors
        Accepted shares of wrong answers, of vertebrae and of studies.
    """

    name: str = "cspine"
    version: str = "3"
    cases: FractureCasePlan = field(default_factory=FractureCasePlan)
    widths: tuple[int, int, int, int] = WIDTHS
    phases: tuple[FracturePhase, ...] = PHASES
    members: int = 1
    mirrored: bool = False
    second_look: SecondLookSpec = field(default_factory=SecondLookSpec)
    tuning: int = 30
    tuning_seed: int = 501
    localize: LocalizeSpec = field(default_factory=LocalizeSpec)
    level_errors: ErrorLevels = field(default_factory=lambda: ErrorLevels(0.05, 0.02))
    study_errors: ErrorLevels = field(default_factory=lambda: ErrorLevels(0.05, 0.05))

    def tuning_plans(self) -> tuple[EvaluationPlan, ...]:
        """Return the phantom studies that tune, a plan for each anatomy."""
        return tuple(
            EvaluationPlan(
                cases=self.tuning,
                anatomy=anatomy,
                family="A",
                seed=self.tuning_seed + k,
                finest_mm=1.0,
                pixel_mm=0.7,
                fractured=True,
                workers=self.cases.workers,
            )
            for k, anatomy in enumerate(self.cases.crops.anatomies)
        )

    def of_length(self, steps: int) -> "FractureRecipe":
        """Return the recipe with `steps` in all, shared among the phases as before."""
        share = steps / sum(phase.loop.steps for phase in self.phases)
        phases = (replace(p, loop=replace(p.loop, steps=max(1, round(share * p.loop.steps)))) for p in self.phases)
        return replace(self, phases=tuple(phases))

    @property
    def spec(self) -> FractureSpec:
        """Crop and map, as the pipeline makes them."""
        return replace(self.phases[-1].plan.fracture, members=self.members, mirrored=self.mirrored)

    def member(self, number: int) -> tuple[FracturePhase, ...]:
        """Return the phases of one network; numbers from 0."""
        return tuple(replace(p, loop=replace(p.loop, seed=p.loop.seed + _SEEDS * number)) for p in self.phases)

    @property
    def threads(self) -> int:
        """Threads that train and tune."""
        return self.phases[-1].loop.threads

    @property
    def chosen_on(self) -> str:
        """Name of the tuning set."""
        names = " and ".join(Path(a).name for a in self.cases.crops.anatomies)
        each = (
            f"{self.tuning} PHANTOM studies of each of {names}"
            if len(self.cases.crops.anatomies) > 1
            else (f"{self.tuning} PHANTOM studies, {names}")
        )
        return f"{each}, family A, seed {self.tuning_seed}"


def continued_fractures() -> FractureRecipe:
    """Return the recipe of a training that begins from the fracture network of a bundle, on persons of its own."""
    return FractureRecipe(
        version="4",
        cases=FractureCasePlan(persons=30, other_every=6, seed=4127),
        phases=CONTINUED,
        tuning=28,
        tuning_seed=511,
    )


def gpu_fractures() -> FractureRecipe:
    """Return the recipe for a GPU: it begins from the fracture network of a bundle and makes it wider.

    Its persons took sixteen processor cores thirteen minutes; the training, beside that, six minutes of an H200.
    """
    crops = CropPlan(scans=2)
    return FractureRecipe(
        version="6",
        cases=FractureCasePlan(persons=86, crops=crops, other_every=8, inserted=3, seed=6128, workers=15),
        widths=(24, 48, 80, 96),
        phases=HELD,
        tuning=28,
        tuning_seed=521,
    )


def document_of(recipe: FractureRecipe) -> dict[str, Any]:
    """Return the recipe as plain JSON; anatomy folders by name only."""
    crops = replace(recipe.cases.crops, anatomies=tuple(Path(a).name for a in recipe.cases.crops.anatomies))
    plain = replace(recipe, cases=replace(recipe.cases, crops=crops))
    document: dict[str, Any] = json.loads(json.dumps(asdict(plain)))
    if not recipe.second_look.levels:
        del document["second_look"]  # runs that began before there was one go on
    if recipe.widths == WIDTHS:
        del document["widths"]
    return document


__all__ = [
    "CONTINUED",
    "FRACTURE_GRAPH",
    "HELD",
    "PHASES",
    "FracturePhase",
    "FractureRecipe",
    "continued_fractures",
    "document_of",
    "gpu_fractures",
]
