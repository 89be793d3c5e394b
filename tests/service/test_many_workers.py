"""Several workers take from one database, SQLite or PostgreSQL: nothing is lost, done twice, or in a wrong order."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from sqlalchemy import select

from cspine.dicom import StudyHeader
from cspine.domain import ConfigError, Unreachable, Vertebra
from cspine.service import Announced, Parts, Worker, analysis, open_parts
from cspine.service.database import Database
from cspine.service.outbox import WEBHOOK
from cspine.service.spool import SORT
from cspine.service.studies import ANALYZE, NewStudy
from cspine.service.tables import studies, uploads
from tests.service.builders import BUNDLE, ROOT_UID, Place, Teller, make_place, write_neck
from tests.service.killing import kill_workers

T = TypeVar("T")
WORKERS = 4


@pytest.fixture
def shared(tmp_path, database_url) -> Iterator[Place]:
    made = make_place(tmp_path, database_url=database_url, webhook_url="http://127.0.0.1:9/")
    yield made
    made.parts.database.close()


@pytest.fixture
def others(shared) -> Iterator[list[Parts]]:
    """Yield the parts of other processes that share the place's database."""
    made = [open_parts(shared.config, BUNDLE, shared.clock) for _ in range(WORKERS)]
    yield made
    for parts in made:
        parts.database.close()


def _at_once(*what: Callable[[], T]) -> list[T]:
    """Do several things in threads that begin together; return what they gave."""
    ready = threading.Barrier(len(what))

    def one(do: Callable[[], T]) -> T:
        ready.wait()
        return do()

    with ThreadPoolExecutor(len(what)) as pool:
        return list(pool.map(one, what))


def test_each_job_is_given_out_once(shared, others):
    with shared.parts.database.write() as connection:
        wanted = {shared.parts.queue.add(connection, ANALYZE, f"s{number}") for number in range(40)}

    def take(parts) -> list[int]:
        taken = []
        while (job := parts.queue.claim(f"w{id(parts)}", (ANALYZE,))) is not None:
            parts.queue.succeed(job, lambda connection: None)
            taken.append(job.id)
        return taken

    given = _at_once(*(lambda p=parts: take(p) for parts in others))
    assert sorted(job for one in given for job in one) == sorted(wanted)


def test_a_lost_job_is_taken_up_by_one_worker_and_none_stumbles_over_the_others(shared, others):
    with shared.parts.database.write() as connection:
        shared.parts.queue.add(connection, ANALYZE, "s")
    assert shared.parts.queue.claim("dead", (ANALYZE,)) is not None
    shared.clock.now += 1000
    _at_once(*(lambda p=parts: p.queue.claim("w", (ANALYZE,)) for parts in others))
    shared.clock.now += 1000
    got = _at_once(*(lambda p=parts: p.queue.claim("w", (ANALYZE,)) for parts in others))
    assert [job.attempt for job in got if job is not None] == [2]


def test_the_same_study_by_several_uploads_at_once_is_one_job(shared, others):
    new = NewStudy("c" * 32, f"{ROOT_UID}.1", "u", StudyHeader(), 1)
    fresh = _at_once(*(lambda p=parts: p.book.add(new, BUNDLE) for parts in others))
    assert sorted(fresh) == [False] * (WORKERS - 1) + [True]
    assert shared.parts.queue.counts() == {(ANALYZE, "queued"): 1}


def test_an_upload_that_is_finished_twice_at_once_is_sorted_once(shared, others):
    place = shared
    (place.config.data_dir / "in").mkdir()
    (place.config.data_dir / "in" / "a").write_bytes(b"x")
    upload = place.parts.spool.take_folder(place.config.data_dir / "in", "test")
    with place.parts.database.write() as connection:
        connection.execute(uploads.update().values(finished_at=None))
    _at_once(*(lambda p=parts: p.spool.finish(upload) for parts in others))
    assert place.parts.queue.counts() == {(SORT, "queued"): 1}


def test_versions_that_are_entered_at_once_leave_the_newest_on_top(shared, others):
    """Upload k + 1 came after upload k, whatever worker was faster."""
    for number in range(5):
        uid = f"{ROOT_UID}.{number}"
        with shared.parts.database.write() as connection:
            for version in range(WORKERS):
                values = {"id": f"u{number}{version}", "actor": "a", "files": 1, "total_bytes": 1, "created_at": 0}
                connection.execute(uploads.insert().values(**values, finished_at=100.0 + version))
        news = [NewStudy(f"{number}{v}".ljust(32, "a"), uid, f"u{number}{v}", StudyHeader(), 1) for v in range(WORKERS)]
        _at_once(*(lambda p=p, n=n: p.book.add(n, BUNDLE) for p, n in zip(others, reversed(news), strict=True)))
        with shared.parts.database.read() as connection:
            mine = studies.c.study_uid == uid
            rows = connection.execute(select(studies.c.id, studies.c.superseded_by).where(mine)).all()
        above = {row.id: row.superseded_by for row in rows}
        assert [one.id for one in news if above[one.id] is None] == [news[-1].id]
        ranks = {one.id: rank for rank, one in enumerate(news)}
        assert all(ranks[newer] > ranks[older] for older, newer in above.items() if newer is not None)


def test_a_slow_worker_that_sorts_the_older_slices_last_does_not_bring_them_back(shared, tmp_path):
    """The first half came first; its worker sorts it after another has sorted and analyzed the whole."""
    place = shared
    place.parts.spool.take_folder(write_neck(tmp_path / "half", slices=slice(0, 40)), "test")
    place.clock.now += 1
    quick = Worker(place.config, place.parts, analysis(place.config, place.parts, Teller), place.worker._watch)
    duties = dict(analysis(place.config, place.parts, Teller))
    sort = duties[SORT]

    def late(job, progress) -> None:
        place.parts.spool.take_folder(write_neck(tmp_path / "whole"), "test")
        while quick.run_once():
            pass
        sort(job, progress)

    slow = Worker(place.config, place.parts, duties | {SORT: late}, place.worker._watch)
    assert slow.run_once()
    (whole,) = place.parts.book.worklist()
    assert (whole["decision"], whole["state"]) == ("rule-out", "done")
    place.work()
    assert [row["id"] for row in place.parts.book.worklist()] == [whole["id"]]
    newest, older = place.parts.book.versions(f"{ROOT_UID}.1")
    assert (newest["id"], older["superseded_by"], older["state"]) == (whole["id"], whole["id"], "done")


def test_several_services_announce_a_result_once(shared, others, tmp_path):
    shared.teller.fractured = (Vertebra.C2,)
    shared.parts.spool.take_folder(write_neck(tmp_path / "in"), "test")
    shared.work()
    got: list[str] = []
    _at_once(*(lambda p=parts: p.outbox.deliver({WEBHOOK: lambda said: got.append(said["key"])}) for parts in others))
    assert len(got) == 1


def test_an_announcer_that_dies_while_it_sends_is_followed_by_another(shared, tmp_path):
    shared.parts.spool.take_folder(write_neck(tmp_path / "in"), "test")
    shared.work()

    def dies(said) -> None:
        raise SystemExit

    got: list[str] = []
    with pytest.raises(SystemExit):
        shared.parts.outbox.deliver({WEBHOOK: dies})
    assert shared.parts.outbox.deliver({WEBHOOK: lambda said: got.append(said["key"])}) == 0
    shared.clock.now += 61
    assert shared.parts.outbox.deliver({WEBHOOK: lambda said: got.append(said["key"])}) == 1


def test_what_is_long_fits_into_both_databases(shared):
    shared.parts.spool._check_room = lambda total_bytes: None
    name = shared.parts.spool.begin(Announced(1, 3 * 2**30), f"key:{'n' * 80}")
    assert shared.parts.spool.status(name)["total_bytes"] == 3 * 2**30


@pytest.mark.slow
def test_two_workers_on_postgresql_that_are_killed_lose_nothing_and_do_nothing_twice(tmp_path, postgres):
    counted = kill_workers(tmp_path, kills=4, studies=4, database_url=postgres.new_database())
    assert (counted.kills, counted.restarts >= 3) == (4, True)
    assert (counted.done, counted.told_twice, counted.broken, counted.strays) == (counted.studies, 0, 0, 0)


def test_over_a_network_postgresql_is_asked_by_tls_and_its_certificate_is_checked(postgres, certificate):
    name = postgres.new_database().partition("?")[0].rpartition("/")[2]
    database = Database(postgres.network_url(name), certificate.ca_file)
    with database.read() as connection:
        spoken = connection.exec_driver_sql("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").one()
    database.close()
    assert spoken == (True, "TLSv1.3")


def test_a_connection_that_postgresql_ends_loses_its_transaction_and_the_next_one_works(postgres):
    url = postgres.new_database()
    database = Database(url)
    name = url.partition("?")[0].rpartition("/")[2]

    def write() -> None:
        with database.write() as connection:
            connection.execute(studies.delete())
            postgres.say(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            connection.execute(studies.delete())

    with pytest.raises(Unreachable, match="database: "):
        write()
    with database.read() as connection:
        assert connection.execute(select(studies)).all() == []
    database.close()


def test_a_database_that_cannot_be_used_is_named_without_its_password(postgres, certificate, tmp_path):
    with pytest.raises(Unreachable, match=r"database: .*password authentication failed for user \"cspine\""):
        Database(postgres.network_url("postgres", "secret-word"), certificate.ca_file)
    with pytest.raises(Unreachable, match="database: ") as told:
        Database("postgresql://u:secret-word@127.0.0.1:9/d")
    assert "secret-word" not in str(told.value)
    with pytest.raises(ConfigError, match="mysql") as told:
        Database("mysql://u:secret-word@127.0.0.1/d")
    assert "secret-word" not in str(told.value)
