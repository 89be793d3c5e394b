"""The job boundary: the one place where every error is caught, so that one bad study does not stop the rest."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Done(Generic[T]):
    """A job that ended well."""

    value: T


@dataclass(frozen=True, eq=False)
class Failed:
    """A job that ended with an error.

    Attributes
    ----------
    trace
        The traceback as text; it may name patients and paths, so it belongs in a log and not in a document.
    """

    error: Exception
    trace: str


def attempt(job: Callable[[], T]) -> Done[T] | Failed:
    """Run a job and return how it ended. Ctrl-C and exit requests pass through."""
    try:
        return Done(job())
    except Exception as error:  # noqa: BLE001  # the job boundary of the architecture
        return Failed(error, traceback.format_exc())
