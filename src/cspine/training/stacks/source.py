"""Where the stacks of a training come from: a folder in the layout of RSNA 2022, or phantoms made on the fly."""

from pathlib import Path

from cspine.datasets import PhantomPlan, Size
from cspine.domain import ConfigError
from cspine.training.stacks.label_set import CERVICAL_FRACTURES, LabelSet
from cspine.training.stacks.phantoms import phantom_stacks
from cspine.training.stacks.read import Say, read_stacks
from cspine.training.stacks.stack import StackPlan, StackSet

PHANTOMS = "phantom:"


def stacks_of(
    data: Path,
    plan: StackPlan,
    labels: LabelSet = CERVICAL_FRACTURES,
    *,
    cache: Path | None = None,
    say: Say = lambda line: None,
) -> StackSet:
    """Return the labeled studies of a folder; or small phantoms, made anew each time and never written.

    Parameters
    ----------
    data
        A folder, or ``phantom:STUDIES`` or ``phantom:STUDIES:SEED``.
    cache
        Of what is read from a folder.

    Raises
    ------
    ConfigError
        Not of this form, or phantoms are asked for other levels than C1 … C7; also as `read_stacks`.
    NoImages, StoreError
        As `read_stacks`.
    """
    asked = str(data)
    if not asked.startswith(PHANTOMS):
        return read_stacks(data, plan, labels, cache=cache, say=say)
    if labels != CERVICAL_FRACTURES:
        raise ConfigError(f"--data {asked}: phantoms have the levels C1 … C7, not those of {labels.name!r}")
    studies, _, seed = asked.removeprefix(PHANTOMS).partition(":")
    if not studies.isdecimal() or not (seed or "0").isdecimal():
        raise ConfigError(f"--data {asked}: write {PHANTOMS}STUDIES or {PHANTOMS}STUDIES:SEED, such as {PHANTOMS}40:7")
    return phantom_stacks(PhantomPlan(int(studies), int(seed or 0), size=Size.SMALL), plan, say=say)


def folder_of(data: Path, system: str) -> Path:
    """Return the folder of a system that reads more of it than stacks.

    Raises
    ------
    ConfigError
        Phantoms on the fly were asked for.
    """
    if str(data).startswith(PHANTOMS):
        raise ConfigError(
            f"--data {data}: {system} reads a folder; write one with cspine phantom make --layout rsna --size small"
        )
    return data
