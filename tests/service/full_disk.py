"""Fill the disk of a service at random moments and count what became of the studies.

It needs a disk of its own: ``python -m tests.service.full_disk FOLDER STUDIES SEED``, within a mount of few megabytes,
prints the counts as JSON; `fill_disk` does both.
"""

import errno
import json
import os
import random
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import select

from cspine.domain import Rejected, StoreError, Vertebra
from cspine.service.states import JobState
from cspine.service.tables import jobs, outbox
from tests.service.builders import Place, make_place, write_neck

STEP = 2**14
ROUNDS_WHILE_FULL = 4
BEFORE = 0.3  # of the studies meet the full disk when they are handed over, the others when they are worked on


@dataclass(frozen=True)
class Counted:
    """What became of it all.

    Attributes
    ----------
    refused
        Studies that were refused for want of room when they were handed over; handed over again, they are among the
        done.
    tripped
        Jobs that met the full disk, and were tried again.
    by_hand
        Jobs that had failed too often while the disk was full, and were queued again by an operator.
    told_twice
        Studies with more than one announcement of their result, or none.
    broken
        Studies whose result does not hold what it must.
    strays
        Folders that nothing points to.
    """

    studies: int
    refused: int
    tripped: int
    by_hand: int
    done: int
    told_twice: int
    broken: int
    strays: int


class Ballast:
    """A file that takes what is free on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def leave(self, free: int) -> None:
        """Take all but so many bytes."""
        there = os.statvfs(self._path.parent)
        size = max(0, there.f_bavail * there.f_frsize - free)
        with open(self._path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, size))

    def remove(self) -> None:
        """Give it back."""
        self._path.unlink(missing_ok=True)


def fill_disk(folder: Path, studies: int, seed: int = 0) -> Counted:
    """Run the trial on a disk of its own, in memory; who is not root gets the right to mount it in a user namespace.

    Raises
    ------
    RuntimeError
        It did not come to an end.
    """
    (folder / "disk").mkdir()
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    run = f'mount -t tmpfs -o size={32 + 4 * studies}m none "$0" && exec "$@"'
    me = [sys.executable, "-m", __name__, str(folder / "disk"), str(folder), str(studies), str(seed)]
    command = ["unshare", *user, "--mount", "sh", "-c", run, str(folder / "disk"), *me]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return Counted(**json.loads(done.stdout))


def main(disk: Path, outside: Path, studies: int, seed: int) -> Counted:
    """Hand studies over while the disk is filled up to a random place; then make room, and count."""
    place = make_place(disk, webhook_url="http://127.0.0.1:9/")
    place.teller.fractured = (Vertebra.C5,)
    ballast, rng = Ballast(disk / "ballast"), random.Random(seed)
    refused = tripped = by_hand = 0
    for number in range(studies):
        images = write_neck(outside / f"in-{number}", number)
        room = rng.randrange(0, 3 * sum(path.stat().st_size for path in images.iterdir()), STEP)
        if rng.random() < BEFORE:
            ballast.leave(room)
        taken = _hand_over(place, images)
        ballast.leave(room)
        tripped += _work(place, ROUNDS_WHILE_FULL)
        ballast.remove()
        if not taken:
            refused += 1
            assert _hand_over(place, images)
        by_hand += _queue_again(place)
        _work(place, 1)
        for path in images.iterdir():
            path.unlink()
    return _count(place, (studies, refused, tripped, by_hand))


def _hand_over(place: Place, images: Path) -> bool:
    """Hand a study over; return whether it was taken. A full disk is the only reason why not."""
    try:
        place.parts.spool.take_folder(images, "test")
    except StoreError as error:
        if isinstance(error, Rejected) or os.strerror(errno.ENOSPC) in str(error):
            return False
        raise
    return True


def _work(place: Place, rounds: int) -> int:
    """Work as a worker does that outlives a database on a full disk; return how many jobs wait for another attempt."""
    waiting = 0
    for _ in range(rounds):
        while place.worker._run_once_safely():
            pass
        with place.parts.database.read() as connection:
            left = select(jobs.c.id).where(jobs.c.state == JobState.WAITING.value)
            waiting += len(connection.execute(left).all())
        place.clock.now += 1000
    return waiting


def _queue_again(place: Place) -> int:
    with place.parts.database.read() as connection:
        failed = connection.execute(select(jobs.c.id).where(jobs.c.state == JobState.FAILED.value)).scalars().all()
    for number in failed:
        place.parts.queue.retry(number)
    return len(failed)


def _count(place: Place, counted: tuple[int, int, int, int]) -> Counted:
    while place.worker.run_once():
        pass
    rows = place.parts.book.worklist()
    with place.parts.database.read() as connection:
        said = connection.execute(select(outbox.c.payload)).scalars().all()
    told = [one["study"] for one in said if one["event"] == "study.done"]
    here = {path.name for path in place.config.studies_dir.iterdir() if not path.name.startswith(".part-")}
    return Counted(
        *counted,
        done=sum(row["state"] == "done" for row in rows),
        told_twice=sum(told.count(row["id"]) != 1 for row in rows),
        broken=sum(not is_whole(place.config.studies_dir / row["id"], row) for row in rows),
        strays=len(here - {row["id"] for row in rows}),
    )


def is_whole(folder: Path, row: dict) -> bool:
    """Whether a study has its images, and one result, which says what it must."""
    results = [path.name for path in (folder / "results").iterdir()]
    findings = json.loads((folder / row["result"] / "findings.json").read_text("utf-8"))
    images = len(list((folder / "images").iterdir()))
    return results == [Path(row["result"]).name] and findings["decision"] == "rule-in" and images == row["files"]


if __name__ == "__main__":
    disk, outside, studies, seed = sys.argv[1:]
    sys.stdout.write(json.dumps(asdict(main(Path(disk), Path(outside), int(studies), int(seed)))))
