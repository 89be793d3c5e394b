"""PostgreSQL, a real server, on this machine's loopback and a socket, in a folder that goes with it."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from cspine.stores import TlsFiles
from tests.service.program import free_port

DEBIAN = Path("/usr/lib/postgresql")
OWNER, ROLE = "postgres", "cspine"
# What is lost when the machine goes down is lost with the folder anyhow.
_QUICK = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB")
_STARTING_S, _ENDING_S = 60.0, 30.0


@dataclass
class Postgres:
    """A running server.

    Attributes
    ----------
    folder
        Of its socket.
    password
        Of `ROLE`, who may do everything, where it is asked over the network; over the socket it is not.
    """

    folder: Path
    port: int
    password: str = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=count)

    def new_database(self) -> str:
        """Return the URL of an empty database, over the socket."""
        name = f"d{next(self._numbers)}"
        self.say(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        """Return the URL of a database, over the socket."""
        return f"postgresql://{ROLE}@/{name}?unix_sock={self.folder}/.s.PGSQL.{self.port}"

    def network_url(self, name: str, password: str | None = None) -> str:
        """Return the URL of a database, over the loopback."""
        return f"postgresql://{ROLE}:{self.password if password is None else password}@localhost:{self.port}/{name}"

    def say(self, words: str) -> list[Any]:
        """Execute a statement as its administrator; return the rows."""
        engine = create_engine(self.url("postgres").replace("://", "+pg8000://"), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                done = connection.execute(text(words))
                return list(done) if done.returns_rows else []
        finally:
            engine.dispose()


def postgres_programs() -> Path | None:
    """Return the folder of the server's programs; Debian keeps them out of the search path."""
    found = shutil.which("postgres")
    newest = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    return Path(found).parent if found else newest[-1].parent if newest else None


@contextmanager
def running_postgres(programs: Path, tls: TlsFiles) -> Iterator[Postgres]:
    """Run a server while the block runs. It must not be root: root runs it as Debian's user `OWNER`.

    Parameters
    ----------
    tls
        Its certificate.
    """
    with tempfile.TemporaryDirectory(prefix="cspine-pg-") as name:  # short: so must be the path of a socket
        folder, password = Path(name), secrets.token_urlsafe(12)
        who: dict[str, Any] = {"user": OWNER, "group": OWNER, "extra_groups": []} if os.geteuid() == 0 else {}
        (folder / "password").write_text(password)
        for source, target in ((tls.cert_file, "cert.pem"), (tls.key_file, "key.pem")):
            shutil.copy(str(source), folder / target)
        for path in (folder, *folder.iterdir()):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if who:
                shutil.chown(path, OWNER, OWNER)
        made = Postgres(folder, free_port(), password)
        _initialize(programs, folder, who)
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen(_command(programs, made), stdout=log, stderr=log, cwd=folder, **who)
        try:
            _wait(made, server)
            yield made
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            server.wait(_ENDING_S)


def _initialize(programs: Path, folder: Path, who: dict[str, Any]) -> None:
    how = ["--username", ROLE, "--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", folder / "password"]
    call = [programs / "initdb", "--pgdata", folder / "data", "--encoding", "UTF8", "--locale", "C", "--no-sync", *how]
    subprocess.run(call, check=True, capture_output=True, cwd=folder, **who)


def _command(programs: Path, made: Postgres) -> list[object]:
    secured = [
        "-c",
        "ssl=on",
        "-c",
        f"ssl_cert_file={made.folder}/cert.pem",
        "-c",
        f"ssl_key_file={made.folder}/key.pem",
    ]
    where = ["-k", made.folder, "-p", str(made.port), "-c", "listen_addresses=localhost"]
    return [programs / "postgres", "-D", made.folder / "data", *where, *secured, *_QUICK]


def _wait(made: Postgres, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _STARTING_S
    while time.monotonic() < until and server.poll() is None:
        try:
            made.say("SELECT 1")
        except DBAPIError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"PostgreSQL did not start: {(made.folder / 'log').read_text()[-2000:]}")
