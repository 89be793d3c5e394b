"""Prepare a set: say what it takes, then do it, and go on where a run stopped.

::

    out/plan.json                 what the cache holds
    out/entries/<2>/<key>.npz     one study; the key is a hash of its content and of the plan
    out/prepared.csv              which entry is which study's
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cspine.datasets.labeled_study import StudyFiles, place_study, read_study, series_of
from cspine.datasets.prepare.entry import entry_content
from cspine.datasets.prepare.make import PreparePlan, content_key, entry_bytes, make_entry
from cspine.datasets.prepare.vertebrae import VertebraFinder
from cspine.datasets.study_pass import Answer, Report, Values, Work, is_kept, over_studies
from cspine.dicom import write_atomically
from cspine.domain import ConfigError, Rejected, Vertebra

PLAN, TABLE, ENTRIES, ANSWERS = "plan.json", "prepared.csv", "entries", ".answers"
# Left free on the disk, so that nothing else on the machine stops.
RESERVE_BYTES = 200_000_000
COLUMNS = ("StudyInstanceUID", "entry", "bytes", "levels")


@dataclass(frozen=True)
class SpaceNeeded:
    """What a run will write, at most.

    Attributes
    ----------
    studies, kept
        To prepare, and there already.
    needed_bytes, free_bytes
        Of the former, and on the disk.
    """

    studies: int
    kept: int
    needed_bytes: int
    free_bytes: int

    @property
    def fits(self) -> bool:
        """Whether the disk holds it and the reserve."""
        return self.studies == 0 or self.needed_bytes + RESERVE_BYTES <= self.free_bytes

    @property
    def text(self) -> str:
        """In one line."""
        waiting = f"{self.studies} studies to prepare ({self.kept} are there)"
        disk = f"{self.free_bytes / 1e9:.2f} GB are free, of which {RESERVE_BYTES / 1e9:.2f} GB stay so"
        return f"{waiting}: at most {self.needed_bytes / 1e9:.2f} GB, {disk}"


@dataclass(frozen=True)
class PreparedSet:
    """What came of it.

    Attributes
    ----------
    written, kept
        Entries.
    """

    table: Path
    written: int
    kept: int
    bytes: int
    errors: dict[str, str]


def space_needed(
    studies: Sequence[StudyFiles], plan: PreparePlan, out: Path, workers: int, report: Report
) -> SpaceNeeded:
    """Return what preparing takes, from the headers of the studies that are not there yet.

    Studies whose headers cannot be read count nothing: `prepare_set` names them.
    """
    work = _work(plan, out, None)
    missing = [files for files in studies if not is_kept(files, work)]
    measured = over_studies(missing, Work(partial(_expected, plan=plan), lambda _: {}), workers, report)
    needed = sum(answer.values.get("bytes", 0) for answer in measured)
    return SpaceNeeded(len(missing), len(studies) - len(missing), needed, shutil.disk_usage(_existing(out)).free)


def prepare_set(
    studies: Sequence[StudyFiles],
    find: VertebraFinder,
    plan: PreparePlan,
    out: Path,
    *,
    workers: int,
    report: Report,
    announce: Callable[[SpaceNeeded], None] = lambda space: None,
) -> PreparedSet:
    """Prepare the studies that are not there yet.

    Parameters
    ----------
    find
        Gives the vertebrae; ``plan.found_by`` names it.
    workers
        Studies in memory at a time.
    announce
        Told what the run takes before it writes anything, whether that fits or not.

    Raises
    ------
    ConfigError
        The folder holds a cache of another plan.
    Rejected
        The disk is too small for what is to come, or was full; finished studies stay.
    """
    content = _claimable(plan, out)
    space = space_needed(studies, plan, out, workers, lambda uid, share: report("measure the space", share * 0.05))
    announce(space)
    if not space.fits:
        raise Rejected(f"{out}: {space.text}; free space, choose fewer parts, or use another disk", "ENOSPC")
    write_atomically(out / PLAN, content)
    answers: dict[str, Answer] = {}
    try:
        for answer in over_studies(
            studies, _work(plan, out, find), workers, lambda uid, share: report(f"prepare {uid}", 0.05 + share * 0.95)
        ):
            answers[answer.files.uid] = answer
    except Rejected as error:
        done = sum(not answer.error for answer in answers.values())
        raise Rejected(
            f"{error}; {done} studies are done and stay, free space and run again to go on", error.status
        ) from error
    good = [answers[files.uid] for files in studies if not answers[files.uid].error]
    write_atomically(out / TABLE, _csv(good).encode())
    kept = sum(answer.kept for answer in good)
    size = sum(answer.values["bytes"] for answer in good)
    errors = {uid: answer.error for uid, answer in answers.items() if answer.error}
    return PreparedSet(out / TABLE, len(good) - kept, kept, size, errors)


def _work(plan: PreparePlan, out: Path, find: VertebraFinder | None) -> Work:
    def do(files: StudyFiles) -> Values:
        assert find is not None  # without a finder only kept answers are asked for
        return _prepare(files, find, plan, out)

    def there(values: Values) -> bool:
        path = out / values["entry"]
        return bool(path.is_file() and path.stat().st_size == values["bytes"])

    return Work(do, lambda _: plan.values, out / ANSWERS, there)


def _prepare(files: StudyFiles, find: VertebraFinder, plan: PreparePlan, out: Path) -> Values:
    study = read_study(files, workers=1)
    key = content_key(study, plan)
    found, labels = find(study)
    content = entry_content(make_entry(study, found, labels, plan))
    entry = Path(ENTRIES, key[:2], f"{key}.npz")
    write_atomically(out / entry, content)
    return {"entry": entry.as_posix(), "bytes": len(content), "levels": [int(f.vertebra) for f in found]}


def _expected(files: StudyFiles, plan: PreparePlan) -> Values:
    grid = place_study(files, series_of(files)).grid
    masked = files.mask is not None or plan.found_by != "mask"
    return {"bytes": entry_bytes(grid, plan, 7 if masked else 0, masked=masked)}


def _claimable(plan: PreparePlan, out: Path) -> bytes:
    """Return what the plan's file holds; the folder must be new, empty, or a cache of the same plan."""
    content, path = json.dumps(plan.values, indent=2, sort_keys=True) + "\n", out / PLAN
    if path.exists():
        if path.read_text(encoding="utf-8") != content:
            raise ConfigError(f"{out}: holds a cache of another plan ({PLAN} differs); use another folder")
    elif out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: is not empty and holds no {PLAN}; use another folder")
    return content.encode()


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _csv(answers: Sequence[Answer]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for answer in answers:
        names = " ".join(Vertebra(level).name for level in answer.values["levels"])
        table.writerow([answer.files.uid, answer.values["entry"], answer.values["bytes"], names])
    return out.getvalue()
