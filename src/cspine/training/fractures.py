"""The training of the fracture stage: phantom crops → network → calibration through the whole pipeline → bundle.

The vertebra stage is that of an existing bundle. Every step leaves its result in the run folder and is skipped when it
is there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cspine.domain import BundleIncompatible
from cspine.models import ModelBundle, load_bundle
from cspine.pipeline import Analyzer
from cspine.training.devices import ANYWHERE, Place
from cspine.training.fracture_bundle import FractureAbout, write_fracture_bundle
from cspine.training.fracture_cases import MIMICS, TYPES, FirstPersons, drawn_persons
from cspine.training.fracture_net import WIDTHS, FractureNet, widened, widths_of
from cspine.training.fracture_recipe import (
    FRACTURE_GRAPH,
    FracturePhase,
    FractureRecipe,
    document_of,
)
from cspine.training.fracture_task import FractureTask
from cspine.training.loop import fit
from cspine.training.on_device.fracture_batches import HeldFractureTask
from cspine.training.recipe_file import keep_recipe
from cspine.training.vertebrae import begin_from
from cspine.training.warm_start import graph_shapes
from cspine.workflow import (
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


def train_fractures(
    recipe: FractureRecipe,
    run: Path,
    vertebrae: ModelBundle,
    say: Say,
    *,
    start: ModelBundle | None = None,
    real: Path | None = None,
    place: Place = ANYWHERE,
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
    place
        Where the training computes; where samples are drawn there, too, crops take 2 MB each of its memory.

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
    members = train_members(recipe, run, say, start=start, place=place)
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
) -> list[nn.Module]:
    """Return the networks of a recipe; finished ones are read, and no crops are drawn for them.

    Persons are drawn while the first phases train. So a run folder whose networks were trained on one machine can be
    finished on another.
    """
    names = recipe.spec.graphs
    wanted = [k for k, name in enumerate(names) if not finished(recipe.member(k), run / name)]
    kind = HeldFractureTask if place.draws_samples else FractureTask
    if wanted:
        if start is not None:
            _must_go_on(start)  # before anything is drawn
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


def _must_go_on(start: ModelBundle) -> None:
    if not goes_on(start):
        raise BundleIncompatible(
            f"bundle {start.short_id} has no fracture network with the types and mimics of this version; "
            "start from another bundle, or without one"
        )


def begun_fractures(start: ModelBundle, name: str, phase: FracturePhase, cases: tuple[Path, ...]) -> FractureNet:
    """Return the network of a bundle's fracture graph `name`, ready to be trained on.

    Raises
    ------
    BundleIncompatible
        There is no fracture network of this version.
    """
    _must_go_on(start)
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
    errors = recipe.level_errors, recipe.study_errors
    return FractureAbout(
        recipe.name, recipe.version, recipe.spec, recipe.localize, training, card, recipe.second_look, *errors
    )


def _words(phase: FracturePhase) -> str:
    kind = "parts of crops" if phase.plan.aimed else "crops"
    return f"{phase.loop.steps} steps of {phase.loop.batch} {kind}"


__all__ = [
    "PhaseTasks",
    "begun_fractures",
    "goes_on",
    "train_fractures",
    "train_members",
    "train_phase",
    "train_phases",
]
