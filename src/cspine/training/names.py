"""Things chosen by name: an unknown name is answered with the nearest known one."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from cspine.domain import ConfigError

T = TypeVar("T")


def pick(table: Mapping[str, T], name: str, what: str) -> T:
    """Return the entry of a table.

    Parameters
    ----------
    what
        What the names are names of, for the message.

    Raises
    ------
    ConfigError
        No such name; the message holds the nearest one and all that there are.
    """
    if name not in table:
        raise ConfigError(f"unknown {what} {name!r}{nearest(name, table)}; known are {', '.join(table)}")
    return table[name]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``, did you mean 'x'?`` for the nearest known name, or nothing when none is near."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f", did you mean {found[0]!r}?" if found else ""
