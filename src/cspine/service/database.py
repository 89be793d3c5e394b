"""One door to the database: transactions for reading and for writing, and its errors in our words.

A write transaction of SQLite takes its lock at the beginning (``BEGIN IMMEDIATE``): it waits there and never has to be
given up half-way. Every commit is on the disk before it returns (WAL, ``synchronous=FULL``). Transactions of PostgreSQL
go on side by side: what must not is kept apart by `reserve`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from cspine.domain import ConfigError, Rejected, StoreError, Unreachable
from cspine.service.config import LOCAL_HOSTS, ServiceConfig
from cspine.service.tables import SCHEMA_VERSION, metadata, versions
from cspine.stores import TlsFiles

BUSY_S = 30.0
SQLITE, POSTGRESQL = "sqlite", "postgresql"
_DRIVER = "postgresql+pg8000"
_FULL = ("disk is full", "disk full", "no space left", "disk i/o error")

Clock = Callable[[], float]


class Database:
    """An opened database.

    Parameters
    ----------
    url
        ``sqlite:///path``, ``postgresql://user:password@host/name``, or ``postgresql://user@/name?unix_sock=path``.
    ca_file
        Authority of a PostgreSQL's certificate; ``None``: those of the system. Over a network it is asked by TLS, on
        this machine only where a file is given.

    Raises
    ------
    ConfigError
        The URL is impossible, its driver is absent, or the tables are of another version.
    StoreError
        The database cannot be opened.
    """

    def __init__(self, url: str, ca_file: Path | None = None) -> None:
        self._engine = _engine(url, ca_file)
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
            reserve(connection, "tables")
            metadata.create_all(connection)
            there = connection.execute(select(versions.c.version)).scalars().all()
            if not there:
                connection.execute(versions.insert().values(version=SCHEMA_VERSION))
            elif max(there) != SCHEMA_VERSION:
                raise ConfigError(
                    f"the database has tables of version {max(there)}, this program writes {SCHEMA_VERSION}; "
                    "use the program that made it, or another data_dir"
                )


def open_database(config: ServiceConfig) -> Database:
    """Open the database of a service; raises as `Database`."""
    return Database(config.url, config.database_ca)


def is_full(error: Exception) -> bool:
    """Whether an error says that a disk has no room: it passes when somebody makes some."""
    return isinstance(error, Rejected) and error.status in ("ENOSPC", "EDQUOT", "EFBIG")


def reserve(connection: Connection, name: str) -> None:
    """Wait until no other transaction has reserved a name; it is free again when this transaction ends.

    Of SQLite only one transaction writes at a time anyhow.
    """
    if connection.dialect.name == POSTGRESQL:
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def _engine(url: str, ca_file: Path | None) -> Engine:
    try:
        made = make_url(url)
        kind = made.get_backend_name()
        if kind == SQLITE:
            return _sqlite(made.database or ":memory:", url)
        if kind == POSTGRESQL:
            return _postgresql(made, ca_file)
    except ArgumentError as error:
        raise ConfigError(f"database_url cannot be used: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigError(f"PostgreSQL needs {error.name}: pip install 'cspine[serve,postgres]'") from error
    raise ConfigError(f"database_url is {made.render_as_string()}: neither sqlite:///PATH nor postgresql://…")


def _postgresql(url: URL, ca_file: Path | None) -> Engine:
    near = not url.host or url.host in LOCAL_HOSTS
    secured = TlsFiles(ca_file=ca_file).client_context() if ca_file or not near else False
    return create_engine(
        url.set(drivername=_DRIVER),
        connect_args={"ssl_context": secured, "timeout": BUSY_S},
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
    )


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
    except DBAPIError as error:
        raise _store_error(error) from error


def _store_error(error: DBAPIError) -> StoreError:
    said = _said(error.orig)
    if any(words in said.lower() for words in _FULL):
        return Rejected("database: no space left on the disk; nothing was written", status="ENOSPC")
    return Unreachable(f"database: {said}")


def _said(error: BaseException | None) -> str:
    """Return the sentence of an error; PostgreSQL's come as fields, of which M is the message."""
    first = error.args[0] if error is not None and error.args else error
    return str(first["M"] if isinstance(first, dict) else error)
