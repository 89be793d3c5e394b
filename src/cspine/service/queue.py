"""The queue of jobs: who does what, how often it was tried, and how it ended.

A job is claimed for a limited time (a lease) which its worker renews; when the worker dies, the lease runs out and
another one takes the job. Every change is one transaction that checks state and attempt, so a worker that comes back
from the dead changes nothing. How a job ended and what follows from it (the result, the
announcement) are written together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, insert, or_, select, update

from cspine.domain import Conflict, NotFound
from cspine.service.database import Clock, Database, reserve
from cspine.service.states import CLAIMABLE, ENDED, JobEvent, JobState, next_state
from cspine.service.tables import jobs

Effects = Callable[[Connection], None]
WORKER_LOST, NO_ROOM = "worker-lost", "NoRoom"


@dataclass(frozen=True)
class Job:
    """One thing to do.

    Attributes
    ----------
    kind
        ``"sort"`` an upload into studies, ``"analyze"`` a study, or ``"send"`` its result.
    subject
        The upload or the study.
    bundle
        Identity of the model bundle; empty where none is used.
    attempt
        1 for the first try.
    worker
        Who runs it; unique for each process.
    """

    id: int
    kind: str
    subject: str
    bundle: str
    state: JobState
    attempt: int
    worker: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why a job ended without its result.

    Attributes
    ----------
    kind
        Class of the error.
    message
        For the person who asked; names no patient.
    trace
        For those who run the service.
    """

    kind: str
    message: str
    trace: str = ""


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and how long between.

    Attributes
    ----------
    longest_s
        The doubling of the waits ends there.
    """

    max_attempts: int = 3
    first_s: float = 5.0
    lease_s: float = 30.0
    longest_s: float = 3600.0

    def wait_s(self, attempt: int) -> float:
        """Return the wait after a failed attempt; it doubles."""
        return float(min(self.longest_s, self.first_s * 2 ** min(30, max(0, attempt - 1))))


class JobQueue:
    """The table of jobs.

    Parameters
    ----------
    on_end
        Called within the transaction that ends a job.
    policies
        Of kinds of jobs, and of failures, after which is tried in another way.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        policy: RetryPolicy,
        on_end: Callable[[Connection, Job, Failure | None], None] = lambda connection, job, failure: None,
        policies: Mapping[str, RetryPolicy] = MappingProxyType({}),
    ) -> None:
        self._database, self._clock, self._policy, self._on_end = database, clock, policy, on_end
        self._policies = policies

    def add(self, connection: Connection, kind: str, subject: str, bundle: str = "") -> int:
        """Put a job into the queue within a transaction; the same job a second time is the first one."""
        reserve(connection, f"{kind} {subject} {bundle}")
        same = and_(jobs.c.kind == kind, jobs.c.subject == subject, jobs.c.bundle == bundle)
        there = connection.execute(select(jobs.c.id).where(same)).scalar()
        if there is not None:
            return int(there)
        now = self._clock()
        values = {"kind": kind, "subject": subject, "bundle": bundle, "state": JobState.QUEUED.value}
        made = connection.execute(insert(jobs).values(**values, attempt=0, created_at=now, run_after=now))
        return int((made.inserted_primary_key or (0,))[0])

    def claim(self, worker: str, kinds: Sequence[str]) -> Job | None:
        """Take the next job, or return ``None``: of the first kind before the second, then who came first."""
        now = self._clock()
        with self._database.write() as connection:
            self._expire(connection, now)
            ready = and_(
                jobs.c.state.in_([s.value for s in CLAIMABLE]), jobs.c.run_after <= now, jobs.c.kind.in_(kinds)
            )
            rank = case({kind: place for place, kind in enumerate(kinds)}, value=jobs.c.kind)
            order = (rank, jobs.c.created_at, jobs.c.id)
            query = select(jobs).where(ready).order_by(*order).limit(1).with_for_update(skip_locked=True)
            row = connection.execute(query).first()
            if row is None:
                return None
            job = _job(row)
            lease = {"lease_until": now + self._policy.lease_s, "worker": worker, "started_at": now}
            fresh = {"attempt": job.attempt + 1, "stage": "", "share": 0.0, "error": "", "error_kind": "", "trace": ""}
            return self._move(connection, job, JobEvent.CLAIM, lease | fresh)

    def renew(self, job: Job, stage: str, share: float) -> bool:
        """Show a sign of life and how far the job is; return whether it is still this worker's."""
        values = {"lease_until": self._clock() + self._policy.lease_s, "stage": stage[:80], "share": share}
        with self._database.write() as connection:
            done = connection.execute(update(jobs).where(_held(job)).values(**values))
        return bool(done.rowcount)

    def succeed(self, job: Job, effects: Effects) -> None:
        """End a job with its effects, all or nothing.

        Raises
        ------
        Conflict
            The job is no longer this worker's; nothing was written.
        """
        with self._database.write() as connection:
            moved = self._move(connection, job, JobEvent.SUCCEED, self._ending())
            effects(connection)
            self._on_end(connection, moved, None)

    def refuse(self, job: Job, failure: Failure) -> None:
        """End a job whose input is at fault; errors as in `succeed`."""
        with self._database.write() as connection:
            self._fail(connection, job, JobEvent.REFUSE, failure)

    def trip(self, job: Job, failure: Failure) -> None:
        """Note an error that may pass: the job is tried again later, or given up after the last attempt."""
        with self._database.write() as connection:
            self._trip(connection, job, JobEvent.TRIP, failure)

    def release(self, job: Job) -> None:
        """Give a job back untouched, because the worker was asked to stop; the attempt does not count."""
        values = {"attempt": job.attempt - 1, "run_after": self._clock(), "lease_until": None, "worker": None}
        with self._database.write() as connection:
            self._move(connection, job, JobEvent.RELEASE, values)

    def retry(self, job_id: int) -> None:
        """Queue a job again that was refused or has failed.

        Raises
        ------
        NotFound, Conflict
            There is no such job, or it has not ended that way.
        """
        with self._database.write() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).first()
            if row is None:
                raise NotFound(f"there is no job {job_id}")
            values = {"attempt": 0, "run_after": self._clock(), "ended_at": None}
            self._move(connection, _job(row), JobEvent.RETRY, values)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are, by kind and state."""
        query = select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state)
        with self._database.read() as connection:
            return {(row[0], row[1]): int(row[2]) for row in connection.execute(query)}

    def is_idle(self) -> bool:
        """Whether every job has ended."""
        query = select(func.count()).select_from(jobs).where(jobs.c.state.not_in([s.value for s in ENDED]))
        with self._database.read() as connection:
            return connection.execute(query).scalar() == 0

    def _expire(self, connection: Connection, now: float) -> None:
        lost = and_(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until < now)
        for row in connection.execute(select(jobs).where(lost).with_for_update(skip_locked=True)).all():
            told = f"the worker {row.worker} gave no sign of life in attempt {row.attempt}"
            self._trip(connection, _job(row), JobEvent.EXPIRE, Failure(WORKER_LOST, told))

    def _trip(self, connection: Connection, job: Job, event: JobEvent, failure: Failure) -> None:
        policy = self._policies.get(failure.kind, self._policies.get(job.kind, self._policy))
        if job.attempt >= policy.max_attempts:
            self._fail(connection, job, JobEvent.GIVE_UP, failure)
            return
        later = {"run_after": self._clock() + policy.wait_s(job.attempt), "lease_until": None, "worker": None}
        self._move(connection, job, event, later | _told(failure))

    def _fail(self, connection: Connection, job: Job, event: JobEvent, failure: Failure) -> None:
        moved = self._move(connection, job, event, self._ending() | _told(failure))
        self._on_end(connection, moved, failure)

    def _ending(self) -> dict[str, Any]:
        return {"ended_at": self._clock(), "lease_until": None, "worker": None, "stage": "", "share": 1.0}

    def _move(self, connection: Connection, job: Job, event: JobEvent, values: Mapping[str, Any]) -> Job:
        new = next_state(job.state, event)
        done = connection.execute(update(jobs).where(_held(job)).values(state=new.value, **values))
        if not done.rowcount:
            raise Conflict(f"job {job.id} is no longer {job.state} in attempt {job.attempt}; nothing was written")
        attempt, worker = int(values.get("attempt", job.attempt)), values.get("worker", job.worker)
        return replace(job, state=new, attempt=attempt, worker=worker)


def unfinished(connection: Connection, subjects: Sequence[str]) -> set[str]:
    """Return those subjects that a job is still about."""
    going = or_(*(jobs.c.state == state.value for state in JobState if state not in ENDED))
    query = select(jobs.c.subject).where(jobs.c.subject.in_(subjects), going)
    return set(connection.execute(query).scalars())


def _held(job: Job) -> Any:
    held = and_(jobs.c.id == job.id, jobs.c.state == job.state.value, jobs.c.attempt == job.attempt)
    return and_(held, jobs.c.worker == job.worker) if job.state is JobState.RUNNING else held


def _told(failure: Failure) -> dict[str, str]:
    return {"error_kind": failure.kind, "error": failure.message, "trace": failure.trace}


def _job(row: Row[Any]) -> Job:
    return Job(row.id, row.kind, row.subject, row.bundle, JobState(row.state), row.attempt, row.worker)
