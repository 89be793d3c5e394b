"""What a leak check found, as a file beside the split; and the answer whether one may train on that split."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cspine.datasets.leaks import Leak, LeakKind
from cspine.datasets.splits import Split, read_split
from cspine.dicom import write_atomically
from cspine.domain import ConfigError, InputError, NoImages

LEAKS_SCHEMA = "1.0"


@dataclass(frozen=True)
class LeakReport:
    """Leaks of a data set, or of one split of it.

    Attributes
    ----------
    split_hash
        Empty when all studies were compared with one another, without a split.
    slices
        Slices that were compared.
    unread
        Files that could not be compared, with the reason.
    """

    split_hash: str
    slices: int
    leaks: tuple[Leak, ...]
    unread: tuple[str, ...]


def leaks_path(split: Path) -> Path:
    """Return where the leaks of a split stand: beside it."""
    return split.with_name(f"{split.stem}.leaks.json")


def write_leaks(report: LeakReport, path: Path) -> None:
    """Write a report as JSON; raises `StoreError` when the file cannot be written."""
    content = {"schema_version": LEAKS_SCHEMA, **asdict(report)}
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def read_leaks(path: Path) -> LeakReport:
    """Read a report.

    Raises
    ------
    NoImages
        There is none.
    InputError
        It is no report, or of another version.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        leaks = tuple(Leak(**{**leak, "kind": LeakKind(leak["kind"])}) for leak in content["leaks"])
        report = LeakReport(content["split_hash"], content["slices"], leaks, tuple(content["unread"]))
    except OSError as error:
        raise NoImages(f"{path}: cannot be read: {error.strerror}; run: cspine data check-leaks") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no list of leaks ({type(error).__name__}: {error})") from error
    if version != LEAKS_SCHEMA:
        raise InputError(f"{path}: leaks of version {version!r}, this is {LEAKS_SCHEMA!r}; check again")
    return report


def duplicates_of(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of studies that a report says to show the same; raises as `read_leaks`."""
    return [(leak.one, leak.other) for leak in read_leaks(path).leaks if leak.one != leak.other]


def trainable_split(path: Path, allow_leaky: bool = False) -> tuple[Split, str]:
    """Return a split to train on, and the mark that every table of the run must carry; empty for a clean one.

    Parameters
    ----------
    allow_leaky
        Train all the same, for comparison with a paper that did.

    Raises
    ------
    ConfigError
        The split leaks: it goes by image, or a leak check of it found something.
    InputError, NoImages
        As `read_split`.
    """
    split = read_split(path)
    mark = split.mark
    if leaks_path(path).is_file():
        report = read_leaks(leaks_path(path))
        if report.leaks and report.split_hash == split.hash and not mark:
            mark = f"LEAKY SPLIT: {_counted(report.leaks)}; figures from it say nothing about new patients"
    if mark and not allow_leaky:
        raise ConfigError(
            f"{path}: {mark}. It is not trained on; split by study (cspine data split --leaks), or allow it on purpose"
        )
    return split, mark


def _counted(leaks: Sequence[Leak]) -> str:
    counts = {kind: sum(leak.kind is kind for leak in leaks) for kind in LeakKind}
    words = {
        LeakKind.BOTH_SIDES: "studies on both sides",
        LeakKind.SAME_STUDY: "pairs of studies that are the same",
        LeakKind.SLICES: "pairs of studies with copied slices",
    }
    return ", ".join(f"{count} {words[kind]}" for kind, count in counts.items() if count)
