"""Orthanc, a real archive, in a network of its own that has nothing but a loopback.

Orthanc ignores the address that it is told to bind. So it is started within `unshare --net`, and the thread that talks
to it enters that network for as long: nothing ever listens on a network of this machine. `tools.demo_pacs` builds a
bridge to this machine's loopback instead.
"""

import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

WEB_PORT, DIMSE_PORT, MOVE_PORT = 8042, 4242, 11119
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "reader", "a secret"
LOG = "orthanc.log"
_STARTING_S, _ENDING_S = 120, 30
_NEW_NET = 0x40000000
_COMMON: dict[str, object] = {
    "DicomAet": "ORTHANC",
    "DicomCheckCalledAet": True,
    "StrictAetComparison": True,
    "AuthenticationEnabled": True,
    "Plugins": [str(PLUGIN)],
    "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    "StorageAccessOnFind": "Never",
    "SyncStorageArea": False,
    "HttpThreadsCount": 4,
}


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc.

    Attributes
    ----------
    web, dimse, move
        Its addresses within its network: DICOMweb, DIMSE by C-GET, DIMSE by C-MOVE.
    """

    pid: int
    log: Path
    web: str = f"dicomweb://127.0.0.1:{WEB_PORT}/dicom-web"
    dimse: str = f"dimse://CSPINE@127.0.0.1:{DIMSE_PORT}/ORTHANC"
    move: str = f"dimse://CSPINE@127.0.0.1:{DIMSE_PORT}/ORTHANC?move=127.0.0.1:{MOVE_PORT}"

    @contextmanager
    def network(self) -> Iterator[None]:
        """Let this thread, and the threads and programs that it starts, live in the network of Orthanc."""
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self.pid}/ns/net") as theirs:
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(ours.fileno())


def can_make_networks() -> bool:
    """Whether this process may give a program a network of its own."""
    return sys.platform == "linux" and os.geteuid() == 0


@contextmanager
def running_orthanc(program: str, folder: Path, **settings: object) -> Iterator[Orthanc]:
    """Run Orthanc on an empty store, with DICOMweb, while the block runs."""
    configuration = {
        "Name": "cspine tests",
        "HttpPort": WEB_PORT,
        "DicomPort": DIMSE_PORT,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomModalities": {"cspine": ["CSPINE", "127.0.0.1", MOVE_PORT]},
    } | settings
    with isolated_orthanc(program, folder, configuration) as process:
        made = Orthanc(process.pid, folder / LOG)
        _wait(made, process)
        yield made


@contextmanager
def isolated_orthanc(
    program: str, folder: Path, settings: Mapping[str, object], beside: Sequence[object] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Start Orthanc on a store in `folder`, in a network of its own, and end it after the block.

    Parameters
    ----------
    beside
        A command that runs in the same network.
    """
    store = {"StorageDirectory": str(folder / "store"), "IndexDirectory": str(folder / "store")}
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps({**_COMMON, **store, **settings}))
    first = f"{shlex.join(str(word) for word in beside)} & " if beside else ""
    run = f"ip link set lo up && {{ {first}exec {shlex.join([program, str(configuration)])}; }}"
    with open(folder / LOG, "wb") as out:
        process = subprocess.Popen([*_apart(), "sh", "-c", run], stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        end(process)


def isolation_objection() -> str | None:
    """Return why this user may not give a program a network of its own, or ``None``."""
    tried = subprocess.run([*_apart(), "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() or "it gives no reason" if tried.returncode else None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that leads a session, and what it started there; ask first."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_ENDING_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _apart() -> list[str]:
    """Return what gives a program a network of its own; who is not root gets it within a user namespace."""
    return ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--net"]


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _NEW_NET):
        raise OSError(ctypes.get_errno(), "setns")


def _wait(made: Orthanc, process: subprocess.Popen) -> None:
    until = time.monotonic() + _STARTING_S
    while time.monotonic() < until and process.poll() is None:
        if _own_network(made.pid):
            with made.network():
                if all(_listens(port) for port in (WEB_PORT, DIMSE_PORT)):
                    return
        time.sleep(0.05)
    raise AssertionError(f"Orthanc did not start: {made.log.read_text()[-2000:]}")


def _own_network(pid: int) -> bool:
    return os.stat(f"/proc/{pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
