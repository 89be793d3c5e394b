"""Try the OHIF viewer on the archive that holds our results: does it list the study, show the images, and the SEG?

::

    npm pack @ohif/app@3.12.10 && tar xzf ohif-app-3.12.10.tgz
    python -m tools.try_ohif package/dist [--pictures DIR] [--stay]

Needs what `tools.demo_pacs` needs, and Chromium. A phantom goes to Orthanc with the DICOM results that its truth gives,
a made-up suspected fracture among them. OHIF and Orthanc's DICOMweb are served from one address of this machine's
loopback, as a site's web server would do it; the settings are those of ``docs/how-to/pacs.md``.
"""

import argparse
import base64
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from cspine.dicom import StudyHeader, write_ct_series
from cspine.domain import Analysis, LabelMap, Vertebra, Volume
from cspine.phantom import make_case
from cspine.stores import DicomWebStore, FolderSink, open_source
from cspine.workflow import Order, demo_spec, dicom_results, run_case
from tests.service.browser import PATIENCE_MS, launched, save_picture
from tests.service.program import STEP_S, USER, free_port
from tools.demo_pacs import ROOT_UID, Ports, archive, end_by_signal
from tools.report_example import example_analysis, with_a_suspicion

STUDY = f"{ROOT_UID}.7"
SETTINGS = """window.config = {
  routerBasename: null,
  extensions: [],
  modes: [],
  showStudyList: true,
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'pacs',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'pacs',
      configuration: {
        friendlyName: 'PACS',
        name: 'pacs',
        qidoRoot: '/dicom-web',
        wadoRoot: '/dicom-web',
        wadoUriRoot: '/dicom-web',
        qidoSupportsIncludeField: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        omitQuotationForMultipartRequest: true,
        bulkDataURI: { enabled: true },
      },
    },
  ],
};
"""
SEGMENTATIONS = {"9901": "vertebrae", "9902": "fracture"}  # by number of the series
OTHERS = {"9903": "sr", "9904": "capture", "9906": "pdf"}
PASSED_ON = ("Accept", "Content-Type")


class Site(SimpleHTTPRequestHandler):
    """The viewer's files, its settings, and the archive behind ``/dicom-web``."""

    archive: str
    secret: str
    asked: list[tuple[str, int]]

    def do_GET(self) -> None:
        """Answer from the archive, with the settings, or with a file of the viewer."""
        if self.path.startswith("/dicom-web"):
            self._pass_on()
        elif self.path.startswith("/app-config.js"):
            self._answer(HTTPStatus.OK, "text/javascript", SETTINGS.encode())
        else:
            if not Path(self.translate_path(self.path)).is_file():
                self.path = "/index.html"  # the viewer's own addresses
            super().do_GET()

    def end_headers(self) -> None:
        """Let the viewer use memory that its workers share."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _pass_on(self) -> None:
        given = {name: self.headers[name] for name in PASSED_ON if self.headers[name]}
        request = urllib.request.Request(
            self.archive + self.path,
            headers=given | {"Authorization": f"Basic {self.secret}", "Host": self.headers["Host"]},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                status, kind, body = answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            status, kind, body = error.code, error.headers["Content-Type"], error.read()
        self.asked.append((self.path, status))
        self._answer(status, kind or "text/plain", body)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> int:
    options = _options()
    end_by_signal()
    ports = Ports(*(free_port(wanted) for wanted in (8042, 4242, 8600, 11112)))
    with tempfile.TemporaryDirectory(prefix="cspine-ohif-") as name, archive(Path(name), ports) as (store, password):
        fill(store, Path(name))
        with serving(options.dist, ports.archive_web, password) as (address, asked):
            print(f"OHIF: {address}", flush=True)
            look(address, options.pictures)
            for path, status in dict.fromkeys((shape_of(path), status) for path, status in asked):
                print(f"{status} {path}")
            while options.stay:
                time.sleep(STEP_S)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dist", type=Path, help="folder of the built viewer")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="keep pictures of the list and of the viewer")
    parser.add_argument("--stay", action="store_true", help="go on until Ctrl-C")
    return parser.parse_args()


class Knowing:
    """Says of a phantom what its truth is, and that a fracture is suspected in C5."""

    def __init__(self) -> None:
        self.case = make_case(demo_spec(), 2)

    def analyze(self, volume: Volume, progress: object) -> Analysis:
        """Return the truth with a made-up suspicion and its map."""
        told = with_a_suspicion(example_analysis(self.case), Vertebra.C5)
        box = told.findings.vertebrae[Vertebra.C5 - 1].locations[0].box_lps_mm
        stored = volume.grid.canonical_order().undo(told.labels.canonical().labels)
        labels = LabelMap(volume.grid, stored)  # a result lies on the voxels as they are stored
        points = labels.grid.to_world(np.moveaxis(np.indices(labels.grid.shape), 0, -1))
        inside = ((points >= box.min_lps_mm) & (points <= box.max_lps_mm)).all(axis=-1) & (labels.labels == Vertebra.C5)
        return Analysis(told.findings, labels, Volume(labels.grid, np.where(inside, 0.9, 0).astype(np.float32)), 0.5)


def fill(store: DicomWebStore, folder: Path) -> None:
    """Send a phantom study and its results to the archive."""
    knowing = Knowing()
    header = StudyHeader(
        study_instance_uid=STUDY,
        series_instance_uid=f"{STUDY}.1",
        patient_name="Phantom^Ohif",
        patient_id="DEMO-7",
        study_date="20260105",
        study_description="CT cervical spine",
        is_phantom=True,
    )
    write_ct_series(knowing.case.volume.canonical(), folder / "scan", header=header)
    with open_source(folder / "scan") as source:
        run_case(source.studies()[0].load, Order(knowing, ("json", "dicom")), FolderSink(folder / "results"))
    images = {path.name: path.read_bytes() for path in sorted((folder / "scan").rglob("*")) if path.is_file()}
    store.send_all(images)
    store.send_all(dicom_results(folder / "results"))


@contextmanager
def serving(dist: Path, archive_port: int, password: str) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Serve the viewer on the loopback while the block runs; yield its address and what it asks the archive."""
    secret = base64.b64encode(f"{USER}:{password}".encode()).decode()
    asked: list[tuple[str, int]] = []
    more = {"archive": f"http://127.0.0.1:{archive_port}", "secret": secret, "asked": asked}
    handler: Any = partial(type("ThisSite", (Site,), more), directory=str(dist))
    server = ThreadingHTTPServer(("127.0.0.1", free_port(8700)), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def shape_of(path: str) -> str:
    """Return an address with UIDs as ``*``."""
    where, _, what = path.partition("?")
    return "/".join("*" if part[:2] in ("1.", "2.") else part for part in where.split("/")) + (
        f"?{what}" if what else ""
    )


def look(address: str, pictures: Path | None) -> None:
    """Drive the viewer as a radiologist does: list, open, load the segmentation."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - needed only here

    with sync_playwright() as playwright:
        browser = launched(playwright, str(shutil.which("chromium")))
        page = browser.new_page(viewport={"width": 1400, "height": 900}, base_url=address)
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: print(f"error in the page: {error}", flush=True))

        def keep(name: str) -> None:
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                save_picture(page.screenshot(), pictures / name)

        page.goto("/")
        page.wait_for_selector("text=DEMO-7")
        keep("ohif-list.png")
        page.goto(f"/viewer?StudyInstanceUIDs={STUDY}")
        page.click("text=Skip all")
        page.wait_for_timeout(5_000)
        keep("ohif-viewer.png")
        for number, name in SEGMENTATIONS.items():
            page.locator(f"text=S:{number}").dblclick()
            page.click("text=Yes")
            page.wait_for_timeout(10_000)
            keep(f"ohif-{name}.png")
        for number, name in OTHERS.items():
            page.locator(f"text=S:{number}").dblclick()
            page.wait_for_timeout(6_000)
            keep(f"ohif-{name}.png")
        browser.close()


if __name__ == "__main__":
    raise SystemExit(main())
