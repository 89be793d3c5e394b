"""`cspine data index`: one table of slices, one of studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose, Workers, default_threads

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode

# More problems than this are only counted; all of them stand in the table.
PROBLEMS_SHOWN = 20


def index(
    root: Annotated[Path, typer.Argument(metavar="ROOT", readable=False, help="Data set in the layout of RSNA 2022.")],
    *,
    place: Annotated[
        Path | None,
        typer.Option("--index", metavar="DIR", readable=False, help="Where the tables go; default: ROOT/cspine-index."),
    ] = None,
    workers: Workers = None,
    verbose: Verbose = False,
) -> None:
    """Read the header of every slice below ROOT and write slices.parquet, studies.parquet, boxes.parquet, problems.csv.

    Pixels are not read. Another run reads only what changed; a run that was stopped goes on where it was.
    """
    run_command(lambda: _index(root, place, workers or default_threads()), verbose=verbose)


def _index(root: Path, place: Path | None, workers: int) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import index_rsna

    with progress_bar(shown=True) as bar:
        run = index_rsna(root, place, workers, lambda uid, share, slices: bar(f"{slices} slices", share))
    studies, problems = run.index.studies, run.index.problems
    usable = int(studies["usable"].sum())
    typer.echo(
        printable(
            f"{len(studies)} studies ({usable} usable), {run.read + run.kept} slices: "
            f"{run.read} read, {run.kept} as before, {run.gone} gone"
        )
    )
    for problem in problems.head(PROBLEMS_SHOWN).itertuples():
        row = f", row {problem.row}" if problem.row else ""
        typer.echo(printable(f"! {problem.file}{row}: {problem.message}"))
    if len(problems) > PROBLEMS_SHOWN:
        typer.echo(f"! … and {len(problems) - PROBLEMS_SHOWN} more")
    typer.echo(printable(f"tables in {run.index.folder}; {len(problems)} problems in problems.csv"))
    return ExitCode.DONE
