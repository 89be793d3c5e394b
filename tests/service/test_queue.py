"""Jobs are claimed once, renewed, tried again with growing waits, and written down with what follows from them.

On SQLite and on PostgreSQL.
"""

import pytest
from sqlalchemy import insert, select

from cspine.domain import Conflict, NotFound
from cspine.service import Failure, JobQueue, JobState, RetryPolicy
from cspine.service.database import Database
from cspine.service.tables import audit, jobs
from tests.service.builders import Clock

KINDS = ("analyze",)
POLICY = RetryPolicy(max_attempts=3, first_s=10.0, lease_s=30.0)


class Queue:
    """A queue in a database of its own."""

    def __init__(self, url: str) -> None:
        self.clock, self.database = Clock(), Database(url)
        self.ended: list[JobState] = []
        self.queue = JobQueue(self.database, self.clock, POLICY, lambda _, job, failure: self.ended.append(job.state))

    def add(self, subject: str = "s", bundle: str = "b") -> int:
        with self.database.write() as connection:
            return self.queue.add(connection, "analyze", subject, bundle)

    def row(self, job_id: int):
        with self.database.read() as connection:
            return connection.execute(select(jobs).where(jobs.c.id == job_id)).one()


@pytest.fixture
def q(database_url):
    made = Queue(database_url)
    yield made
    made.database.close()


def test_the_same_content_with_the_same_bundle_is_one_job(q):
    assert q.add() == q.add()
    assert q.add(bundle="other") != q.add()


def test_a_job_is_given_to_one_worker_only(q):
    q.add()
    first = q.queue.claim("w1", KINDS)
    assert (first.state, first.attempt) == (JobState.RUNNING, 1)
    assert q.queue.claim("w2", KINDS) is None


def test_the_waits_double_and_the_last_attempt_gives_up(q):
    job_id = q.add()
    waits = []
    for _ in range(POLICY.max_attempts):
        job = q.queue.claim("w", KINDS)
        q.queue.trip(job, Failure("Unreachable", "away"))
        waits.append(q.row(job_id).run_after - q.clock.now)
        assert q.queue.claim("w", KINDS) is None or q.row(job_id).state == "failed"
        q.clock.now += 1000
    assert waits[:2] == [10.0, 20.0]
    row = q.row(job_id)
    assert (row.state, row.error_kind, row.error, row.attempt) == ("failed", "Unreachable", "away", 3)
    assert q.ended == [JobState.FAILED]


def test_a_worker_without_a_sign_of_life_loses_its_job_and_cannot_end_it_any_more(q):
    job_id = q.add()
    lost = q.queue.claim("w1", KINDS)
    q.clock.now += POLICY.lease_s - 1
    assert q.queue.renew(lost, "read", 0.1)
    q.clock.now += POLICY.lease_s + 1
    assert q.queue.claim("w2", KINDS) is None  # expired now, waits for its second attempt
    q.clock.now += 10
    again = q.queue.claim("w2", KINDS)
    assert (again.id, again.attempt) == (job_id, 2)
    assert not q.queue.renew(lost, "read", 0.5)
    with pytest.raises(Conflict, match="no longer running in attempt 1"):
        q.queue.succeed(lost, lambda connection: None)
    q.queue.succeed(again, lambda connection: None)
    assert q.row(job_id).state == "done"
    assert q.ended == [JobState.DONE]


def test_a_worker_that_dies_each_time_fails_the_job(q):
    job_id = q.add()
    for _ in range(POLICY.max_attempts):
        assert q.queue.claim("w", KINDS) is not None
        q.clock.now += 1000
        q.queue.claim("other", KINDS)
        q.clock.now += 1000
    assert (q.row(job_id).state, q.row(job_id).error_kind) == ("failed", "worker-lost")


def test_what_follows_from_an_end_is_written_with_it_or_not_at_all(q):
    job_id = q.add()
    job = q.queue.claim("w", KINDS)

    def effects(connection):
        connection.execute(insert(audit).values(at=1, actor="a", action="x", outcome="done"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        q.queue.succeed(job, effects)
    with q.database.read() as connection:
        assert connection.execute(select(audit)).all() == []
    assert q.row(job_id).state == "running"


def test_a_released_job_counts_no_attempt(q):
    job_id = q.add()
    q.queue.release(q.queue.claim("w", KINDS))
    assert (q.row(job_id).state, q.row(job_id).attempt) == ("queued", 0)


def test_only_what_failed_or_was_refused_can_be_tried_again(q):
    job_id = q.add()
    with pytest.raises(Conflict, match="a job that is queued cannot retry"):
        q.queue.retry(job_id)
    q.queue.refuse(q.queue.claim("w", KINDS), Failure("NoImages", "nothing"))
    q.queue.retry(job_id)
    assert q.queue.claim("w", KINDS).id == job_id
    with pytest.raises(NotFound, match="no job 99"):
        q.queue.retry(99)
