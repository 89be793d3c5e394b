"""`cspine train RECIPE`, `cspine experiment` and `cspine export`: published systems, trained and tabled."""

import shlex
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.training import Hardware, RunResult, SliceTransfer

experiment = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Run a publication's whole table and write one page."
)

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", readable=False, help="Image folder: train/fracture, train/… and so on.")
]
Run = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one field of the recipe; repeatable.")
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="WHERE", help="What the base begins with: imagenet, none, or a file."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Arithmetic = Annotated[str, typer.Option("--precision", help="f32, bf16 or f16 (mixed).")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that read and augment images.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of torch on the CPU.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that is in the folder.")]
Origin = Annotated[str, typer.Option("--origin", help="Where the images come from, for the page.")]


@experiment.callback()
def group() -> None:
    """Run a publication's whole table and write one page; needs: pip install 'cspine[train,data]'."""


def slice_transfer(
    *,
    data: Data,
    out: Run,
    settings: Settings = None,
    weights: Weights = None,
    folds: Annotated[int, typer.Option("--folds", min=0, help="Train one network per fold; 0 takes one split.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what a run would cost, and stop.")] = False,
    resume: Resume = False,
    device: Device = "auto",
    precision: Arithmetic = "f32",
    workers: Workers = 0,
    threads: Threads = 2,
    verbose: Verbose = False,
) -> None:
    """Train one network of Moustafa et al. 2025, which tells images with a fracture from images without."""

    def command() -> "ExitCode":
        recipe, hardware = _recipe(settings, weights), hardware_of(device, precision, workers, threads)
        if dry_run:
            return _dry_run(recipe, hardware, data)
        check_folder(out, resume)
        return _train(recipe, hardware, data, out, folds)

    run_command(command, verbose=verbose)


@experiment.command("slice-transfer")
def slice_transfer_table(
    *,
    data: Data,
    out: Run,
    settings: Settings = None,
    weights: Weights = None,
    origin: Origin = "images of unknown origin",
    resume: Resume = False,
    device: Device = "auto",
    precision: Arithmetic = "f32",
    workers: Workers = 0,
    threads: Threads = 2,
    verbose: Verbose = False,
) -> None:
    """Run the table of Moustafa et al. 2025: every network with every optimizer, ensemble, thresholds, doubt."""

    def command() -> "ExitCode":
        hardware = hardware_of(device, precision, workers, threads)
        check_folder(out, resume)
        return _table(data, out, (settings or [], weights), origin, hardware)

    run_command(command, verbose=verbose)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", readable=False, help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The bundle; must not exist.")],
    verbose: Verbose = False,
) -> None:
    """Write a finished run as a bundle: ONNX graph, manifest, card, and how far ONNX is from torch."""

    def command() -> "ExitCode":
        from cspine.cli.exit_codes import ExitCode

        need_torch()
        from cspine.training import export_run

        bundle = export_run(run, out)
        for name, parity in bundle.manifest.parity.items():
            typer.echo(f"graph {name}: largest difference {parity.max_abs_diff:.1e}, limit {parity.tolerance:.0e}")
        typer.echo(printable(f"bundle {bundle.short_id} in {bundle.folder}"))
        return ExitCode.DONE

    run_command(command, verbose=verbose)


def need_torch() -> None:
    """Raise where the packages of a training are absent."""
    from cspine.domain import ConfigError

    if not all(find_spec(name) for name in ("torch", "timm", "pandas", "skimage")):
        raise ConfigError(
            "training needs packages that are not installed; install them with: pip install 'cspine[train,data]'"
        )


def _recipe(settings: list[str] | None, weights: str | None) -> "SliceTransfer":
    need_torch()
    from cspine.training import slice_transfer as recipe_of
    from cspine.training import with_settings

    recipe = with_settings(recipe_of(), settings or [])
    return recipe if weights is None else replace(recipe, weights=weights)


def hardware_of(device: str, precision: str, workers: int, threads: int) -> "Hardware":
    """Return what a training runs on."""
    need_torch()
    from cspine.training import Hardware

    return Hardware(device, precision, workers, threads)


def check_folder(out: Path, resume: bool) -> None:
    """Raise where a folder holds something and nobody asked to go on with it."""
    from cspine.domain import ConfigError

    if not resume and out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out}: is not empty; add --resume to go on with the run in it, or name another folder")


def _train(recipe: "SliceTransfer", hardware: "Hardware", data: Path, out: Path, folds: int) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.training import run_folds, run_slice_transfer

    if folds:
        for number, result in enumerate(run_folds(recipe, data, out, folds, hardware=hardware, say=_say), start=1):
            _say(f"fold {number}: {_test_line(result)}")
    else:
        _say(_test_line(run_slice_transfer(recipe, data, out, hardware, _say)))
    return ExitCode.DONE


def _test_line(result: "RunResult") -> str:
    from cspine.evaluation import confusion

    counts = confusion(result.test.truth, result.test.probability)
    return f"test: accuracy {counts.accuracy()}, recall {counts.recall()}, precision {counts.precision()}"


def _dry_run(recipe: "SliceTransfer", hardware: "Hardware", data: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.training import dry_run_slice_transfer

    for line in dry_run_slice_transfer(recipe, data, hardware):
        typer.echo(printable(line))
    return ExitCode.DONE


def _table(
    data: Path, out: Path, changes: tuple[list[str], str | None], origin: str, hardware: "Hardware"
) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.training import run_table, with_settings, write_page
    from cspine.training import slice_transfer_table as recipe_of

    settings, weights = changes
    recipe = with_settings(recipe_of(), settings)
    if weights is not None:
        recipe = replace(recipe, base=replace(recipe.base, weights=weights))
    table = run_table(recipe, data, out, hardware, _say)
    command = shlex.join(["cspine", *sys.argv[1:]])
    _say(f"page {write_page(table, out, command, origin)}")
    return ExitCode.DONE


def _say(line: str) -> None:
    typer.echo(printable(line))
