"""`cspine phantom`: CT studies of a computed neck with known truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli import options
from cspine.cli.guard import printable, run_command

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Make CT studies of a computed neck with known truth."
)


@app.callback()
def group() -> None:
    """Make CT studies of a computed neck with known truth."""


@app.command("make")
def make(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="ROOT", readable=False, help="Where the studies and their truth go.")
    ],
    *,
    studies: Annotated[int, typer.Option("--studies", "-n", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds make equal bytes.")] = 0,
    anatomy: Annotated[
        str, typer.Option("--anatomy", metavar="NAME|DIR", help="procedural, or a folder of surface meshes.")
    ] = "procedural",
    layout: Annotated[str, typer.Option("--layout", help="dicom or nifti.")] = "dicom",
    matrix: Annotated[
        int | None, typer.Option("--matrix", help="Rows and columns of every image; default: as hospitals have them.")
    ] = None,
    finest: Annotated[float, typer.Option("--finest", metavar="MM", help="Smallest distance of slices.")] = 0.0,
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="Processes.")] = 1,
    verbose: options.Verbose = False,
) -> None:
    """Write phantom studies to ROOT/studies and what is true of them to ROOT/truth.

    A run that stopped goes on where it was; a folder with anything else in it is left alone.
    """
    size = (matrix, finest)
    run_command(lambda: _make(out, (studies, seed, anatomy, layout), size, workers), verbose=verbose)


def _make(out: Path, asked: tuple[int, int, str, str], size: tuple[int | None, float], workers: int) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import PhantomPlan, layout_named, write_phantoms

    studies, seed, anatomy, layout = asked
    plan = PhantomPlan(studies, seed, anatomy, layout_named(layout), *size)
    threads = max(1, options.default_threads() // workers)
    with progress_bar(shown=True) as bar:
        places = write_phantoms(plan, out, bar, workers, threads)
    typer.echo(printable(f"{len(places)} studies in {out / 'studies'}, truth in {out / 'truth'}"))
    return ExitCode.DONE
