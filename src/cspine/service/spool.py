"""Uploads: pieces of files that arrive, in any number of requests, under names of ours."""

import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from cspine.domain import Conflict, NotFound, Rejected, TooLarge, Unreachable
from cspine.service.config import ServiceConfig
from cspine.service.database import Clock, Database
from cspine.service.queue import JobQueue
from cspine.service.tables import jobs, uploads

SORT = "sort"
MIB = 2**20


@dataclass(frozen=True)
class Announced:
    """What an upload will be: how many files, and how many bytes together."""

    files: int
    total_bytes: int


class Spool:
    """The folder of uploads and their table."""

    def __init__(self, config: ServiceConfig, database: Database, queue: JobQueue, clock: Clock) -> None:
        self._config, self._database, self._queue, self._clock = config, database, queue, clock

    def begin(self, announced: Announced, actor: str) -> str:
        """Return the name of a new upload.

        Raises
        ------
        TooLarge
            Too many files or bytes.
        Rejected
            Not enough room on the disk.
        """
        limit = self._config.max_upload_mib * MIB
        if not 0 < announced.files <= self._config.max_files:
            raise TooLarge(f"{announced.files} files; an upload has 1 … {self._config.max_files}")
        if not 0 <= announced.total_bytes <= limit:
            raise TooLarge(f"{announced.total_bytes} bytes; an upload has at most {limit}")
        return self._begin(announced, actor)

    def open_file(self, upload_id: str, number: int, offset: int) -> tuple[int, int]:
        """Return a descriptor to append to a file of an upload, and how many bytes the upload may still grow.

        Raises
        ------
        NotFound, Conflict
            No such upload or file; the upload is finished, or `offset` is not where the file ends.
        """
        row = self._row(upload_id)
        if row["finished_at"] is not None:
            raise Conflict(f"upload {upload_id} is finished; nothing can be added")
        if not 0 <= number < row["files"]:
            raise NotFound(f"upload {upload_id} was announced with {row['files']} files; there is no number {number}")
        path = self._config.spool_dir / upload_id / f"{number:06d}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unreachable(f"upload {upload_id}: cannot be written: {error.strerror or error}") from error
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end != offset:
            os.close(descriptor)
            raise Conflict(f"file {number} of upload {upload_id} has {end} bytes; send the rest from there")
        return descriptor, row["total_bytes"] - sum(self.received(upload_id).values())

    def received(self, upload_id: str) -> dict[int, int]:
        """Return how many bytes of each file have come; an interrupted upload goes on from there."""
        folder = self._config.spool_dir / upload_id
        return {int(path.name[:6]): path.stat().st_size for path in sorted(folder.glob("[0-9]*")) if path.is_file()}

    def finish(self, upload_id: str, arrived_at: float | None = None) -> None:
        """Check that everything came, and queue the upload to be sorted into studies; a second time changes nothing.

        Parameters
        ----------
        arrived_at
            When its last byte came, if that was not now.

        Raises
        ------
        NotFound, Conflict
            No such upload, or bytes are missing.
        """
        row = self._row(upload_id)
        if row["finished_at"] is not None:
            return
        got = self.received(upload_id)
        if len(got) != row["files"] or sum(got.values()) != row["total_bytes"]:
            raise Conflict(
                f"upload {upload_id} is not complete: {len(got)} of {row['files']} files, "
                f"{sum(got.values())} of {row['total_bytes']} bytes have come"
            )
        finished = {"finished_at": self._clock() if arrived_at is None else arrived_at}
        with self._database.write() as connection:
            connection.execute(update(uploads).where(uploads.c.id == upload_id).values(**finished))
            self._queue.add(connection, SORT, upload_id)

    def take_folder(self, folder: Path, actor: str) -> str:
        """Take all files below a folder; see `take_files`."""
        return self.take_files([path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()], actor)

    def take_files(self, paths: Iterable[Path], actor: str, arrived_at: float | None = None) -> str:
        """Take files as one finished upload, for what arrives without HTTP.

        The files stay where they are, and must not change: where both are on one disk they are linked, else copied.
        What bounds uploads does not bound them: their receiver has bounds of its own. See `finish` for `arrived_at`.

        Raises
        ------
        Rejected, Unreachable
            Not enough room on the disk, or it cannot be written.
        """
        files = sorted(paths)
        upload_id = self._begin(Announced(len(files), sum(path.stat().st_size for path in files)), actor)
        for number, path in enumerate(files):
            _link_or_copy(path, self._config.spool_dir / upload_id / f"{number:06d}")
        self.finish(upload_id, arrived_at)
        return upload_id

    def status(self, upload_id: str) -> dict[str, Any]:
        """Return an upload and its job as plain values; raises `NotFound`."""
        row = self._row(upload_id)
        query = select(jobs).where(jobs.c.kind == SORT, jobs.c.subject == upload_id)
        with self._database.read() as connection:
            job = connection.execute(query).first()
        return {
            "id": upload_id,
            "files": row["files"],
            "total_bytes": row["total_bytes"],
            "received": self.received(upload_id),
            "created_at": row["created_at"],
            "state": "receiving" if job is None else job.state,
            "error": "" if job is None else job.error,
        }

    def open_or_refused(self) -> list[dict[str, Any]]:
        """Return the uploads that became no studies yet, or never will, the newest first."""
        query = (
            select(uploads.c.id, uploads.c.files, uploads.c.created_at, jobs.c.id.label("job_id"), jobs.c.state)
            .add_columns(jobs.c.error, uploads.c.actor)
            .join(jobs, (jobs.c.subject == uploads.c.id) & (jobs.c.kind == SORT))
            .where(jobs.c.state != "done")
            .order_by(uploads.c.created_at.desc())
            .limit(100)
        )
        with self._database.read() as connection:
            return [row._asdict() for row in connection.execute(query)]

    def discard(self, upload_id: str) -> None:
        """Remove the files of an upload."""
        shutil.rmtree(self._config.spool_dir / upload_id, ignore_errors=True)

    def _begin(self, announced: Announced, actor: str) -> str:
        self._check_room(announced.total_bytes)
        upload_id = secrets.token_hex(16)
        self._make(self._config.spool_dir / upload_id)
        values = {"id": upload_id, "actor": actor, "files": announced.files, "total_bytes": announced.total_bytes}
        with self._database.write() as connection:
            connection.execute(insert(uploads).values(**values, created_at=self._clock()))
        return upload_id

    def _check_room(self, total_bytes: int) -> None:
        self._make(self._config.spool_dir)
        free = shutil.disk_usage(self._config.spool_dir).free
        # The files are copied once into their studies, and results need room, too.
        needed = 2 * total_bytes + self._config.min_free_mib * MIB
        if needed > free:
            raise Rejected(f"the disk has {free} free bytes; this upload needs {needed}", status="ENOSPC")

    def _row(self, upload_id: str) -> Mapping[str, Any]:
        with self._database.read() as connection:
            row = connection.execute(select(uploads).where(uploads.c.id == upload_id)).first()
        if row is None:
            raise NotFound(f"there is no upload {upload_id!r}")
        return row._asdict()

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Unreachable(f"{folder}: cannot be made: {error.strerror or error}") from error


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        try:
            os.link(source, target)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, target)
    except OSError as error:
        raise Unreachable(f"{target}: cannot be written: {error.strerror or error}") from error
