"""`cspine data check-leaks` and `cspine data folder`: what stands on both sides, and folders of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose, Workers, default_threads

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import LeakReport

LEAKS_SHOWN = 20


def check_leaks(
    place: Annotated[
        Path,
        typer.Argument(metavar="INDEX", readable=False, help="Index, data set that holds one, or folder of pictures."),
    ],
    split: Annotated[
        Path | None,
        typer.Argument(metavar="[SPLIT]", readable=False, help="Compare across its parts; default: all studies."),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", readable=False, help="The leaks, as JSON; default: beside SPLIT."),
    ] = None,
    per_study: Annotated[
        int | None, typer.Option("--per-study", min=1, help="Only so many slices of each study; finds whole studies.")
    ] = None,
    pictures: Annotated[bool, typer.Option("--pictures", help="INDEX is a folder of JPEG or PNG files.")] = False,
    workers: Workers = None,
    verbose: Verbose = False,
) -> None:
    """Find the same study, and copied slices, on both sides: re-encoded, cropped, mirrored, moved. Ends with 3 if any.

    Fingerprints are kept and made again only for files that changed. Training refuses a split that leaks.
    """
    asked = (per_study, pictures, workers or default_threads())
    run_command(lambda: _check(place, split, out, asked), verbose=verbose)


def _check(place: Path, split: Path | None, out: Path | None, asked: tuple[int | None, bool, int]) -> "ExitCode":
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import (
        check_leaks,
        folder_gallery,
        index_gallery,
        index_image_folder,
        leaks_path,
        read_index,
        read_split,
        write_leaks,
    )

    per_study, pictures, workers = asked
    cut = None if split is None else read_split(split)
    if pictures:
        gallery = folder_gallery(index_image_folder(place), place)
    else:
        gallery = index_gallery(read_index(place), cut, per_study)
    with progress_bar(shown=True) as bar:
        report = check_leaks(gallery, "" if cut is None else cut.hash, workers, bar)
    target = out or (None if split is None else leaks_path(split))
    if target is not None:
        write_leaks(report, target)
    if cut is not None and cut.mark:
        typer.echo(f"!!! {cut.mark}")
    return _tell(report, target)


def _tell(report: "LeakReport", target: Path | None) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode

    for said in report.unread[:LEAKS_SHOWN]:
        typer.echo(printable(f"! {said}"), err=True)
    for leak in report.leaks[:LEAKS_SHOWN]:
        where = f"{leak.part_one}: {leak.file_one} | {leak.part_other}: {leak.file_other}"
        typer.echo(printable(f"{leak.kind.value} {leak.one} = {leak.other}: {leak.slices} slices, {leak.how}; {where}"))
    if len(report.leaks) > LEAKS_SHOWN:
        typer.echo(f"… and {len(report.leaks) - LEAKS_SHOWN} more")
    kept = "" if target is None else f"; list in {target}"
    typer.echo(
        printable(f"{report.slices} pictures compared, {len(report.unread)} unread, {len(report.leaks)} leaks{kept}")
    )
    return ExitCode.REFUSED_INPUT if report.leaks else ExitCode.DONE


def folder(
    root: Annotated[
        Path, typer.Argument(metavar="ROOT", readable=False, help="Folders called by part and label: train/fracture …")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", readable=False, help="One row a picture, as CSV.")
    ],
    verbose: Verbose = False,
) -> None:
    """Index a folder of JPEG or PNG slices: part, label, size, and whose picture it seems to be by its name."""
    run_command(lambda: _folder(root, out), verbose=verbose)


def _folder(root: Path, out: Path) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import index_image_folder
    from cspine.dicom import write_atomically

    found = index_image_folder(root)
    table = found.pictures
    write_atomically(out, table.to_csv(index=False).encode())
    for (part, label), rows in table.groupby(["part", "label"]):
        named = "fracture" if label else "no fracture"
        typer.echo(
            printable(f"{part:<12}{named:<12}{len(rows):>7} pictures, {rows['patient'].nunique()} patients by name")
        )
    crossing = table[table["guessed"]].groupby("patient")["part"].nunique()
    if int((crossing > 1).sum()):
        typer.echo(f"! {int((crossing > 1).sum())} patients, by name, have pictures in several parts")
    if not table["guessed"].all():
        typer.echo(
            f"! of {int((~table['guessed']).sum())} pictures the name tells no patient; run check-leaks --pictures"
        )
    for problem in found.problems[:LEAKS_SHOWN]:
        typer.echo(printable(f"! {problem}"))
    typer.echo(printable(f"{len(table)} pictures in {out}, {len(found.problems)} problems"))
    return ExitCode.DONE
