"""Where the studies of a training come from: a folder in the layout of RSNA 2022, or phantoms made on the fly."""

from collections.abc import Callable, Collection
from pathlib import Path

from cspine.datasets import LabeledStudy, PhantomPlan, RsnaOptions, Size, open_or_make_index, read_study, studies_of
from cspine.domain import ConfigError, NoImages, Vertebra
from cspine.training.stacks.label_set import CERVICAL_FRACTURES, LabelSet
from cspine.training.stacks.phantoms import phantom_named, phantom_stacks
from cspine.training.stacks.read import Say, read_stacks
from cspine.training.stacks.stack import StackPlan, StackSet, slotted

PHANTOMS = "phantom:"
# Some recipes learn from masks or boxes alone, which few studies of RSNA 2022 have: of few phantoms all have both.
EVERYTHING = RsnaOptions(segmented_share=1.0, boxed_share=1.0)


def phantoms_of(data: Path, labels: LabelSet = CERVICAL_FRACTURES) -> PhantomPlan | None:
    """Return the small phantoms that ``phantom:STUDIES`` or ``phantom:STUDIES:SEED`` asks for; of a folder ``None``.

    Raises
    ------
    ConfigError
        Not of this form, or phantoms are asked for other levels than C1 … C7.
    """
    asked = str(data)
    if not asked.startswith(PHANTOMS):
        return None
    if labels != CERVICAL_FRACTURES:
        raise ConfigError(f"--data {asked}: phantoms have the levels C1 … C7, not those of {labels.name!r}")
    studies, _, seed = asked.removeprefix(PHANTOMS).partition(":")
    if not studies.isdecimal() or not (seed or "0").isdecimal():
        raise ConfigError(f"--data {asked}: write {PHANTOMS}STUDIES or {PHANTOMS}STUDIES:SEED, such as {PHANTOMS}40:7")
    return PhantomPlan(int(studies), int(seed or 0), size=Size.SMALL, rsna=EVERYTHING)


def stacks_of(
    data: Path,
    plan: StackPlan,
    labels: LabelSet = CERVICAL_FRACTURES,
    *,
    cache: Path | None = None,
    only: Collection[str] | None = None,
    say: Say = lambda line: None,
) -> StackSet:
    """Return the labeled studies of a folder; or small phantoms, made anew each time and never written.

    Parameters
    ----------
    data
        A folder, or as `phantoms_of`.
    cache
        Of what is read from a folder.
    only
        UIDs to read of a folder.

    Raises
    ------
    ConfigError
        As `phantoms_of` and `read_stacks`.
    NoImages, StoreError
        As `read_stacks`.
    """
    phantoms = phantoms_of(data, labels)
    if phantoms is None:
        return read_stacks(data, plan, labels, cache=cache, only=only, say=say)
    return phantom_stacks(phantoms, plan, say=say)


def reader_of(data: Path, labels: LabelSet = CERVICAL_FRACTURES) -> Callable[[str], LabeledStudy]:
    """Return what gives a whole study by its UID: read from the folder, or made anew; masks have k + 1 for level k.

    Raises
    ------
    ConfigError
        As `phantoms_of`.
    NoImages
        There is no such set; the reader raises it for a study that is not in it.
    InputError
        Raised by the reader: a study cannot be read.
    """
    phantoms = phantoms_of(data, labels)
    if phantoms is not None:
        return lambda uid: slotted(phantom_named(phantoms, uid), labels)
    files = {f.uid: f for f in studies_of(open_or_make_index(data, None, 1, lambda text, share: None))}

    def read(uid: str) -> LabeledStudy:
        if uid not in files:
            raise NoImages(f"{data}: has no usable study {uid}")
        highest = max(*labels.values, *Vertebra)
        return slotted(read_study(files[uid], workers=1, highest_label=highest), labels)

    return read
