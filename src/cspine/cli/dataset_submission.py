"""`cspine data submission` and `cspine evaluate --metric rsna`: the challenge's table, written and scored."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli.guard import printable, run_command
from cspine.cli.options import Verbose

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.evaluation import Priors


def submission(
    probabilities: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            readable=False,
            help="Folder of findings.json, or a CSV of StudyInstanceUID, patient_overall, C1 … C7 (probabilities).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", readable=False, help="The table to submit.")],
    *,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="ROOT", readable=False, help="Answer its test.csv; default: all in RESULTS."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle", metavar="DIR", readable=False, help="What was not assessed gets its tuning priors; else RSNA's."
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write row_id,fractured for the RSNA 2022 challenge from probabilities p: 2p / (1 + p), as its loss asks."""
    run_command(lambda: _submission(probabilities, out, root, bundle), verbose=verbose)


def _submission(place: Path, out: Path, root: Path | None, bundle: Path | None) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import all_rows, asked_rows, make_submission, read_probabilities, write_submission

    probabilities = read_probabilities(place)
    asked, problems = (all_rows(probabilities), []) if root is None else asked_rows(root)
    for problem in problems:
        typer.echo(printable(f"! {problem}"), err=True)
    made = make_submission(probabilities, asked, _priors(bundle))
    write_submission(made, out)
    typer.echo(printable(f"{len(made.rows)} rows in {out}"))
    if made.filled:
        typer.echo(f"! {made.filled} rows without a probability got the prior of their target")
    return ExitCode.DONE


def _priors(bundle: Path | None) -> "Priors":
    """Return what answers a target without a probability."""
    if bundle is None:
        from cspine.evaluation import RSNA_PRIORS

        return RSNA_PRIORS
    from cspine.models import load_bundle
    from cspine.workflow import tuning_priors

    return tuning_priors(load_bundle(bundle).manifest.calibration)


def score(submitted: Path, labels: Path, split: tuple[Path | None, str]) -> "ExitCode":
    """Print the loss of a submission in all three normalizations."""
    from cspine.cli.exit_codes import ExitCode
    from cspine.datasets import read_split, read_submission, score_submission

    path, part = split
    studies = None
    if path is not None:
        cut = read_split(path)
        studies = cut.studies_of(part)
        if cut.mark:
            typer.echo(f"!!! {cut.mark}")
    found = score_submission(read_submission(submitted), labels, studies)
    typer.echo(f"RSNA 2022 weighted log loss, n = {found.n} studies" + (f", part {part}" if path is not None else ""))
    for name, loss in found.losses.items():
        typer.echo(f"  {name:<16}{loss:.4f}" + ("   (the challenge's)" if name == "global" else ""))
    typer.echo("by column")
    for name, loss in found.columns.items():
        typer.echo(f"  {name:<16}{loss:.4f}")
    return ExitCode.DONE
