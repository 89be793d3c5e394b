"""Kill workers at random moments and count what became of the studies."""

import multiprocessing
import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from cspine.domain import Vertebra
from cspine.service import ServiceConfig, Supervisor, Watch, Worker, analysis, open_parts
from cspine.service.tables import outbox
from tests.service.builders import BUNDLE, Teller, make_place, write_neck
from tests.service.full_disk import is_whole

SETTINGS = {"lease_s": 0.8, "retry_first_s": 0.0, "max_attempts": 10_000, "webhook_url": "http://127.0.0.1:9/"}


@dataclass(frozen=True)
class Counted:
    """What became of it all.

    Attributes
    ----------
    told_twice
        Studies with more than one announcement, or none.
    broken
        Studies whose result does not hold what it must.
    strays
        Folders that nothing points to.
    """

    kills: int
    studies: int
    done: int
    told_twice: int
    broken: int
    strays: int
    restarts: int


class SlowTeller(Teller):
    """Takes its time, so that kills meet it in the middle."""

    def analyze(self, volume, progress):
        time.sleep(0.05)
        said = super().analyze(volume, progress)
        time.sleep(0.05)
        return said


def quick_worker(config: ServiceConfig, parent: int) -> None:
    """Be a worker that analyzes in no time."""
    parts = open_parts(config, BUNDLE)
    Worker(config, parts, analysis(config, parts, lambda: SlowTeller((Vertebra.C5,))), Watch()).run(threading.Event())


def kill_workers(folder: Path, kills: int, studies: int, seed: int = 0, database_url: str = "") -> Counted:
    """Send studies while two workers are killed again and again; wait until all are done, and count."""
    place = make_place(folder, workers=2, database_url=database_url, **SETTINGS)
    parts = open_parts(place.config, BUNDLE)  # with the real time
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    supervisor = Supervisor(place.config, (quick_worker, quick_worker), "forkserver", 0.05)
    rng, killed, sent = random.Random(seed), 0, 0
    supervisor.start()
    try:
        while killed < kills or sent < studies:
            if sent < studies:
                sent += 1
                parts.spool.take_folder(write_neck(folder / f"in-{sent}", sent), "test")
            time.sleep(rng.uniform(0.02, 0.6))
            if killed < kills and supervisor.pids:
                with suppress(ProcessLookupError):
                    os.kill(rng.choice(supervisor.pids), signal.SIGKILL)
                    killed += 1
            if sent == studies and parts.queue.is_idle() and killed < kills:
                studies += 1  # something to do for the kills that are left
        _wait(parts)
        supervisor.stop()
        return _count(place, parts, killed, studies, supervisor.restarts)
    finally:
        supervisor.stop()
        for one in (parts, place.parts):
            one.database.close()


def _wait(parts) -> None:
    deadline = time.monotonic() + 300
    while not parts.queue.is_idle():
        assert time.monotonic() < deadline, parts.queue.counts()
        time.sleep(0.2)


def _count(place, parts, kills: int, studies: int, restarts: int) -> Counted:
    rows = parts.book.worklist()
    with parts.database.read() as connection:
        told = [p["study"] for p in connection.execute(select(outbox.c.payload)).scalars()]
    folders = {path.name for path in place.config.studies_dir.iterdir() if not path.name.startswith(".part-")}
    return Counted(
        kills=kills,
        studies=studies,
        done=sum(row["state"] == "done" for row in rows),
        told_twice=sum(told.count(row["id"]) != 1 for row in rows),
        broken=sum(not is_whole(place.config.studies_dir / row["id"], row) for row in rows),
        strays=len(folders - {row["id"] for row in rows}),
        restarts=restarts,
    )
