"""The recipe of the vertebra stage: phantom cases → two networks → adaptation on real scans → bundle.

Every step leaves its result in the run folder and is skipped when it is there, so a broken run goes on where it
stopped.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cspine.domain import ConfigError
from cspine.models import ModelBundle, load_bundle
from cspine.phantom import PROCEDURAL
from cspine.pipeline import Analyzer, PipelineSpec
from cspine.training.devices import ANYWHERE, Place
from cspine.training.export import BundleAbout, export_bundle
from cspine.training.loop import LoopConfig, Task, fit
from cspine.training.make_cases import CasePlan, make_cases
from cspine.training.on_device import HeldCoarseTask, HeldRefineTask
from cspine.training.pseudo_labels import Consistency, pseudo_label
from cspine.training.real_cases import save_real_case
from cspine.training.recipe_file import keep_recipe
from cspine.training.tissue_cases import list_cases
from cspine.training.vertebra_tasks import CoarseTask, RefineTask
from cspine.training.warm_start import start_from
from cspine.workflow import volumes_below

Say = Callable[[str], None]
START_SAMPLES = 6
CARD = """# Vertebra bundle {name} {version}

Research use only. Not a medical device.

Finds and names C1–C7 (and T1 as an anchor), outlines them, and says how much of each is in view. It has **no fracture
stage**: every study is "not assessed" for fractures.

- Trained on phantoms: {cases} cases, anatomies {anatomies}; {adapted}.
- Whole-volume network: {coarse_steps} steps; per-vertebra network: {refine_steps} steps; seed {seed}{begun}.
- Made by `cspine train vertebrae`; figures by `cspine evaluate vertebrae`, see `docs/experiments/vertebrae.md`.
- Never trained on: the UMTRI anatomy, fracture and scanner family B, odd patients of Open-KBP, the scans used as
  test cases.
"""


@dataclass(frozen=True)
class VertebraRecipe:
    """How the shipped bundle is made.

    Attributes
    ----------
    cases
        Which phantoms are drawn.
    coarse, refine
        The two trainings on phantoms.
    adapt
        Further training of the whole-volume network with real scans among the samples.
    rule
        Which pseudo-labels are kept.
    pipeline
        Parameters that go into the manifest.
    start
        Identity of the bundle whose networks the trainings begin from; ``None`` begins from noise.
    """

    name: str = "vertebrae"
    version: str = "2"
    start: str | None = None
    cases: CasePlan = field(default_factory=CasePlan)
    coarse: LoopConfig = field(default_factory=lambda: LoopConfig(steps=8000))
    refine: LoopConfig = field(default_factory=lambda: LoopConfig(steps=2500, batch=4))
    adapt: LoopConfig = field(default_factory=lambda: LoopConfig(steps=1200, learning_rate=1e-3))
    rule: Consistency = field(default_factory=Consistency)
    pipeline: PipelineSpec = field(default_factory=PipelineSpec)

    def of_anatomies(self, meshes: tuple[str, ...], *, procedural: bool = True) -> "VertebraRecipe":
        """Return the recipe for phantoms of these folders of meshes, and of the procedural anatomy unless left out.

        Raises
        ------
        ConfigError
            No anatomy is left.
        """
        anatomies = (*((PROCEDURAL,) if procedural else ()), *meshes)
        if not anatomies:
            raise ConfigError("no anatomy is left to train on; name a folder of meshes, or keep the procedural one")
        return replace(self, cases=replace(self.cases, anatomies=anatomies))

    def smaller(self, sizes: dict[str, int | None]) -> "VertebraRecipe":
        """Return the recipe with other sizes; ``None`` keeps what the recipe has.

        ``cases``, ``coarse`` and ``refine`` (steps), ``coarse_batch`` and ``refine_batch``, ``seed`` of the phantoms.
        """
        given = {name: size for name, size in sizes.items() if size is not None}

        def sized(loop: LoopConfig, name: str) -> LoopConfig:
            return replace(loop, steps=given.get(name, loop.steps), batch=given.get(f"{name}_batch", loop.batch))

        return replace(
            self,
            cases=replace(
                self.cases, count=given.get("cases", self.cases.count), seed=given.get("seed", self.cases.seed)
            ),
            coarse=sized(self.coarse, "coarse"),
            refine=sized(self.refine, "refine"),
        )

    def on(self, workers: int | None, threads: int | None) -> "VertebraRecipe":
        """Return the recipe for a machine: processes that make phantoms, threads that train; ``None`` keeps."""
        loops = (self.coarse, self.refine, self.adapt)
        coarse, refine, adapt = (replace(loop, threads=threads or loop.threads) for loop in loops)
        cases = replace(self.cases, workers=workers or self.cases.workers)
        return replace(self, cases=cases, coarse=coarse, refine=refine, adapt=adapt)


def vertebra_recipe() -> VertebraRecipe:
    """Return the recipe of a bundle from noise: a day on a few processor cores, an hour on a GPU."""
    return VertebraRecipe(cases=CasePlan(count=300))


def continued_recipe() -> VertebraRecipe:
    """Return the recipe of the shipped bundle's per-vertebra network, which began from that of ``e37b5f044bdc``.

    The whole-volume network stays that of the bundle which a training begins from.
    """
    return VertebraRecipe(
        version="3",
        cases=CasePlan(count=64, seed=2028),
        coarse=LoopConfig(steps=0),
        refine=LoopConfig(steps=1600, batch=4, learning_rate=1.5e-3, seed=1, threads=1),
        adapt=LoopConfig(steps=0),
    )


def train_vertebrae(
    recipe: VertebraRecipe,
    run: Path,
    real: Path | None,
    say: Say,
    start: ModelBundle | None = None,
    *,
    place: Place = ANYWHERE,
) -> ModelBundle:
    """Run the recipe in `run`, from where an earlier run stopped, and return the bundle ``run/bundle``.

    Parameters
    ----------
    real
        Folder of unlabeled scans (NIfTI) for adaptation, or ``None`` to leave it out.
    say
        Receives a line per step of progress.
    start
        Begin from the networks of this bundle.
    place
        Where the training computes. Samples of phantoms that are drawn there, too, are others, of the same
        distribution; real scans are drawn on processors.

    Raises
    ------
    ConfigError
        The run folder belongs to another recipe.
    """
    recipe = replace(recipe, start=None if start is None else start.id)
    keep_recipe(_document(recipe), run)
    say(f"{len(make_cases(recipe.cases, run / 'cases'))} phantom cases")
    cases = tuple(list_cases(run / "cases"))
    tasks = _tasks(cases, place.draws_samples)
    coarse = _stage(tasks[0], recipe.coarse, run / "coarse", say, start=start, place=place)
    refine = _stage(tasks[1], recipe.refine, run / "refine", say, start=start, place=place)
    first = _bundle(recipe, run / "bundle-phantom", (coarse, refine), adapted=0)
    if real is None:
        return first
    kept = _pseudo_labels(recipe, first, real, run / "real", say)
    if not kept or not recipe.adapt.steps:
        return _bundle(recipe, run / "bundle", (coarse, refine), adapted=0)
    task = CoarseTask(cases, real=kept)
    adapted = _stage(task, recipe.adapt, run / "adapt", say, start=coarse, place=place)
    return _bundle(recipe, run / "bundle", (adapted, refine), adapted=len(kept))


def _tasks(cases: tuple[Path, ...], on_device: bool) -> tuple[Task, Task]:
    return (HeldCoarseTask(cases), HeldRefineTask(cases)) if on_device else (CoarseTask(cases), RefineTask(cases))


def _stage(
    task: Task,
    config: LoopConfig,
    run: Path,
    say: Say,
    *,
    start: nn.Module | ModelBundle | None,
    place: Place,
) -> nn.Module:
    """Train one network, or load it when it was finished before."""
    done = run / "averaged.pt"
    if not done.exists():
        begin = _begin(task, config, run.name, start)

        def report(step: int, parts: dict[str, float]) -> None:
            say(_line(run.name, step, config, parts))

        trained = fit(task, config, run, begin, report, place=place)
        torch.save(trained.state_dict(), done)
    network = task.network()
    network.load_state_dict(torch.load(done, weights_only=True))
    return network.eval()


def _begin(task: Task, config: LoopConfig, graph: str, start: nn.Module | ModelBundle | None) -> nn.Module | None:
    """Return the network that a training starts from, or ``None`` for a fresh one."""
    return begin_from(start, graph, task, config.seed) if isinstance(start, ModelBundle) else deepcopy(start)


def begin_from(start: ModelBundle, graph: str, task: Task, seed: int) -> nn.Module:
    """Return a network with the weights of a bundle's graph, ready to be trained on.

    Raises
    ------
    BundleIncompatible
        The graph was exported from another network.
    """
    # Another seed than that of the training: these samples are looked at, not learned.
    samples = [task.sample(k, 0, seed + 1)[task.input_name] for k in range(1, START_SAMPLES + 1)]
    return start_from(start, graph, task.network(), [torch.stack(samples)])


def _line(stage: str, step: int, config: LoopConfig, parts: dict[str, float]) -> str:
    figures = "  ".join(f"{name} {value:.4f}" for name, value in parts.items() if name != "skipped")
    return f"{stage} {step}/{config.steps}  {figures}"


def _pseudo_labels(recipe: VertebraRecipe, bundle: ModelBundle, real: Path, out: Path, say: Say) -> tuple[Path, ...]:
    done = out / "kept.json"
    if not done.exists():
        analyzer = Analyzer(bundle, threads=recipe.adapt.threads)
        names = []
        for name, case in pseudo_label(analyzer, volumes_below(real), recipe.rule):
            save_real_case(case, out / name)
            names.append(name)
        out.mkdir(parents=True, exist_ok=True)
        done.write_text(json.dumps(names))
    kept = tuple(out / name for name in json.loads(done.read_text()))
    say(f"{len(kept)} real scans with consistent pseudo-labels")
    return kept


def _bundle(recipe: VertebraRecipe, folder: Path, networks: tuple[nn.Module, nn.Module], adapted: int) -> ModelBundle:
    if folder.exists():
        return load_bundle(folder)
    anatomies = " and ".join(Path(a).name for a in recipe.cases.anatomies)
    real = f"adapted on {adapted} real necks with pseudo-labels" if adapted else "not adapted on real scans"
    card = CARD.format(
        name=recipe.name,
        version=recipe.version,
        cases=recipe.cases.count,
        anatomies=anatomies,
        adapted=real,
        coarse_steps=recipe.coarse.steps + (recipe.adapt.steps if adapted else 0),
        refine_steps=recipe.refine.steps,
        seed=recipe.cases.seed,
        begun=f"; both went on from bundle {recipe.start[:12]}" if recipe.start else "",
    )
    training: dict[str, Any] = {"recipe": _document(recipe), "adapted_on": adapted}
    about = BundleAbout(recipe.name, recipe.version, training, card)
    return export_bundle(folder, *networks, recipe.pipeline, about)


def _document(recipe: VertebraRecipe) -> dict[str, Any]:
    """Return the recipe as plain JSON; anatomy folders by name only."""
    cases = replace(recipe.cases, anatomies=tuple(Path(a).name for a in recipe.cases.anatomies))
    document: dict[str, Any] = json.loads(json.dumps(asdict(replace(recipe, cases=cases))))
    return document
