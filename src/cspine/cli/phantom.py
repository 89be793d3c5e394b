"""`cspine phantom`: CT studies of a computed neck with known truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli import options
from cspine.cli.guard import printable, run_command

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import PhantomPlan

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Make CT studies of a computed neck with known truth."
)


@app.callback()
def group() -> None:
    """Make CT studies of a computed neck with known truth."""


@app.command("make")
def make(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="ROOT", help="Where the studies and their truth go.")],
    *,
    studies: Annotated[int, typer.Option("--studies", "-n", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds make equal bytes.")] = 0,
    anatomy: Annotated[
        str, typer.Option("--anatomy", metavar="NAME|DIR", help="procedural, or a folder of surface meshes.")
    ] = "procedural",
    layout: Annotated[str, typer.Option("--layout", help="dicom or nifti.")] = "dicom",
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="Processes.")] = 1,
    verbose: options.Verbose = False,
) -> None:
    """Write phantom studies to ROOT/studies and what is true of them to ROOT/truth.

    A run that stopped goes on where it was; a folder with anything else in it is left alone.
    """
    run_command(lambda: _make(out, (studies, seed, anatomy, layout), workers), verbose=verbose)


def _make(out: Path, asked: tuple[int, int, str, str], workers: int) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import write_phantoms

    plan = _plan(*asked)
    threads = max(1, options.default_threads() // workers)
    with progress_bar(shown=True) as bar:
        places = write_phantoms(plan, out, bar, workers, threads)
    typer.echo(printable(f"{len(places)} studies in {out / 'studies'}, truth in {out / 'truth'}"))
    return ExitCode.DONE


def _plan(studies: int, seed: int, anatomy: str, layout: str) -> "PhantomPlan":
    from cspine.datasets import Layout, PhantomPlan
    from cspine.domain import ConfigError

    if layout not in list(Layout):
        raise ConfigError(f"unknown layout {layout!r}; known are {', '.join(Layout)}")
    return PhantomPlan(studies, seed, anatomy, Layout(layout))
