"""`cspine detect`: CT in, findings and reports out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli import options
from cspine.cli.guard import run_command

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.pipeline import Analyzer

Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "-f",
        metavar="KIND[,KIND …]",
        help="Documents to write: json, html, pdf; for an archive seg, fracture-seg, sr, sc, pr, dicom-pdf, or dicom "
        "for all of these; may be given more than once. Default: json,html.",
    ),
]
DEFAULT_FORMATS = ("json,html",)


@dataclass(frozen=True)
class EngineChoice:
    """How the networks are run; ``None`` leaves the choice to cspine."""

    engine: str = "openvino"
    threads: int | None = None
    bundle: Path | None = None
    precision: str | None = None
    prevalence: float = 0.05


@dataclass(frozen=True)
class Request:
    """What the user of `cspine detect` asked for."""

    source: Path
    out: Path
    formats: Sequence[str]
    series: str | None
    choice: EngineChoice
    as_json: bool
    verbose: bool


def detect(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT", readable=False, help="A folder, a zip, a DICOM file, or a NIfTI (.nii, .nii.gz)."
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            readable=False,
            help="Where the documents go; several studies get a folder each.",
        ),
    ] = Path("cspine-results"),
    formats: Formats = None,
    series: Annotated[
        str | None, typer.Option("--series", metavar="UID", help="Series to read; default: chosen by a written rule.")
    ] = None,
    engine: options.Engine = "openvino",
    threads: options.Threads = None,
    bundle: options.Bundle = None,
    precision: options.Precision = None,
    prevalence: options.Prevalence = 0.05,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Name the vertebrae of CT studies and write reports.

    Writes findings.json and report.html into DIR. Several studies below INPUT are all done, each into its own folder;
    a study that is refused does not stop the others.
    """
    choice = EngineChoice(engine, threads, bundle, precision, prevalence)
    request = Request(source, out, formats or DEFAULT_FORMATS, series, choice, as_json, verbose)
    run_command(lambda: _detect(request), verbose=verbose)


def _detect(request: Request) -> "ExitCode":
    from cspine.cli.exit_codes import exit_code_of, exit_code_of_studies
    from cspine.cli.outcome import Printer
    from cspine.cli.terminal import progress_bar
    from cspine.domain import CspineError
    from cspine.workflow import Wish, run_source

    kinds = tuple(dict.fromkeys(k.strip().lower() for f in request.formats for k in f.split(",") if k.strip()))
    errors: list[Exception | None] = []
    with progress_bar(shown=not request.as_json) as bar:
        printer = Printer(request.as_json, request.verbose, bar.paused)
        try:
            wish = Wish(kinds, request.out, request.series)
            for outcome in run_source(request.source, lambda: make_analyzer(request.choice), wish, bar):
                errors.append(printer.take(outcome))
                del outcome  # its volume must not stay while the next study is read
        except CspineError as error:
            if request.as_json:
                printer.finish(exit_code_of(error), error)
            raise
    code = exit_code_of_studies(errors)
    printer.finish(code)
    return code


def make_analyzer(choice: EngineChoice) -> "Analyzer":
    """Return the analyzer that the options ask for."""
    from cspine.models import default_bundle_path, load_bundle
    from cspine.pipeline import Analyzer

    bundle = load_bundle(choice.bundle or default_bundle_path())
    threads = choice.threads or options.default_threads()
    return Analyzer(
        bundle, engine=choice.engine, threads=threads, precision=choice.precision, prevalence=choice.prevalence
    )
