"""`cspine data filter`, `split` and `join`: what is used, and for what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cspine.cli.exit_codes import ExitCode

STUDIES_SHOWN = 20

Index = Annotated[
    Path, typer.Argument(metavar="INDEX", readable=False, help="Folder of an index, or the data set that holds one.")
]


def filter_(
    place: Index,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", readable=False, help="Where tables and figure go.")
    ],
    *,
    preset: Annotated[
        list[str] | None, typer.Option("--preset", help="Rules by name, such as efficientnet-c1; repeatable.")
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="NAME=VALUE", help="One more rule; repeatable.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Keep the slices that pass named rules; write them, and show what each rule removes.

    Writes studies.csv, slices.csv, funnel.csv, funnel.png and funnel.svg.
    """
    run_command(lambda: _filter(place, out, preset or [], rule or []), verbose=verbose)


def _filter(place: Path, out: Path, presets: list[str], rules: list[str]) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import read_index, rules_of, select, write_selection

    wanted = [*(text for preset in presets for text in rules_of(preset)), *rules]
    selection = select(read_index(place), wanted)
    write_selection(selection, out)
    funnel = selection.funnel
    head = ("rule", "studies", "removed", "slices", "removed")
    rows = zip(*(funnel[c] for c in ("rule", "studies", "studies_removed", "slices", "slices_removed")), strict=True)
    _print_table([head, *rows])
    shown = selection.studies.head(STUDIES_SHOWN)
    typer.echo("")
    columns = ("StudyInstanceUID", "PatientID", "slices", "kept_slices", "group")
    _print_table([columns, *zip(*(shown[c] for c in columns), strict=True)])
    if len(selection.studies) > len(shown):
        typer.echo(f"… and {len(selection.studies) - len(shown)} more studies")
    for group, part in selection.studies.groupby("group"):
        typer.echo(f"{group} slices a study: {len(part)} studies, {int(part['kept_slices'].sum())} slices")
    typer.echo(printable(f"tables and figure in {out}"))
    return ExitCode.DONE


def split(
    place: Index,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", readable=False, help="The split, as JSON with a hash.")
    ],
    *,
    scheme: Annotated[
        str, typer.Option("--scheme", help="90/5/5, 80/10/10, 90/10, 80/20, or 2-fold … 20-fold.")
    ] = "80/10/10",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other seeds make other splits.")] = 0,
    selection: Annotated[
        Path | None,
        typer.Option("--selection", metavar="DIR", readable=False, help="Only what cspine data filter left there."),
    ] = None,
    leaks: Annotated[
        Path | None,
        typer.Option(
            "--leaks", metavar="FILE", readable=False, help="Leaks that were found; such studies stay together."
        ),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", help="study; or image, which leaks, is marked so, and is there for comparison only.")
    ] = "study",
    verbose: Verbose = False,
) -> None:
    """Split usable studies into parts that no patient crosses, stratified by the pattern of fractured levels."""
    run_command(lambda: _split(place, out, (scheme, seed, by), selection, leaks), verbose=verbose)


def _split(place: Path, out: Path, how: tuple[str, int, str], selection: Path | None, leaks: Path | None) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import (
        duplicates_of,
        labeled_studies,
        read_index,
        selected,
        split_images,
        split_studies,
        split_table,
        write_split,
    )
    from cspine.domain import ConfigError

    scheme, seed, by = how
    if by not in ("study", "image"):
        raise ConfigError(f"--by {by!r}: study or image")
    index = read_index(place)
    studies, slices = labeled_studies(index) if selection is None else selected(index, selection)
    if by == "image":
        made = split_images(slices, studies, scheme, seed)
    else:
        made = split_studies(studies, scheme, seed, () if leaks is None else duplicates_of(leaks))
    write_split(made, out)
    if made.mark:
        typer.echo(f"!!! {made.mark}")
    _print_table(split_table(made))
    typer.echo(printable(f"{made.scheme} by {made.by}, seed {seed}, hash {made.hash[:12]}, in {out}"))
    return ExitCode.DONE


def _print_table(rows: "Iterable[Sequence[object]]") -> None:
    """Print rows in columns, the first one being the head; numbers to the right."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [
        all(len(row[k]) < 12 and row[k].replace(".", "").rstrip("%").isdigit() for row in cells[1:])
        for k in range(len(widths))
    ]
    for row in cells:
        parts = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
        typer.echo("  ".join(parts).rstrip())


def join(
    out: Annotated[Path, typer.Argument(metavar="OUT", readable=False, help="A new folder.")],
    roots: Annotated[
        list[Path], typer.Argument(metavar="ROOT...", readable=False, help="Sets in the layout of RSNA 2022.")
    ],
    verbose: Verbose = False,
) -> None:
    """Make one set of several: labels, boxes, images and masks, linked; of a study in two of them the later counts."""
    run_command(lambda: _join(out, roots), verbose=verbose)


def _join(out: Path, roots: "Sequence[Path]") -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import join_sets

    typer.echo(printable(f"{out}: {join_sets(roots, out)} studies of {len(roots)} sets"))
    return ExitCode.DONE
