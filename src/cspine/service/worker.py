"""One worker: takes a job, does it, writes down how it ended, and begins again.

It renews its lease from a second thread. When the job takes too long, or the process that started it is gone, it ends
itself: the lease runs out, and the job is tried again by another.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cspine.domain import Conflict, CspineError, InputError, StoreError
from cspine.service.config import ServiceConfig
from cspine.service.database import is_full
from cspine.service.duties import Duty
from cspine.service.parts import Parts
from cspine.service.queue import NO_ROOM, Failure, Job
from cspine.service.spool import SORT
from cspine.workflow import Failed, Progress, attempt

POLL_S = 0.5
SAID_EVERY_S = 0.4
SORTS_IN_A_ROW = 4
EXIT_ORPHAN, EXIT_TOO_LONG = 70, 71

_log = logging.getLogger("cspine.service")


@dataclass(frozen=True)
class Watch:
    """What ends a worker from within.

    Attributes
    ----------
    parent
        Process that it must not outlive; 0 for none.
    leave
        Ends the process at once.
    """

    parent: int = 0
    leave: Callable[[int], object] = os._exit


class Worker:
    """Does jobs, one at a time.

    Parameters
    ----------
    duties
        What is done for each kind of jobs, the most urgent kind first; other kinds are left to other workers.
    """

    def __init__(self, config: ServiceConfig, parts: Parts, duties: Mapping[str, Duty], watch: Watch) -> None:
        self._config, self._parts, self._duties, self._watch = config, parts, duties, watch
        self._sorted_in_a_row = 0
        self.name = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"

    def run(self, stop: threading.Event) -> None:
        """Do jobs until asked to stop, or until the parent is gone."""
        while not stop.is_set() and not self._is_orphan():
            if not self._run_once_safely():
                stop.wait(POLL_S)

    def run_once(self) -> bool:
        """Do one job; return whether there was one."""
        job = self._parts.queue.claim(self.name, self._kinds())
        if job is None:
            return False
        self._sorted_in_a_row = self._sorted_in_a_row + 1 if job.kind == SORT else 0
        finished = False
        try:
            with self._renewing(job) as progress:
                ended = attempt(lambda: self._duties[job.kind](job, progress))
            if isinstance(ended, Failed):
                self._note(job, ended)
            finished = True
        finally:
            if not finished:  # asked to stop in the middle
                with suppress(CspineError):
                    self._parts.queue.release(job)
        return True

    def _kinds(self) -> tuple[str, ...]:
        """Return what to look for, in this order: sorting shows what came, but no result waits until all is sorted."""
        kinds = tuple(self._duties)
        return kinds[::-1] if self._sorted_in_a_row >= SORTS_IN_A_ROW else kinds

    def _run_once_safely(self) -> bool:
        """Do one job; a database that cannot be written for a while ends no worker."""
        ended = attempt(self.run_once)
        if isinstance(ended, Failed):
            _log.warning("worker %s: %s", self.name, type(ended.error).__name__)
            return False
        return ended.value

    def _note(self, job: Job, failed: Failed) -> None:
        """Write down how a job ended: the input is at fault, or something that may pass."""
        kind = NO_ROOM if is_full(failed.error) else type(failed.error).__name__
        failure = Failure(kind, self._told(job, failed), failed.trace)
        _log.warning("job %s of %s: %s in attempt %d", job.id, job.subject, failure.kind, job.attempt)
        with suppress(Conflict):  # the lease was lost meanwhile: another worker has the job
            if isinstance(failed.error, InputError):
                self._parts.queue.refuse(job, failure)
                if job.kind == SORT:
                    self._parts.spool.discard(job.subject)
            elif not isinstance(failed.error, Conflict):
                self._parts.queue.trip(job, failure)

    def _told(self, job: Job, failed: Failed) -> str:
        """Return the message for the person who asked, without paths of this machine."""
        if not isinstance(failed.error, CspineError):
            return f"internal error ({type(failed.error).__name__}); the service's log of jobs has the details"
        text = str(failed.error)
        for folder, name in ((self._config.spool_dir / job.subject, "upload"), (self._config.studies_dir, "study")):
            text = text.replace(f"{folder}/", f"{name} ").replace(str(folder), name)
        return text

    @contextmanager
    def _renewing(self, job: Job) -> Iterator[Progress]:
        beat = _Heartbeat(job, self._parts, self._config, self._watch)
        thread = threading.Thread(target=beat.run, daemon=True)
        thread.start()
        try:
            yield beat.progress
        finally:
            beat.stopped.set()
            thread.join()

    def _is_orphan(self) -> bool:
        return self._watch.parent > 0 and os.getppid() != self._watch.parent


class _Heartbeat:
    """Renews a lease while a job runs, and ends the process when it must not go on."""

    def __init__(self, job: Job, parts: Parts, config: ServiceConfig, watch: Watch) -> None:
        self._job, self._parts, self._config, self._watch = job, parts, config, watch
        self._said: tuple[str, float] = ("", 0.0)
        self.stopped = threading.Event()

    def progress(self, stage: str, share: float) -> None:
        """Note how far the job is; the next beat writes it down."""
        self._said = (stage, share)

    def run(self) -> None:
        """Beat until the job has ended."""
        began = time.monotonic()
        renewed, written = began, ("", 0.0)
        while not self.stopped.wait(SAID_EVERY_S):
            now = time.monotonic()
            if now - began > self._config.job_timeout_s:
                _log.error("job %s took longer than %g s", self._job.id, self._config.job_timeout_s)
                self._watch.leave(EXIT_TOO_LONG)
            if self._watch.parent > 0 and os.getppid() != self._watch.parent:
                self._watch.leave(EXIT_ORPHAN)
            if self._said != written or now - renewed > self._config.lease_s / 4:
                with suppress(StoreError):  # a database that is busy for a moment; the lease is longer than that
                    self._parts.queue.renew(self._job, *self._said)
                    renewed, written = now, self._said
