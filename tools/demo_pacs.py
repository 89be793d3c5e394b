"""Show the service beside a real archive: studies go to Orthanc, which passes them on; results come back into it.

::

    python -m tools.demo_pacs [--once] [--pictures DIR] [--bundle DIR] [--keep DIR]

Needs Linux, and from Debian: orthanc-dicomweb, dcmtk, iproute2, util-linux; root is not needed.

Orthanc 1.10 ignores the address that it is told to bind, and would listen to the whole network. So it gets a network of
its own that has only a loopback, and a bridge of two relays joined by sockets in a folder: one inside, one outside that
listens on 127.0.0.1. The same bridge the other way lets Orthanc reach the service's receiver::

    storescu ─ 127.0.0.1:4242 ─ relay ═ socket ═ relay ─ Orthanc ─ relay ═ socket ═ relay ─ 127.0.0.1:11112 service
    browser ── 127.0.0.1:8042 ─ relay ═ socket ═ relay ─ Orthanc
"""

import argparse
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from cspine.dicom import StudyHeader, write_ct_series
from cspine.domain import Box, StoreError, Volume
from cspine.phantom import make_case
from cspine.stores import Access, DicomWebStore
from cspine.workflow import demo_spec
from tests.service.program import STEP_S, USER, Program, free_port, process, serving, wait_for
from tests.stores.orthanc import LOG, PLUGIN, isolated_orthanc, isolation_objection

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = {"Orthanc": "orthanc-dicomweb", "storescu": "dcmtk", "unshare": "util-linux", "ip": "iproute2"}
RELAY = (sys.executable, ROOT / "tools" / "relay.py")
STARTING_S = 120.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ROOT_UID = "1.2.826.0.1.3680043.10.77.9"
RESULTS = {"SEG", "SR", "OT", "PR", "DOC"}
# Only what a scanner made is passed on: results that come back stay.
PASS_ON = """function OnStableSeries(series, tags, metadata)
  if tags['Modality'] == 'CT' then
    RestApiPost('/modalities/cspine/store', series)
  end
end
"""


@dataclass(frozen=True)
class Ports:
    """Where this machine's loopback is listened on."""

    archive_web: int
    archive_dimse: int
    service: int
    receiver: int


@dataclass(frozen=True)
class Site:
    """What runs."""

    ports: Ports
    service: Program
    archive: DicomWebStore

    @property
    def archive_page(self) -> str:
        return f"http://127.0.0.1:{self.ports.archive_web}/app/explorer.html"


def main() -> int:
    options = _options()
    absent = [f"{name} (Debian: {package})" for name, package in PROGRAMS.items() if _program(name) is None]
    if absent or not PLUGIN.exists():
        raise SystemExit(f"not installed: {', '.join(absent) or f'{PLUGIN} (Debian: orthanc-dicomweb)'}")
    objection = isolation_objection()
    if objection is not None:
        raise SystemExit(
            f"this user may not give Orthanc a network of its own ({objection}); allow user namespaces (sysctl "
            "kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0), or run it as root"
        )
    end_by_signal()
    try:
        with _folder(options.keep) as folder, running(folder, options.bundle) as site:
            rows = send_and_wait(site, folder / "scans")
            good = report(site, rows)
            if options.pictures is not None:
                take_pictures(site, rows, options.pictures)
            if not options.once:
                print("Ctrl-C ends everything.", flush=True)
                while True:
                    site.service.check_alive()
                    time.sleep(STEP_S)
    except KeyboardInterrupt:
        print("ended", flush=True)
        return 0
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="end when the results are there; 1 if they are not right")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="take pictures of worklist, viewer and archive")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="another model bundle")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work here, and leave everything there")
    return parser.parse_args()


def end_by_signal() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end what was started: they raise `KeyboardInterrupt`, once."""
    for number in ENDING:
        signal.signal(number, _interrupt)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """End, once: a second Ctrl-C must not keep what was started from being ended."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    print("\nending", flush=True)
    raise KeyboardInterrupt


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="cspine-demo-") as folder:
        yield Path(folder)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


@contextmanager
def running(folder: Path, bundle: Path | None) -> Iterator[Site]:
    """Run Orthanc, the bridge and the service while the block runs."""
    ports = Ports(*(free_port(wanted) for wanted in (8042, 4242, 8600, 11112)))
    with archive(folder, ports) as (store, password):
        print(f"Orthanc is up: {ports.archive_web} (web), {ports.archive_dimse} (DICOM), this machine only", flush=True)
        access = folder / "access.toml"
        access.write_text(f'user = "{USER}"\npassword = "{password}"\n')
        access.chmod(0o600)
        settings = {
            "port": ports.service,
            "receive_port": ports.receiver,
            "receive_quiet_s": 4.0,
            "send_to": f"dicomweb://127.0.0.1:{ports.archive_web}/dicom-web",
            "send_access": "access.toml",
        } | ({} if bundle is None else {"bundle": str(bundle.resolve())})
        with serving(folder, settings, password) as service:
            yield Site(ports, service, store)


@contextmanager
def archive(folder: Path, ports: Ports) -> Iterator[tuple[DicomWebStore, str]]:
    """Yield the archive and the password of `USER` in it."""
    password = secrets.token_urlsafe(12)
    (folder / "pass-on.lua").write_text(PASS_ON)
    web, dimse, receiver = (folder / name for name in ("web.sock", "dimse.sock", "receiver.sock"))
    settings = {
        "Name": "The archive of the demonstration",
        "HttpPort": 8042,
        "DicomPort": 4242,
        "RegisteredUsers": {USER: password},
        "DicomModalities": {"cspine": ["CSPINE", "127.0.0.1", 11112]},
        "LuaScripts": [str(folder / "pass-on.lua")],
        "StableAge": 3,
    }
    inside = [*RELAY, f"{web}=127.0.0.1:8042", f"{dimse}=127.0.0.1:4242", f"127.0.0.1:11112={receiver}"]
    outside = [
        *RELAY,
        f"127.0.0.1:{ports.archive_web}={web}",
        f"127.0.0.1:{ports.archive_dimse}={dimse}",
        f"{receiver}=127.0.0.1:{ports.receiver}",
    ]
    with isolated_orthanc(str(_program("Orthanc")), folder, settings, inside) as orthanc, process(outside):
        store = DicomWebStore(f"http://127.0.0.1:{ports.archive_web}/dicom-web", Access(user=USER, password=password))

        until = time.monotonic() + STARTING_S

        def still_there() -> None:
            if orthanc.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"Orthanc cannot be reached: {(folder / LOG).read_text()[-2000:]}")

        wait_for(lambda: _serves(store), still_there)
        yield store, password


def _serves(store: DicomWebStore) -> bool:
    try:
        store.echo()
    except StoreError:
        return False
    return True


def send_and_wait(site: Site, folder: Path) -> list[dict[str, Any]]:
    """Send phantoms to the archive as a scanner does; return the worklist once all is read and sent back."""
    print("making a phantom, and three studies of it", flush=True)
    names = write_scans(folder)
    call = [str(_program("storescu")), "--scan-directories", "--recurse", "-aec", "ORTHANC"]
    subprocess.run([*call, "127.0.0.1", str(site.ports.archive_dimse), folder], check=True)
    print(f"sent to Orthanc: {', '.join(names)}; waiting for the results", flush=True)
    wait_for(lambda: _is_over(site.service.studies(), len(names)), site.service.check_alive)
    return site.service.studies()


def write_scans(folder: Path) -> list[str]:
    """Write a whole neck, its upper part, and a scan without a neck; return the names of the patients."""
    volume = make_case(demo_spec(), 2).volume.canonical()
    depth, rows, columns = volume.grid.shape
    top = Box((0, 0, 0), (depth // 2, rows, columns))
    scans = {
        "Whole^Neck": volume,
        "Upper^Half": Volume(volume.grid.crop(top), volume.hu[top.slices]),
        "Water^Only": Volume(volume.grid, np.where(volume.hu > -300, 0, -1000).astype(volume.hu.dtype)),
    }
    for number, (name, scan) in enumerate(scans.items(), 1):
        header = StudyHeader(
            study_instance_uid=f"{ROOT_UID}.{number}",
            series_instance_uid=f"{ROOT_UID}.{number}.1",
            patient_name=name,
            patient_id=f"DEMO-{number}",
            study_date="20260105",
            study_description="CT cervical spine",
            is_phantom=True,
        )
        write_ct_series(scan, folder / f"{number}", header=header)
    return list(scans)


def _is_over(rows: list[dict[str, Any]], expected: int) -> bool:
    over = [row["state"] in ("refused", "failed") or _is_sent(row) for row in rows]
    return len(rows) == expected and all(over)


def _is_sent(row: dict[str, Any]) -> bool:
    return row["state"] == "done" and row["sending"] is not None and row["sending"]["state"] == "done"


def report(site: Site, rows: list[dict[str, Any]]) -> bool:
    """Say what became of the studies; return whether the archive holds every result, and none where none is due."""
    good = True
    for row in rows:
        there = {one.modality for one in site.archive.find_series(row["study_uid"])} - {"CT"}
        good &= there >= RESULTS if row["state"] == "done" else not there
        said = row["decision"] or f"{row['state']}: {row['error']}"
        print(f"{row['header']['patient_name']:<12} {said}; in the archive: {', '.join(sorted(there)) or 'no result'}")
    good &= [row["state"] for row in rows].count("done") == len(rows) - 1
    print(f"\nworklist and viewer: {site.service.page}    archive: {site.archive_page}")
    print(f"both: name {USER}, password {site.service.password}", flush=True)
    return good


def take_pictures(site: Site, rows: list[dict[str, Any]], folder: Path) -> None:
    """Take pictures of the worklist, of the whole neck in the viewer, and of the archive."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - needed only where pictures are wanted

    from tests.service.browser import PATIENCE_MS, launched, save_picture  # noqa: PLC0415 - as above

    folder.mkdir(parents=True, exist_ok=True)
    whole = next(row for row in rows if row["header"]["patient_name"] == "Whole^Neck")
    with sync_playwright() as playwright:
        browser = launched(playwright, str(shutil.which("chromium")))
        page = browser.new_page(viewport={"width": 1280, "height": 820}, base_url=site.service.page)
        page.set_default_timeout(PATIENCE_MS)
        page.goto("/login")
        page.fill("#name", USER)
        page.fill("#password", site.service.password)
        page.click("button[type=submit]")
        page.wait_for_selector("tr[data-state=done]")
        save_picture(page.screenshot(), folder / "worklist.png")
        page.goto(f"/studies/{whole['id']}")
        page.wait_for_selector("#stage[data-ready=yes]")
        page.wait_for_timeout(1500)
        save_picture(page.screenshot(), folder / "viewer-pacs.png")
        there = browser.new_page(
            viewport={"width": 1280, "height": 820},
            http_credentials={"username": USER, "password": site.service.password},
        )
        there.set_default_timeout(PATIENCE_MS)
        there.goto(f"{site.archive_page}#find-studies", wait_until="networkidle")
        save_picture(there.screenshot(), folder / "archive.png")
        browser.close()


if __name__ == "__main__":
    raise SystemExit(main())
