"""A service in a folder of its own, studies for it, and an analyzer that knows the truth and takes no time."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient

from cspine.dicom import StudyHeader, write_ct_series
from cspine.domain import Analysis, Box, Decision, Flag, FlagCode, Location, OutOfScope, Vertebra, Volume, WorldBox
from cspine.service import (
    Accounts,
    Parts,
    Role,
    ServiceConfig,
    Watch,
    Worker,
    analysis,
    check_room,
    create_app,
    open_parts,
)
from tests.models.coded import coded_case
from tests.workflow.oracle import SPACING_MM, Oracle

BUNDLE = "b" * 64
PASSWORD = "five blue tigers"
ROOT_UID = "1.2.826.0.1.3680043.10.77"


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@cache
def neck(top: Vertebra = Vertebra.C1):
    """Return volume, labels and truth of a coded neck."""
    return coded_case(top, spacing_mm=SPACING_MM)


def box_of(vertebra: Vertebra, half_mm: float = 6.0) -> WorldBox:
    """Return the fracture that `Teller` tells of: a box at the left of a vertebra's center."""
    center = next(t.center_lps_mm for t in neck()[2].vertebrae if t.vertebra == vertebra)
    x, y, z = center[0] + 8.0, center[1], center[2]
    return WorldBox((x - half_mm, y - half_mm, z - half_mm), (x + half_mm, y + half_mm, z + half_mm))


@dataclass
class Teller:
    """An analyzer that says what is true of the coded neck, and fractures where it is told to.

    Attributes
    ----------
    fractured
        Levels said to be fractured.
    trouble
        Raised instead, as often as there are entries.
    """

    fractured: tuple[Vertebra, ...] = ()
    trouble: tuple[Exception, ...] = ()
    told: int = 0

    def analyze(self, volume: Volume, progress: Callable[[str, float], None]) -> Analysis:
        if self.trouble:
            first, *rest = self.trouble
            self.trouble = tuple(rest)
            raise first
        self.told += 1
        if volume.hu.max() < 200:
            raise OutOfScope("no vertebra was found; give a CT of the neck")
        _, labels, truth = neck()
        said = Oracle(labels, truth).analyze(volume, progress)
        return replace(said, findings=self._findings(said), fracture_map=self._map(volume), map_threshold=0.5)

    def _findings(self, said: Analysis):
        found = said.findings
        levels = tuple(self._level(f) for f in found.vertebrae)
        whole = all(f.decision is not Decision.NOT_ASSESSED for f in levels)
        decision = Decision.RULE_IN if self.fractured else Decision.RULE_OUT if whole else Decision.NOT_ASSESSED
        probability = 0.93 if self.fractured else 0.02 if whole else None
        flags = () if whole else (Flag(FlagCode.PARTIAL_COVERAGE, "A part of the neck lies outside the scan."),)
        return replace(found, vertebrae=levels, decision=decision, probability=probability, flags=flags)

    def _level(self, finding):
        if finding.vertebra in self.fractured:
            place = Location(0.91, "lamina", box_of(finding.vertebra))
            said = {"probability": 0.93, "decision": Decision.RULE_IN, "locations": (place,), "reason": None}
            return replace(finding, **said)
        if finding.box_lps_mm is None:
            return finding
        return replace(finding, probability=0.02, decision=Decision.RULE_OUT, reason=None)

    def _map(self, volume: Volume) -> Volume:
        heat = np.zeros(volume.grid.shape, np.float32)
        for vertebra in self.fractured:
            box = box_of(vertebra)
            points = volume.grid.to_world(np.moveaxis(np.indices(volume.grid.shape), 0, -1))
            heat[((points >= box.min_lps_mm) & (points <= box.max_lps_mm)).all(axis=-1)] = 0.9
        return Volume(volume.grid, heat)


def write_neck(folder: Path, number: int = 1, *, slices: slice = slice(None), **header: object) -> Path:
    """Write the coded neck as a study; `slices` cuts a part out, `header` changes what it says of itself."""
    volume = neck()[0]
    depth = range(*slices.indices(volume.grid.shape[0]))
    cut = volume if len(depth) == volume.grid.shape[0] else _cut(volume, depth)
    values = {
        "study_instance_uid": f"{ROOT_UID}.{number}",
        "series_instance_uid": f"{ROOT_UID}.{number}.1",
        "patient_name": "Coded^Phantom",
        "patient_id": f"P-{number}",
        "study_date": "20240305",
        "study_description": "CT cervical spine",
        "is_phantom": True,
    }
    write_ct_series(cut, folder, header=StudyHeader(**(values | header)))
    return folder


def _cut(volume: Volume, depth: range) -> Volume:
    _, rows, columns = volume.grid.shape
    box = Box((depth.start, 0, 0), (depth.stop, rows, columns))
    return Volume(volume.grid.crop(box), volume.hu[box.slices])


def zipped(folder: Path) -> bytes:
    """Return the files of a folder as a zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
    return made.getvalue()


@dataclass
class Place:
    """A service in a folder, with one worker in this process."""

    config: ServiceConfig
    parts: Parts
    clock: Clock
    teller: Teller
    worker: Worker
    accounts: Accounts

    def work(self) -> None:
        """Do all jobs that can be done now."""
        while self.worker.run_once():
            pass

    def client(self, role: Role | None = Role.ADMIN) -> TestClient:
        """Return a client with a key of a role, or with none."""
        key = {} if role is None else {"Authorization": f"Bearer {self.accounts.add_key('test', role, None)}"}
        app = create_app(self.config, self.parts)
        return TestClient(app, base_url="http://localhost", headers=key, raise_server_exceptions=False)


def make_place(folder: Path, **settings: object) -> Place:
    """Return a service whose studies are told of by a `Teller`."""
    config = ServiceConfig(folder / "data", **({"kinds": ("json",), "min_free_mib": 0} | settings))
    check_room(config)
    clock, teller = Clock(), Teller()
    parts = open_parts(config, BUNDLE, clock)
    worker = Worker(config, parts, analysis(config, parts, lambda: teller), Watch())
    return Place(config, parts, clock, teller, worker, Accounts(config, parts.database, clock))


def sent(client: TestClient, content: bytes) -> str:
    """Upload one file in two pieces; return the name of the upload."""
    made = client.post("/api/uploads", json={"files": 1, "total_bytes": len(content)})
    assert made.status_code == 201, made.text
    name = made.json()["id"]
    half = len(content) // 2
    for offset, piece in ((0, content[:half]), (half, content[half:])):
        done = client.put(f"/api/uploads/{name}/files/0", params={"offset": offset}, content=piece)
        assert done.status_code == 204, done.text
    assert client.post(f"/api/uploads/{name}/finish").status_code == 202
    return name
