"""`cspine train`: from phantoms and scans to a model bundle. Needs the extra ``train``."""

import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli import options
from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose
from cspine.cli.recipes import add_trainings

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.training import Place

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Train networks and export model bundles.")


Run = Annotated[
    Path, typer.Option("--run", metavar="DIR", help="Folder of the run; a run that stopped goes on from there.")
]
Bundle = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="DIR", help="Whose vertebra stage to build on; default: the shipped one's."),
]
Meshes = Annotated[
    list[Path] | None,
    typer.Option("--meshes", metavar="DIR", help="Anatomy to train on besides the procedural one; repeatable."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option("--precision", help="f32 or bf16 (mixed).")]
OnDevice = Annotated[
    bool | None,
    typer.Option(
        "--on-device/--no-on-device",
        help="Draw the samples of phantoms where the network computes, from cases in its memory; default: with cuda.",
        show_default=False,
    ),
]
Computing = tuple[str, str, bool | None]
Persons = Annotated[int | None, typer.Option("--persons", min=1, help="Phantom persons; default: the recipe's.")]


@app.callback()
def group() -> None:
    """Train networks and export model bundles; needs: pip install 'cspine[train]'."""


add_trainings(app)


@app.command("vertebrae")
def vertebrae(
    *,
    run: Run,
    real: Annotated[
        Path | None, typer.Option("--real", metavar="DIR", help="Unlabeled scans (NIfTI) to adapt to; default: none.")
    ] = None,
    meshes: Meshes = None,
    meshes_only: Annotated[bool, typer.Option("--meshes-only", help="Leave the procedural anatomy out.")] = False,
    start: Annotated[
        Path | None, typer.Option("--start", metavar="DIR", help="Begin from the networks of this bundle.")
    ] = None,
    cases: Annotated[int | None, typer.Option("--cases", min=1, help="Phantoms; default: the recipe's.")] = None,
    coarse_steps: Annotated[
        int | None, typer.Option("--coarse-steps", min=0, help="Of the whole-volume network; default: the recipe's.")
    ] = None,
    refine_steps: Annotated[
        int | None, typer.Option("--refine-steps", min=0, help="Of the per-vertebra network; default: the recipe's.")
    ] = None,
    coarse_batch: Annotated[
        int | None, typer.Option("--coarse-batch", min=1, help="Samples of each of its steps; default: the recipe's.")
    ] = None,
    refine_batch: Annotated[
        int | None, typer.Option("--refine-batch", min=1, help="Samples of each of its steps; default: the recipe's.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the phantoms; default: the recipe's.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes that make phantoms.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads that train.")] = None,
    device: Device = "auto",
    precision: Precision = "f32",
    on_device: OnDevice = None,
    verbose: Verbose = False,
) -> None:
    """Train the vertebra stage by its recipe and write DIR/bundle."""
    anatomies = tuple(str(folder) for folder in meshes or ()), not meshes_only
    sizes = {"cases": cases, "coarse": coarse_steps, "refine": refine_steps, "seed": seed}
    sizes |= {"coarse_batch": coarse_batch, "refine_batch": refine_batch}
    hardware = (workers, threads, (device, precision, on_device))
    run_command(lambda: _vertebrae((run, real, start), anatomies, sizes, hardware), verbose=verbose)


def _vertebrae(
    places: tuple[Path, Path | None, Path | None],
    anatomies: tuple[tuple[str, ...], bool],
    sizes: dict[str, int | None],
    hardware: tuple[int | None, int | None, Computing],
) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    _need_training()
    from cspine.models import load_bundle
    from cspine.training import continued_recipe, train_vertebrae, vertebra_recipe

    run, real, start = places
    recipe = vertebra_recipe() if start is None else continued_recipe()
    meshes, procedural = anatomies
    recipe = recipe.of_anatomies(meshes, procedural=procedural).smaller(sizes).on(*hardware[:2])
    begin, place = None if start is None else load_bundle(start), _place(hardware[2])
    bundle = train_vertebrae(recipe, run, real, lambda line: typer.echo(printable(line)), begin, place=place)
    typer.echo(printable(f"bundle {bundle.short_id} in {bundle.folder}"))
    return ExitCode.DONE


@app.command("flagship")
def flagship(
    *,
    data: Annotated[
        Path, typer.Option("--data", metavar="ROOT", help="Folder with train.csv and train_images/<uid>, as RSNA 2022.")
    ],
    run: Run,
    add_feedback: Annotated[
        Path | None,
        typer.Option("--add-feedback", metavar="DIR", help="Train on these, too: what `cspine feedback export` wrote."),
    ] = None,
    meshes: Annotated[
        list[Path] | None,
        typer.Option("--meshes", metavar="DIR", help="Anatomy of phantoms besides the procedural one; repeatable."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="DIR", help="Whose networks to go on from; default: the shipped bundle's."),
    ] = None,
    persons: Persons = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Training steps on the studies, of each fold; the rest follows."),
    ] = None,
    folds: Annotated[int | None, typer.Option("--folds", min=2, max=20, help="Folds; default: 5.")] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Ship the networks of all folds together, not one trained on everything.")
    ] = False,
    from_noise: Annotated[
        bool, typer.Option("--from-noise", help="Do not go on from the fracture network of the bundle.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that make phantoms and samples.")] = 2,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads that train and analyze.")] = 2,
    device: Device = "auto",
    precision: Precision = "f32",
    verbose: Verbose = False,
) -> None:
    """Train a detector on your own studies: out-of-fold evaluation in DIR/evaluation, the bundle in DIR/bundle."""
    sizes = {"persons": persons, "steps": steps, "folds": folds}
    places = (data, add_feedback, run, bundle)
    hardware = (workers, threads, device, precision)
    choices = {"ensemble": ensemble, "continued": not from_noise}
    run_command(lambda: _flagship(places, tuple(meshes or ()), sizes, hardware, choices), verbose=verbose)


def _flagship(
    places: tuple[Path, Path | None, Path, Path | None],
    meshes: tuple[Path, ...],
    sizes: dict[str, int | None],
    hardware: tuple[int, int, str, str],
    choices: dict[str, bool],
) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    _need_training()
    from cspine.models import default_bundle_path, load_bundle
    from cspine.training import FlagshipRecipe, train_flagship

    data, added, run, bundle = places
    if added is not None:
        data = _joined(data, added, run / f"{data.resolve().name}+{added.resolve().name}")
    recipe = FlagshipRecipe().smaller(sizes["persons"], sizes["steps"], sizes["folds"]).on(*hardware[:2])
    recipe = recipe.with_anatomies(tuple(str(folder) for folder in meshes))
    recipe = replace(recipe, ensemble=choices["ensemble"], continued=choices["continued"])
    begin, place = load_bundle(bundle or default_bundle_path()), _place((*hardware[2:], None))
    made = train_flagship(recipe, data, run, begin, lambda line: typer.echo(printable(line)), place=place)
    typer.echo(printable(f"bundle {made.short_id} in {made.folder}; figures in {run / 'evaluation'}"))
    return ExitCode.DONE


def _joined(data: Path, added: Path, out: Path) -> Path:
    """Return the folder of both sets together, made once for a run."""
    from cspine.datasets import join_sets

    if not (out / "train.csv").exists():
        shutil.rmtree(out, ignore_errors=True)  # of a run that was killed while it was made
        typer.echo(printable(f"{join_sets((data, added), out)} studies of {data} and {added} in {out}"))
    return out


def _place(numbers: Computing) -> "Place":
    """Return where a training computes; a device that is not there is refused at once."""
    from cspine.training import Place

    return Place(*numbers).checked()


def _need_training() -> None:
    from cspine.domain import ConfigError

    if find_spec("torch") is None:
        raise ConfigError(
            "training needs packages that are not installed; install them with: pip install 'cspine[train]'"
        )


@app.command("fractures")
def fractures(
    *,
    run: Run,
    meshes: Meshes = None,
    bundle: Bundle = None,
    persons: Persons = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Training steps of all phases; default: the recipe's.")
    ] = None,
    tuning: Annotated[
        int | None, typer.Option("--tuning", min=1, help="Tuning studies of each anatomy; default: the recipe's.")
    ] = None,
    members: Annotated[
        int, typer.Option("--members", min=1, max=8, help="Networks that are trained and answer together.")
    ] = 1,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="Each also answers for the mirrored crop; twice the time.")
    ] = False,
    second_look: options.SecondLook = None,
    start: Annotated[
        Path | None, typer.Option("--start", metavar="DIR", help="Begin from the fracture network of this bundle.")
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option("--real", metavar="DIR", help="Real scans (NIfTI) without a fracture, for limits of rule-in."),
    ] = None,
    gpu: Annotated[
        bool,
        typer.Option(
            "--gpu",
            help="The recipe for a GPU: larger batches, and a wider network that begins from that of --start or of the"
            " bundle.",
        ),
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that make phantoms.")] = 2,
    device: Device = "auto",
    precision: Precision = "f32",
    on_device: OnDevice = None,
    verbose: Verbose = False,
) -> None:
    """Train the fracture stage on phantoms by its recipe, tune it, and write DIR/bundle."""
    sizes = {"persons": persons, "steps": steps, "tuning": tuning, "members": members}
    places, hardware = (run, bundle, start, real), (workers, (device, precision, on_device))
    looks = (mirrored, second_look or "")
    run_command(lambda: _fractures(places, tuple(meshes or ()), sizes, hardware, looks, gpu=gpu), verbose=verbose)


def _fractures(
    places: tuple[Path, Path | None, Path | None, Path | None],
    meshes: tuple[Path, ...],
    sizes: dict[str, int | None],
    hardware: tuple[int, Computing],
    looks: tuple[bool, str],
    *,
    gpu: bool,
) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    _need_training()
    from cspine.models import default_bundle_path, load_bundle
    from cspine.pipeline import SecondLookSpec
    from cspine.training import FractureRecipe, continued_fractures, gpu_fractures, train_fractures

    run, bundle, start, real = places
    if gpu:
        recipe, start = gpu_fractures(), start or bundle or default_bundle_path()
    else:
        recipe = FractureRecipe() if start is None else continued_fractures()
    recipe = replace(recipe, members=sizes["members"] or 1, mirrored=looks[0])
    recipe = replace(recipe, second_look=SecondLookSpec(options.level_names(looks[1])))
    cases = recipe.cases
    crops = replace(cases.crops, anatomies=(*cases.crops.anatomies, *(str(folder) for folder in meshes)))
    cases = replace(cases, crops=crops, workers=hardware[0], persons=sizes["persons"] or cases.persons)
    recipe = replace(recipe, cases=cases, tuning=sizes["tuning"] or recipe.tuning)
    if (steps := sizes["steps"]) is not None:
        recipe = recipe.of_length(steps)
    place = _place(hardware[1])
    built_on, begin = load_bundle(bundle or default_bundle_path()), None if start is None else load_bundle(start)

    def say(line: str) -> None:
        typer.echo(printable(line))

    made = train_fractures(recipe, run, built_on, say, start=begin, real=real, place=place)
    typer.echo(printable(f"bundle {made.short_id} in {made.folder}"))
    return ExitCode.DONE
