"""`cspine acceptance`: a bundle on known studies, and the record of what it said."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli import options
from cspine.cli.detect import EngineChoice, make_analyzer
from cspine.cli.guard import printable, run_command

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.evaluation import AcceptanceRecord


def acceptance(
    suite: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help="Suite that `cspine phantom acceptance` wrote.")
    ],
    *,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", readable=False, help="Where acceptance.json and .html go."),
    ] = Path("cspine-acceptance"),
    on: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="Date on the record; default: today.")
    ] = None,
    engine: options.Engine = "openvino",
    threads: options.Threads = None,
    bundle: options.Bundle = None,
    precision: options.Precision = None,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Test a bundle on known phantoms, and write the record to file.

    Run it on the day of installation and after each update. Exit code 8: something differs from what is expected.
    """
    choice = EngineChoice(engine, threads, bundle, precision)
    run_command(lambda: _acceptance(suite, out, on, choice, as_json), verbose=verbose)


def _acceptance(folder: Path, out: Path, on: str | None, choice: EngineChoice, as_json: bool) -> "ExitCode":
    from cspine import __version__
    from cspine.cli.exit_codes import ExitCode
    from cspine.cli.terminal import progress_bar
    from cspine.datasets import read_suite
    from cspine.models import default_bundle_path, load_bundle
    from cspine.report import acceptance_html, acceptance_json
    from cspine.stores import FolderSink
    from cspine.workflow import UnderTest, run_acceptance

    day = _day(on)
    suite = read_suite(folder)
    bundle = load_bundle(choice.bundle or default_bundle_path())
    tested = UnderTest(bundle.id, bundle.manifest.name, f"cspine {__version__}", day)
    with progress_bar(shown=not as_json) as bar:
        record = run_acceptance(suite, make_analyzer(choice), tested, bar)
    sink = FolderSink(out)
    document = acceptance_json(record)
    receipts = [sink.send("acceptance.html", acceptance_html(record)), sink.send("acceptance.json", document)]
    if as_json:
        typer.echo(document.decode(), nl=False)
    else:
        _show(record, [receipt.where for receipt in receipts])
    return ExitCode.DONE if record.passed else ExitCode.CHECK_FAILED


def _day(given: str | None) -> str:
    """Return a date as ``YYYY-MM-DD``."""
    from cspine.domain import ConfigError

    try:
        return (date.today() if given is None else date.fromisoformat(given)).isoformat()
    except ValueError as error:
        raise ConfigError(f"--date is {given!r}, must be a date such as 2026-01-31") from error


def _show(record: "AcceptanceRecord", places: list[str]) -> None:
    from cspine.cli.terminal import checks_table, console
    from cspine.evaluation import Verdict

    shown = console()
    for name, title in record.titles.items():
        shown.print(checks_table(title, [check for check in record.checks if check.study == name]))
    for place in places:
        shown.print(printable(place), soft_wrap=True)
    counts = ", ".join(f"{record.counts[verdict]} {verdict.value}" for verdict in Verdict)
    shown.print(printable(f"{record.model_name}, {record.software}, suite {record.suite}"), soft_wrap=True)
    shown.print(f"{'Passed' if record.passed else 'Not passed'}: {counts}.")
