"""Run `cspine` as a user does: in a process of its own, or in this one where nothing but the answer matters."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from cspine.cli.main import app

PROGRAM = (sys.executable, "-c", "from cspine.cli.main import main; main()")


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict:
        """What ``--json`` printed."""
        return json.loads(self.out)


def cspine(*arguments: object, cwd: Path | None = None, before: Callable[[], None] | None = None) -> Ended:
    """Run `cspine` with arguments.

    Parameters
    ----------
    before
        Called in the new process before the program starts.
    """
    command = [*PROGRAM, *(str(a) for a in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=300, preexec_fn=before)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def called(*arguments: object, cwd: Path | None = None) -> Ended:
    """Run `cspine` with arguments inside this process: much faster, for everything is imported."""
    here = Path.cwd()
    try:
        os.chdir(cwd or here)
        done = CliRunner().invoke(app, [str(a) for a in arguments])
    finally:
        os.chdir(here)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


def files_below(folder: Path) -> list[str]:
    """Return every file below a folder, hidden ones too, as relative paths."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
