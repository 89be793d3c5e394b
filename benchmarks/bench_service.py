"""Send studies to the service as scanners do, and say how long results took, and how much memory the processes held.

Run as ``python -m benchmarks.bench_service [--studies 50] [--associations 4] [--kinds json] [--bundle DIR]``.
It starts `cspine serve` with its receiver, sends small PHANTOM studies of coded blocks by `storescu`, and counts
results and announcements. Without ``--bundle`` a tiny generated bundle reads them: the time is that of the service, not
of the networks.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.models.coded import coded_fracture_bundle
from tests.service.builders import PASSWORD, write_neck
from tests.service.program import Program, free_port, serving, wait_for

QUIET_S = 5.0


@dataclass(frozen=True)
class Measured:
    """What was seen.

    Attributes
    ----------
    waits_s
        From the last slice to the result, sorted; the quiet time is in it.
    told
        Announcements for each study.
    peak_mib, cpu_s
        Of each process.
    """

    studies: int
    states: Counter[str]
    attempts: Counter[int]
    waits_s: list[float]
    told: Counter[str]
    peak_mib: dict[str, float]
    cpu_s: dict[str, float]

    def __str__(self) -> str:
        """Return a table."""
        twice = sum(number > 1 for number in self.told.values())
        lines = [
            f"studies {self.studies}: {dict(self.states)}, announced {len(self.told)}, twice {twice}, "
            f"attempts {dict(self.attempts)}",
            f"last slice to result, the quiet time of {QUIET_S:g} s within: median {self._at(0.5):.1f} s, "
            f"p95 {self._at(0.95):.1f} s, longest {self.waits_s[-1]:.1f} s",
        ]
        lines += [f"{name}: peak {mib:.0f} MiB, {self.cpu_s[name]:.0f} CPU-s" for name, mib in self.peak_mib.items()]
        return "\n".join(lines)

    def _at(self, share: float) -> float:
        return self.waits_s[min(len(self.waits_s) - 1, int(share * len(self.waits_s)))]


def measure(folder: Path, studies: int, associations: int, changes: dict[str, object]) -> Measured:
    """Send studies over some associations, wait for all results, and return what was seen.

    Parameters
    ----------
    changes
        Settings of the service.
    """
    program = shutil.which("storescu")
    if program is None:
        raise SystemExit("storescu is not installed (Debian: dcmtk)")
    for number in range(studies):
        write_neck(folder / "sent" / f"{number % associations}" / f"{number}", number)
    port = free_port()
    with _webhook() as (address, told):
        settings = {
            "port": free_port(),
            "receive_port": port,
            "receive_quiet_s": QUIET_S,
            "webhook_url": address,
        } | changes
        with serving(folder, settings, PASSWORD, folder / "service.log") as service:
            wait_for(lambda: _send(program, port, None))

            def send(part: int) -> bool:
                return _send(program, port, folder / "sent" / f"{part}")

            with ThreadPoolExecutor(associations) as pool:
                if not all(pool.map(send, range(associations))):
                    raise SystemExit("storescu failed")
            wait_for(lambda: _ended(service) == studies and len(told) == studies, service.check_alive)
            return _measured(service, studies, told)


def _send(program: str, port: int, folder: Path | None) -> bool:
    """Send a folder over one association; without one ask only whether somebody listens."""
    call = [program.replace("storescu", "echoscu"), "-aec", "CSPINE"] if folder is None else [
        program, "--scan-directories", "--recurse", "-aec", "CSPINE",
    ]  # fmt: skip
    where = ["127.0.0.1", str(port), *([] if folder is None else [str(folder)])]
    return subprocess.run([*call, *where], check=False, capture_output=True).returncode == 0


def _ended(service: Program) -> int:
    return sum(row["state"] in ("done", "refused", "failed") for row in service.studies())


def _measured(service: Program, studies: int, told: Counter[str]) -> Measured:
    rows: list[dict[str, Any]] = service.studies()
    pids = service.pids()
    return Measured(
        studies,
        Counter(row["state"] for row in rows),
        Counter(row["attempt"] for row in rows),
        sorted(row["resulted_at"] - row["received_at"] for row in rows if row["resulted_at"]),
        told,
        {name: _peak_mib(pid) for name, pid in pids.items()},
        {name: _cpu_s(pid) for name, pid in pids.items()},
    )


def _peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(words[k]) for k in (11, 12, 13, 14)) / 100  # itself and its children, user and system


@contextmanager
def _webhook() -> Iterator[tuple[str, Counter[str]]]:
    """Listen for announcements while the block runs; yield the address and how many came for each study."""
    told: Counter[str] = Counter()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told[said["study"]] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--associations", type=int, default=4)
    parser.add_argument("--kinds", default="json,html,pdf,dicom", help="documents of each study")
    parser.add_argument("--bundle", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the service is ended, too
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = options.bundle or coded_fracture_bundle(folder / "bundle").folder
        changes: dict[str, object] = {"bundle": str(bundle), "kinds": options.kinds.split(",")}
        measured = measure(folder, options.studies, options.associations, changes)
        sys.stdout.write(f"{measured}\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")


if __name__ == "__main__":
    main()
