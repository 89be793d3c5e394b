"""`cspine phantom`: CT studies of a computed neck with known truth."""

from collections.abc import Callable
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


Root = Annotated[
    Path, typer.Option("--out", "-o", metavar="ROOT", readable=False, help="Folder to write, made when absent.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Throw away phantoms that are in ROOT; never anything else.")
]
Severity = Annotated[
    str,
    typer.Option(
        "--severity", metavar="S|S-S", help="Severities that are drawn, 1 (barely visible) to 5: one or a range."
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, max=256, help="Processes.")]


@app.command("make")
def make(
    out: Root,
    *,
    studies: Annotated[int, typer.Option("--studies", "-n", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds make equal bytes.")] = 0,
    fracture: Annotated[
        list[str] | None,
        typer.Option(
            "--fracture",
            metavar="TYPE@LEVEL[:SEVERITY]",
            help="Every study has this one; may be repeated; none: no fractures. Default: as often as in RSNA 2022.",
        ),
    ] = None,
    severity: Severity = "1-5",
    usual: Annotated[
        bool, typer.Option("--usual", help="No anatomical variants and no mimics; default: as common as in adults.")
    ] = False,
    layout: Annotated[
        str, typer.Option("--layout", help="dicom, nifti, or rsna: as the RSNA 2022 data set.")
    ] = "dicom",
    size: Annotated[
        str, typer.Option("--size", help="full: as hospitals have it; small: at most 192x192 pixels and 120 slices.")
    ] = "full",
    anatomy: Annotated[
        str, typer.Option("--anatomy", metavar="NAME|DIR", help="procedural, or a folder of surface meshes.")
    ] = "procedural",
    family: Annotated[str, typer.Option("--family", help="A, or B, which is never trained on.")] = "A",
    matrix: Annotated[
        int | None, typer.Option("--matrix", help="Rows and columns of every image, in place of the size's.")
    ] = None,
    finest: Annotated[float, typer.Option("--finest", metavar="MM", help="Smallest distance of slices.")] = 0.0,
    masks: Annotated[float, typer.Option("--masks", metavar="SHARE", help="rsna: studies with a mask.")] = 0.2,
    boxed: Annotated[
        float, typer.Option("--boxed", metavar="SHARE", help="rsna: fractured studies with boxes in the table.")
    ] = 1.0,
    test: Annotated[float, typer.Option("--test", metavar="SHARE", help="rsna: studies of the test side.")] = 0.0,
    islands: Annotated[int, typer.Option("--islands", min=0, help="rsna: stray islands in each mask.")] = 2,
    workers: Workers = 1,
    overwrite: Overwrite = False,
    verbose: options.Verbose = False,
) -> None:
    """Write phantom studies and what is true of them below ROOT.

    A run that stopped goes on where it was; a folder with anything else in it is left alone.
    """

    def plan() -> "PhantomPlan":
        from cspine.datasets import SAMPLED, PhantomPlan, RsnaOptions, layout_named, severities_named, size_named

        rsna = RsnaOptions(masks, boxed, test, islands)
        sizes = (matrix, finest, size_named(size))
        drawn = (tuple(fracture or SAMPLED), severities_named(severity))
        return PhantomPlan(studies, seed, anatomy, layout_named(layout), *sizes, family, *drawn, not usual, rsna)

    run_command(lambda: _make(plan, out, workers, overwrite), verbose=verbose)


@app.command("acceptance")
def acceptance(
    out: Root, *, workers: Workers = 1, overwrite: Overwrite = False, verbose: options.Verbose = False
) -> None:
    """Write the fixed set of studies that `cspine acceptance` tests a bundle on, with what must be said of each."""
    run_command(lambda: _acceptance(out, workers, overwrite), verbose=verbose)


def _make(plan: "Callable[[], PhantomPlan]", out: Path, workers: int, overwrite: bool) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import write_phantoms

    threads = max(1, options.default_threads() // workers)
    with progress_bar(shown=True) as bar:
        places = write_phantoms(plan(), out, bar, workers, threads, overwrite=overwrite)
    folders = ", ".join(sorted({place.parent.name for place in places}))
    typer.echo(printable(f"{len(places)} studies in {out} ({folders}), what is true of them in {out / 'truth'}"))
    return ExitCode.DONE


def _acceptance(out: Path, workers: int, overwrite: bool) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import write_acceptance

    threads = max(1, options.default_threads() // workers)
    with progress_bar(shown=True) as bar:
        names = write_acceptance(out, bar, workers, threads, overwrite=overwrite)
    typer.echo(printable(f"{len(names)} studies in {out}; next: cspine acceptance {out}"))
    return ExitCode.DONE


@app.command("gallery")
def gallery(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Where the page goes.")],
    *,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="TYPE[@LEVEL]", help="A fracture type or a mimic; can be repeated."),
    ] = None,
    anatomy: Annotated[
        str, typer.Option("--anatomy", metavar="NAME|DIR", help="procedural, or a folder of surface meshes.")
    ] = "procedural",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another person, other fractures.")] = 11,
    verbose: options.Verbose = False,
) -> None:
    """Write DIR/gallery.html: every fracture type and every mimic at severities 1, 3 and 5 beside its truth mask.

    A run that stopped goes on where it was.
    """
    run_command(lambda: _gallery(out, tuple(only or ()), anatomy, seed), verbose=verbose)


def _gallery(out: Path, only: tuple[str, ...], anatomy: str, seed: int) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import GalleryPlan, write_gallery

    with progress_bar(shown=True) as bar:
        page = write_gallery(GalleryPlan(only, anatomy, seed), out, bar, options.default_threads())
    typer.echo(printable(f"gallery in {page}"))
    return ExitCode.DONE
