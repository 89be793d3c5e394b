"""`cspine detect`: CT in, findings and reports out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli import options
from cspine.cli.guard import run_command

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.pipeline import Analyzer
    from cspine.stores import RemoteStore, Source

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
class Archive:
    """Where results are sent besides: back to where the study came from, to an address, or nowhere."""

    send: bool = False
    send_to: str | None = None
    access: Path | None = None


@dataclass(frozen=True)
class Request:
    """What the user of `cspine detect` asked for."""

    source: str
    out: Path
    formats: Sequence[str]
    series: str | None
    study: str | None
    archive: "Archive"
    choice: EngineChoice
    as_json: bool
    verbose: bool


def detect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A folder, a zip, a DICOM file, a NIfTI (.nii, .nii.gz), or an archive: dicomweb://HOST/PATH, "
            "dimse://HOST/TITLE.",
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
    study: Annotated[
        str | None, typer.Option("--study", metavar="UID", help="Study to read; an archive needs it. Default: all.")
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Send DICOM results back to the archive of INPUT.")] = False,
    send_to: Annotated[
        str | None, typer.Option("--send-to", metavar="ADDRESS", help="Send DICOM results to this archive.")
    ] = None,
    access: options.AccessFile = None,
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
    archive = Archive(send, send_to, access)
    request = Request(source, out, formats or DEFAULT_FORMATS, series, study, archive, choice, as_json, verbose)
    run_command(lambda: _detect(request), verbose=verbose)


def _detect(request: Request) -> "ExitCode":
    from cspine.cli.exit_codes import exit_code_of, exit_code_of_studies
    from cspine.cli.outcome import Printer
    from cspine.cli.terminal import progress_bar
    from cspine.domain import CspineError
    from cspine.workflow import DICOM_GROUP, Wish, has_dicom, run_opened

    kinds = tuple(dict.fromkeys(k.strip().lower() for f in request.formats for k in f.split(",") if k.strip()))
    errors: list[Exception | None] = []
    with progress_bar(shown=not request.as_json) as bar:
        printer = Printer(request.as_json, request.verbose, bar.paused)
        try:
            wish = Wish(kinds, request.out, request.series, request.study)
            source, archive = _opened(request)
            if archive is not None:
                wish = replace(wish, archive=archive, kinds=kinds if has_dicom(kinds) else (*kinds, DICOM_GROUP))
            for outcome in run_opened(source, lambda: make_analyzer(request.choice), wish, bar):
                errors.append(printer.take(outcome))
                del outcome  # its volume must not stay while the next study is read
        except CspineError as error:
            if request.as_json:
                printer.finish(exit_code_of(error), error)
            raise
    code = exit_code_of_studies(errors)
    printer.finish(code)
    return code


def _opened(request: Request) -> "tuple[Source, RemoteStore | None]":
    """Return where the study comes from, and the archive that results are sent to."""
    from cspine.domain import ConfigError
    from cspine.stores import RemoteSource, is_remote, open_source, open_store, read_access

    wanted = request.archive
    access = None if wanted.access is None else read_access(wanted.access)
    target = None if wanted.send_to is None else open_store(wanted.send_to, access)
    if not is_remote(request.source):
        if wanted.send:
            raise ConfigError("--send sends back to an archive, and INPUT names none; use --send-to ADDRESS")
        return open_source(Path(request.source)), target
    if request.study is None:
        raise ConfigError("an archive has many studies; name one with --study UID (cspine pacs find lists them)")
    if wanted.send and target is not None:
        raise ConfigError("--send and --send-to are both given; results go to one archive")
    store = open_store(request.source, access)
    return RemoteSource(store, request.study, request.series), store if wanted.send else target


def make_analyzer(choice: EngineChoice) -> "Analyzer":
    """Return the analyzer that the options ask for."""
    from cspine.models import default_bundle_path, load_bundle
    from cspine.pipeline import Analyzer

    bundle = load_bundle(choice.bundle or default_bundle_path())
    threads = choice.threads or options.default_threads()
    return Analyzer(
        bundle, engine=choice.engine, threads=threads, precision=choice.precision, prevalence=choice.prevalence
    )
