"""One table: what ended a command, and the exit code that it gives.

==== ==========================================================================================
code meaning
==== ==========================================================================================
0    done
2    usage: a wrong option, or a setting, recipe or specification that is impossible
3    the input was refused: no images, no volume, an unsupported series, no neck
4    the model bundle is missing, changed, or made for another version
5    internal error: a mistake in cspine, or a document that could not be made
6    of several studies, some were refused or failed and others were done
7    a store failed: a folder cannot be read or written, a disk is full, an archive is away
8    an acceptance test found an answer that differs from the expected one
9    a training stopped: its loss is not a number, or the memory does not suffice
130  interrupted with Ctrl-C
==== ==========================================================================================
"""

from collections.abc import Sequence
from enum import IntEnum

from cspine.domain import BundleError, ConfigError, InputError, RenderError, RequestError, StoreError, TrainingStopped


class ExitCode(IntEnum):
    """Exit codes of `cspine`."""

    DONE = 0
    USAGE = 2
    REFUSED_INPUT = 3
    BUNDLE = 4
    INTERNAL = 5
    SOME_REFUSED = 6
    STORE = 7
    CHECK_FAILED = 8
    TRAINING_STOPPED = 9
    INTERRUPTED = 130


# The first class that an error is an instance of decides; anything else is internal.
CODE_OF_ERROR: tuple[tuple[type[Exception], ExitCode], ...] = (
    (InputError, ExitCode.REFUSED_INPUT),
    (BundleError, ExitCode.BUNDLE),
    (StoreError, ExitCode.STORE),
    (ConfigError, ExitCode.USAGE),
    (RequestError, ExitCode.USAGE),
    (TrainingStopped, ExitCode.TRAINING_STOPPED),
    (RenderError, ExitCode.INTERNAL),
)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error that ended a command."""
    return next((code for kind, code in CODE_OF_ERROR if isinstance(error, kind)), ExitCode.INTERNAL)


def exit_code_of_studies(errors: Sequence[BaseException | None]) -> ExitCode:
    """Return the exit code for several studies, each with its error or ``None``.

    Studies that all ended the same way give the code of one; any mixture gives ``SOME_REFUSED``. An internal error of
    any study is never hidden behind it.
    """
    codes = {ExitCode.DONE if e is None else exit_code_of(e) for e in errors}
    if ExitCode.INTERNAL in codes:
        return ExitCode.INTERNAL
    return codes.pop() if len(codes) == 1 else ExitCode.SOME_REFUSED
