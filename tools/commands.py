"""Run `cspine` as a user does, and take its time."""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import IO

PROGRAM = "from cspine.cli.main import main; main()"


def timed(words: Sequence[str], log: IO[bytes] | None = None) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """Run `cspine` with these words.

    Parameters
    ----------
    log
        Receives what the command says; without one it stands in what is returned.

    Returns
    -------
    tuple
        What ended, seconds, and processor seconds, those of its children included.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = subprocess.PIPE if log is None else log
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], stdout=said, stderr=said, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done, time.perf_counter() - began, spent
