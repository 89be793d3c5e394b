"""Remove what processes that died have left behind, and uploads that nobody goes on with."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import select, update

from cspine.service.config import ServiceConfig
from cspine.service.parts import Parts
from cspine.service.states import JobState
from cspine.service.tables import jobs, uploads

FORGOTTEN_S = 24 * 3600.0
_OVER = (JobState.DONE.value, JobState.REFUSED.value)


def tidy(config: ServiceConfig, parts: Parts) -> int:
    """Remove leftovers; return how many folders went. What may still be worked on stays."""
    now = parts.clock()
    removed = [_remove(path) for path in _aged(config.studies_dir.glob(".part-*"), now)]
    known = parts.book.known()
    strays = (path for path in config.studies_dir.glob("[0-9a-f]*") if path.name not in known)
    removed += [_remove(path) for path in _aged(strays, now)]
    removed += [_remove(config.spool_dir / name) for name in _spent_uploads(parts, now)]
    return sum(removed)


def _spent_uploads(parts: Parts, now: float) -> list[str]:
    """Return uploads that are sorted or refused, and those that were never finished."""
    over = select(jobs.c.subject).where(jobs.c.kind == "sort", jobs.c.state.in_(_OVER))
    stale = uploads.c.finished_at.is_(None) & (uploads.c.created_at < now - FORGOTTEN_S)
    with parts.database.write() as connection:
        names = list(connection.execute(over).scalars())
        forgotten = list(connection.execute(select(uploads.c.id).where(stale)).scalars())
        connection.execute(update(uploads).where(uploads.c.id.in_(forgotten)).values(finished_at=now))
    return [*names, *forgotten]


def _aged(paths: Iterable[Path], now: float) -> list[Path]:
    return [path for path in paths if path.stat().st_mtime < now - FORGOTTEN_S]


def _remove(path: Path) -> int:
    there = path.is_dir()
    shutil.rmtree(path, ignore_errors=True)
    return int(there)
