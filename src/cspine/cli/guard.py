"""How every command ends: with a code from the table, a sentence on stderr, and never a traceback.

Nothing heavy is imported before a command runs: `cspine --help` answers at once.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from cspine.cli.exit_codes import ExitCode
    from cspine.workflow import Failed

INTERRUPTED = 130
BROKEN_PIPE = 141


def run_command(command: Callable[[], "ExitCode"], *, verbose: bool = False) -> NoReturn:
    """Run the body of a command and leave with its exit code.

    Parameters
    ----------
    verbose
        Print the traceback of an internal error, too.
    """
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        code = _run(command, verbose)
        sys.stdout.flush()
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains at its end
        code = BROKEN_PIPE
    finally:
        signal.signal(signal.SIGTERM, before)
    raise typer.Exit(code)


def explain(failed: "Failed", *, verbose: bool = False) -> str:
    """Return the sentence about an error; an internal one leaves its traceback in a log file."""
    from cspine.cli.exit_codes import ExitCode, exit_code_of
    from cspine.domain import CspineError

    message = printable(f"{failed.error}") or type(failed.error).__name__
    if isinstance(failed.error, CspineError) and exit_code_of(failed.error) is not ExitCode.INTERNAL:
        return message
    kind = type(failed.error).__name__
    trace = f"\n{printable(failed.trace, keep_lines=True)}" if verbose else ""
    return f"internal error ({kind}): {message}. This is a mistake in cspine; {_log(failed.trace)}{trace}"


def printable(text: str, *, keep_lines: bool = False) -> str:
    """Return text without control characters: values of headers and names of files must not steer a terminal."""
    kept = "\n\t" if keep_lines else ""
    return "".join(c if c.isprintable() or c in kept else "\N{REPLACEMENT CHARACTER}" for c in text)


def _run(command: Callable[[], "ExitCode"], verbose: bool) -> int:
    from cspine.cli.exit_codes import exit_code_of
    from cspine.workflow import Failed, attempt

    ended = attempt(command)
    if not isinstance(ended, Failed):
        return ended.value
    if isinstance(ended.error, BrokenPipeError):
        raise ended.error
    typer.echo(f"cspine: {explain(ended, verbose=verbose)}", err=True)
    return exit_code_of(ended.error)


def _log(trace: str) -> str:
    try:
        handle, path = tempfile.mkstemp(prefix="cspine-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as log:
            log.write(trace)
    except OSError:
        return "run again with -v to see where"
    return f"the details are in {Path(path)} (it may hold names and paths: read it before you pass it on)"


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """End on SIGTERM like on Ctrl-C, so that temporary files are removed."""
    raise SystemExit(128 + signum)
