"""The recipe of the fracture stage: phantom crops → network → calibration through the whole pipeline → bundle.

The vertebra stage is that of an existing bundle. Every step leaves its result in the run folder and is skipped when it
is there.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cspine.domain import BundleIncompatible
from cspine.evaluation import ErrorLevels
from cspine.models import ModelBundle, load_bundle
from cspine.phantom import CropPlan
from cspine.pipeline import Analyzer, FractureSpec, LocalizeSpec, SecondLookSpec
from cspine.training.devices import ANYWHERE, Place
from cspine.training.fracture_bundle import FractureAbout, write_fracture_bundle
from cspine.training.fracture_cases import MIMICS, TYPES, FirstPersons, FractureCasePlan, drawn_persons
from cspine.training.fracture_net import WIDTHS, FractureNet, widened, widths_of
from cspine.training.fracture_task import FracturePlan, FractureTask
from cspine.training.loop import LoopConfig, fit
from cspine.training.on_device.fracture_batches import HeldFractureTask
from cspine.training.recipe_file import keep_recipe
from cspine.training.vertebrae import begin_from
from cspine.training.warm_start import graph_shapes
from cspine.workflow import (
    EvaluationPlan,
    Tuned,
    make_evaluation_cases,
    spared_words,
    study_of,
    tune,
    unbroken_studies,
    volumes_below,
)

Say = Callable[[str], None]
CARD = """# {name} {version}

Research use only. Not a medical device. **All fracture figures are phantom figures.**

Finds and names C1–C7, outlines them, says how much of each is in view, and judges each for fractures: a calibrated
probability, a decision (rule-in, uncertain, rule-out), where, which type, and what it might be instead.

- Vertebra stage: the networks of bundle {vertebrae}.
- Fracture stage: trained on vertebra crops of {persons} phantom persons ({scans} scans each), anatomies {anatomies},
  fracture and scanner family A; {phases}; seed {seed}{begun}.
- Calibration and thresholds: {chosen_on}; never the test set. They are phantom levels until they are recalibrated on a
  site's own studies.
- Never trained on: patients with fractures (none were at hand), the UMTRI anatomy, fracture and scanner family B.
- Made by `cspine train fractures`; figures by `cspine evaluate BUNDLE --data ROOT`.

Never assessed: ligaments, alignment and dislocation, cord, skull base, T1 and below, ribs.
"""


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


def train_fractures(
    recipe: FractureRecipe,
    run: Path,
    vertebrae: ModelBundle,
    say: Say,
    *,
    start: ModelBundle | None = None,
    real: Path | None = None,
    place: Place = ANYWHERE,
    on_device: bool = False,
) -> ModelBundle:
    """Run the recipe in `run`, from where an earlier run stopped, and return the bundle ``run/bundle``.

    Parameters
    ----------
    vertebrae
        Its vertebra networks go into the new bundle.
    start
        Begin from the fracture network of this bundle; of several members each from its own, as far as there are any.
    real
        Folder of real scans (NIfTI) without a fracture, of which those of odd patient numbers are left for tests:
        limits of rule-in are raised until none of them is ruled in. They do not train.
    place, on_device
        As `train_members` takes them.

    Raises
    ------
    ConfigError
        The run folder belongs to another recipe.
    BundleIncompatible
        `start` has no fracture network of this version.
    """
    begun = {} if start is None else {"start": start.id}
    spared = {} if real is None else {"real": real.name}
    keep_recipe({"recipe": document_of(recipe), "vertebrae": vertebrae.id, **begun, **spared}, run)
    if (run / "bundle").exists():
        return load_bundle(run / "bundle")
    members = train_members(recipe, run, say, start=start, place=place, on_device=on_device)
    about = _about(recipe, vertebrae, start)
    untuned = write_fracture_bundle(run / "bundle-untuned", vertebrae, members, about, None)
    tuned = _tuned(recipe, Analyzer(untuned, threads=recipe.threads), real, say)
    return write_fracture_bundle(run / "bundle", vertebrae, members, about, tuned)


def train_members(
    recipe: FractureRecipe,
    run: Path,
    say: Say,
    *,
    start: ModelBundle | None = None,
    place: Place = ANYWHERE,
    on_device: bool = False,
) -> list[nn.Module]:
    """Return the networks of a recipe; finished ones are read, and no crops are drawn for them.

    Persons are drawn while the first phases train. So a run folder whose networks were trained on one machine can be
    finished on another.

    Parameters
    ----------
    place
        Where the training computes.
    on_device
        Draw samples there, too, from crops that are held in its memory (`HeldFractureTask`), 2 MB each.
    """
    names = recipe.spec.graphs
    wanted = [k for k, name in enumerate(names) if not finished(recipe.member(k), run / name)]
    kind = HeldFractureTask if on_device else FractureTask
    if wanted:
        say(f"crops of {recipe.cases.persons} phantom persons")
        with drawn_persons(recipe.cases, run / "cases") as persons:
            tasks = PhaseTasks(recipe.cases.persons, persons, kind, recipe.widths)
            for k in wanted:
                phases, first = recipe.member(k), None
                if start is not None:
                    first = begun_fractures(start, names[k], phases[0], persons(phases[0].few(recipe.cases.persons)))
                    first = widened(first, recipe.widths)
                train_phases(phases, tasks, run / names[k], say, first=first, place=place)
    last = f"phase-{len(recipe.phases)}"
    return [_read(FractureTask((), widths=recipe.widths), run / name / last / "averaged.pt") for name in names]


def finished(phases: Sequence[FracturePhase], run: Path) -> bool:
    """Whether the last phase of a network has been trained."""
    return (run / f"phase-{len(phases)}" / "averaged.pt").exists()


def goes_on(start: ModelBundle) -> bool:
    """Whether a training can begin from the fracture network of a bundle: it has one, with this version's heads."""
    told = [tuple(start.manifest.labels.get(key, ())) for key in ("types", "mimics")]
    return FRACTURE_GRAPH in start.manifest.graphs and told == [TYPES, MIMICS]


def begun_fractures(start: ModelBundle, name: str, phase: FracturePhase, cases: tuple[Path, ...]) -> FractureNet:
    """Return the network of a bundle's fracture graph `name`, ready to be trained on.

    Raises
    ------
    BundleIncompatible
        There is no fracture network of this version.
    """
    if not goes_on(start):
        raise BundleIncompatible(
            f"bundle {start.short_id} has no fracture network with the types and mimics of this version; "
            "start from another bundle, or without one"
        )
    graph = name if name in start.manifest.graphs else FRACTURE_GRAPH
    task = FractureTask(cases, phase.plan, widths=widths_of(graph_shapes(start, graph)))
    network = begin_from(start, graph, task, phase.loop.seed)
    assert isinstance(network, FractureNet)
    return network


def _tuned(recipe: FractureRecipe, analyzer: Analyzer, real: Path | None, say: Say) -> Tuned:
    studies = []
    for plan in recipe.tuning_plans():
        for _, case in make_evaluation_cases(plan):
            study = study_of(analyzer, case)
            if study is not None:
                studies.append(study)
            say(f"tuning: {len(studies)} studies")
    whole = [] if real is None else unbroken_studies(analyzer, (volume for _, volume in volumes_below(real)))
    if real is not None:
        say(f"tuning: {len(whole)} real scans without a fracture")
    chosen_on = recipe.chosen_on + spared_words(len(whole))
    errors = recipe.level_errors, recipe.study_errors
    return tune(studies, recipe.localize, chosen_on, errors, unbroken=whole)


@dataclass(frozen=True)
class PhaseTasks:
    """What each phase trains on: the first persons, drawn as `kind` says.

    Attributes
    ----------
    persons
        How many there are in all.
    first
        Returns the folders of the first so many.
    """

    persons: int
    first: FirstPersons
    kind: type[FractureTask] = FractureTask
    widths: tuple[int, int, int, int] = WIDTHS

    def of(self, phase: FracturePhase) -> FractureTask:
        """Return the task of a phase, once its persons are there."""
        return self.kind(self.first(phase.few(self.persons)), phase.plan, self.widths)


def train_phases(
    phases: Sequence[FracturePhase],
    tasks: PhaseTasks,
    run: Path,
    say: Say,
    *,
    first: nn.Module | None = None,
    place: Place = ANYWHERE,
) -> FractureNet:
    """Return the network that the phases make of stored crops, from `first` on, or from noise."""
    network = first
    for number, phase in enumerate(phases, start=1):
        network = train_phase(phase, tasks.of(phase), run / f"phase-{number}", network, say, place=place)
    assert isinstance(network, FractureNet)
    return network


def train_phase(
    phase: FracturePhase,
    task: FractureTask,
    run: Path,
    start: nn.Module | None,
    say: Say,
    *,
    place: Place = ANYWHERE,
) -> FractureNet:
    """Train a phase from where an earlier run stopped, or load it when it was finished."""
    done = run / "averaged.pt"
    if not done.exists():

        def report(step: int, parts: dict[str, float]) -> None:
            figures = "  ".join(f"{name} {value:.4f}" for name, value in parts.items() if name != "skipped")
            say(f"{run.name} {step}/{phase.loop.steps}  {figures}")

        torch.save(fit(task, phase.loop, run, start, report, place=place).state_dict(), done)
    return _read(task, done)


def _read(task: FractureTask, path: Path) -> FractureNet:
    network = task.network()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def _about(recipe: FractureRecipe, vertebrae: ModelBundle, start: ModelBundle | None) -> FractureAbout:
    card = CARD.format(
        name=recipe.name,
        version=recipe.version,
        vertebrae=vertebrae.short_id,
        persons=recipe.cases.persons,
        scans=recipe.cases.crops.scans,
        anatomies=" and ".join(Path(a).name for a in recipe.cases.crops.anatomies),
        phases=", then ".join(_words(phase) for phase in recipe.phases),
        seed=recipe.cases.seed,
        begun="" if start is None else f"; begun from the fracture network of bundle {start.short_id}",
        chosen_on="{chosen_on}",
    )
    training = document_of(recipe) | ({} if start is None else {"start": start.id})
    return FractureAbout(recipe.name, recipe.version, recipe.spec, recipe.localize, training, card, recipe.second_look)


def _words(phase: FracturePhase) -> str:
    kind = "parts of crops" if phase.plan.aimed else "crops"
    return f"{phase.loop.steps} steps of {phase.loop.batch} {kind}"


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
    "PHASES",
    "FracturePhase",
    "FractureRecipe",
    "continued_fractures",
    "document_of",
    "gpu_fractures",
    "train_fractures",
    "train_phase",
    "train_phases",
]
