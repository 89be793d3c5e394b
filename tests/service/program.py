"""`cspine serve` as a program of its own, asked over HTTP."""

import json
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cspine.service import Role, open_accounts, read_config
from tests.stores.orthanc import end

CSPINE = (sys.executable, "-c", "from cspine.cli.main import main; main()")
USER = "demo"
PATIENCE_S, STEP_S = 3600.0, 0.5


@dataclass(frozen=True)
class Program:
    """A service that runs.

    Attributes
    ----------
    log
        File of what it says; ``None``: the terminal.
    tls
        For asking it where it speaks TLS.
    """

    process: subprocess.Popen[bytes]
    page: str
    password: str
    key: str = field(repr=False)
    log: Path | None = None
    tls: ssl.SSLContext | None = None

    def studies(self) -> list[dict[str, Any]]:
        """Return the worklist."""
        request = urllib.request.Request(f"{self.page}/api/studies", headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=60, context=self.tls) as answer:
            found: list[dict[str, Any]] = json.load(answer)["studies"]
        return found

    def pids(self) -> dict[str, int]:
        """Return the processes by what they do; needs a log."""
        assert self.log is not None
        said = re.findall(r"(worker|receiver|sender) is process (\d+)", self.log.read_text())
        return {"web": self.process.pid} | {name: int(pid) for name, pid in said}

    def check_alive(self) -> None:
        """Raise `SystemExit` when it has ended."""
        if self.process.poll() is not None:
            told = "" if self.log is None else self.log.read_text()[-2000:]
            raise SystemExit(f"the service ended with code {self.process.returncode} {told}")


@contextmanager
def serving(folder: Path, settings: Mapping[str, object], password: str, log: Path | None = None) -> Iterator[Program]:
    """Run the service with settings, and an account `USER`, in a folder, while the block runs."""
    lines = {"data_dir": "data"} | dict(settings)
    (folder / "cspine.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()))
    config = read_config(folder / "cspine.toml")
    accounts = open_accounts(config)
    accounts.add(USER, Role.ADMIN, password)
    key = accounts.add_key("program", Role.VIEWER, 1)
    with process([*CSPINE, "serve", "--config", folder / "cspine.toml"], log) as started:
        tls = None if config.tls_certificate is None else ssl.create_default_context(cafile=config.tls_certificate)
        page = f"{'http' if tls is None else 'https'}://127.0.0.1:{config.port}"
        made = Program(started, page, password, key, log, tls)
        wait_for(lambda: answers(f"{page}/api/health", tls), made.check_alive)
        yield made


@contextmanager
def process(command: Sequence[object], log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own, so that Ctrl-C does not reach it, and end it after the block."""
    out = None if log is None else open(log, "wb")  # noqa: SIM115 - closed below
    started = subprocess.Popen([str(word) for word in command], start_new_session=True, stdout=out, stderr=out)
    try:
        yield started
    finally:
        end(started)
        if out is not None:
            out.close()


def free_port(wanted: int = 0) -> int:
    """Return the wanted port of the loopback, or any when it is taken."""
    for port in (wanted, 0):
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(tried.getsockname()[1])
    raise SystemExit("no port is free")


def answers(url: str, tls: ssl.SSLContext | None = None) -> bool:
    """Whether something answers there."""
    try:
        with urllib.request.urlopen(url, timeout=5, context=tls):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def wait_for(what: Callable[[], bool], alive: Callable[[], None] = lambda: None) -> None:
    """Wait until something is so, while `alive` raises nothing."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        alive()
        if time.monotonic() > deadline:
            raise SystemExit(f"it did not happen within {PATIENCE_S:g} s")
        time.sleep(STEP_S)
