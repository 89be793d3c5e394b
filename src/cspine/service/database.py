"""One door to the database: transactions for reading and for writing, and its errors in our words.

A write transaction of SQLite takes its lock at the beginning (``BEGIN IMMEDIATE``): it waits there and never has to be
given up half-way. Every commit is on the disk before it returns (WAL, ``synchronous=FULL``).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from cspine.domain import ConfigError, Rejected, StoreError, Unreachable
from cspine.service.tables import SCHEMA_VERSION, metadata, versions

BUSY_S = 30.0
_FULL = ("disk is full", "disk full", "no space left", "disk i/o error")

Clock = Callable[[], float]


class Database:
    """An opened database.

    Parameters
    ----------
    url
        As SQLAlchemy writes it, such as ``sqlite:///path`` or ``postgresql+psycopg://user:password@host/name``.

    Raises
    ------
    ConfigError
        The URL is impossible, its driver is absent, or the tables are of another version.
    StoreError
        The database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._prepare()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with _translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that writes; it is durable when the context ends, or nothing of it is."""
        with (
            _translated(),
            self._engine.connect().execution_options(cspine_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    def _prepare(self) -> None:
        with self.write() as connection:
            metadata.create_all(connection)
            there = connection.execute(select(versions.c.version)).scalars().all()
            if not there:
                connection.execute(versions.insert().values(version=SCHEMA_VERSION))
            elif max(there) != SCHEMA_VERSION:
                raise ConfigError(
                    f"the database has tables of version {max(there)}, this program writes {SCHEMA_VERSION}; "
                    "use the program that made it, or another data_dir"
                )


def _engine(url: str) -> Engine:
    try:
        made = make_url(url)
        if made.get_backend_name() == "sqlite":
            return _sqlite(made.database or ":memory:", url)
        return create_engine(url, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError(f"database_url cannot be used: {error}") from error


def _sqlite(path: str, url: str) -> Engine:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unreachable(f"{Path(path).parent}: cannot be made: {error.strerror or error}") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("cspine_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # its meaning is known where it was risked
    except DBAPIError as error:
        raise _store_error(error) from error


def _store_error(error: DBAPIError) -> StoreError:
    said = str(error.orig).lower()
    if any(words in said for words in _FULL):
        return Rejected("database: no space left on the disk; nothing was written", status="ENOSPC")
    return Unreachable(f"database: {error.orig}")
