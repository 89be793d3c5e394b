"""`cspine demo`: a phantom with a known answer, from DICOM to the report."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cspine.cli import options
from cspine.cli.detect import EngineChoice, make_analyzer
from cspine.cli.guard import printable, run_command

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", readable=False, help="Where it is written; default: a temporary folder."
        ),
    ] = None,
    *,
    engine: options.Engine = "openvino",
    threads: options.Threads = None,
    bundle: options.Bundle = None,
    precision: options.Precision = None,
    verbose: options.Verbose = False,
) -> None:
    """Run a phantom with a known answer.

    Makes a phantom, writes it as DICOM, detects it, and says whether the answer is right.
    """
    choice = EngineChoice(engine, threads, bundle, precision)
    run_command(lambda: _demo(out, choice, verbose), verbose=verbose)


def _demo(out: Path | None, choice: EngineChoice, verbose: bool) -> "ExitCode":
    from cspine.cli.exit_codes import ExitCode, exit_code_of
    from cspine.cli.outcome import Printer
    from cspine.cli.terminal import console, progress_bar, truth_table
    from cspine.workflow import run_demo

    folder = out or Path(tempfile.mkdtemp(prefix="cspine-demo-"))
    with progress_bar(shown=True) as bar:
        threads = choice.threads or options.default_threads()
        result = run_demo(folder, lambda: make_analyzer(choice), ("json", "html"), bar, threads)
    error = Printer(as_json=False, verbose=verbose).take(result.outcome)
    if error is not None or result.score is None:
        return ExitCode.INTERNAL if error is None else exit_code_of(error)
    shown = console()
    shown.print(truth_table(result.score))
    shown.print(printable(f"images: {result.images}"), soft_wrap=True)
    shown.print("The answer is right." if result.right else "The answer is wrong.")
    return ExitCode.DONE if result.right else ExitCode.INTERNAL
