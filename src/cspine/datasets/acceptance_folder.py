"""The folder of an acceptance suite: studies, and beside them what must be said of each.

::

    root/expected.json           what must be said, and the hash of every study
    root/studies/<name>/<n>.dcm

The schema of `expected.json` is `acceptance.schema.json` beside this file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cspine.domain import FlagCode, InputError, Rejected, Unreachable, Vertebra, WorldBox
from cspine.evaluation import Expectation, ExpectedFracture, ExpectedLevel

EXPECTED_FILE = "expected.json"
EXPECTED_SCHEMA = "1.0"
STUDIES = "studies"


@dataclass(frozen=True)
class AcceptanceStudy:
    """One study of a suite.

    Attributes
    ----------
    folder
        Of its images.
    sha256
        Over names and content of the images, as they were written.
    """

    folder: Path
    sha256: str
    expected: Expectation

    def check_unchanged(self) -> None:
        """Refuse images that are not those of the suite.

        Raises
        ------
        StoreError
            An image is missing, added or changed, or cannot be read.
        """
        if study_digest(self.folder) != self.sha256:
            raise Rejected(f"{self.folder}: images differ from those of the suite; write the suite again")


@dataclass(frozen=True)
class AcceptanceSuite:
    """A suite as it lies on disk.

    Attributes
    ----------
    version
        Of the set of studies.
    sha256
        Of `expected.json`, which holds the hashes of all images.
    """

    version: str
    sha256: str
    studies: tuple[AcceptanceStudy, ...]

    @property
    def identity(self) -> str:
        """Version and hash, for the record."""
        return f"version {self.version}, SHA-256 {self.sha256}"


def study_digest(folder: Path) -> str:
    """Return the SHA-256 over names and content of the files of a folder.

    Raises
    ------
    Unreachable
        It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for path in sorted(folder.iterdir()):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    except OSError as error:
        raise Unreachable(f"{folder}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def study_entry(expected: Expectation, sha256: str) -> dict[str, Any]:
    """Return what `expected.json` says about one study."""
    return {
        "name": expected.name,
        "title": expected.title,
        "sha256": sha256,
        "refused_as": list(expected.refused_as),
        "flags": [code.value for code in expected.flags],
        "levels": [
            {
                "vertebra": level.vertebra.name,
                "visible_fraction": level.visible_fraction,
                "center_lps_mm": list(level.center_lps_mm),
            }
            for level in expected.levels
        ],
        "fractures": [
            {
                "vertebra": fracture.vertebra.name,
                "type": fracture.type,
                "severity": fracture.severity,
                "box_lps_mm": [list(fracture.box_lps_mm.min_lps_mm), list(fracture.box_lps_mm.max_lps_mm)],
            }
            for fracture in expected.fractures
        ],
    }


def expected_document(version: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `expected.json` as plain values."""
    return {"schema_version": EXPECTED_SCHEMA, "suite_version": version, "studies": entries}


def read_suite(root: Path) -> AcceptanceSuite:
    """Read what an acceptance suite expects; the images are not looked at.

    Raises
    ------
    Unreachable
        There is no suite, or it cannot be read.
    InputError
        `expected.json` is damaged or of another version.
    """
    path = root / EXPECTED_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreachable(
            f"{path}: {error.strerror or error}; write a suite with `cspine phantom acceptance --out {root}`"
        ) from error
    try:
        document = json.loads(content)
        version = document["schema_version"]
        if version != EXPECTED_SCHEMA:
            raise InputError(f"{path}: schema {version!r}, this program reads {EXPECTED_SCHEMA!r}; write it again")
        studies = tuple(_study(root, entry) for entry in document["studies"])
        suite = AcceptanceSuite(str(document["suite_version"]), hashlib.sha256(content).hexdigest(), studies)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({type(error).__name__}: {error}); write the suite again") from error
    return suite


def _study(root: Path, entry: Mapping[str, Any]) -> AcceptanceStudy:
    name = str(entry["name"])
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no name of a study")
    expected = Expectation(
        name,
        str(entry["title"]),
        tuple(str(kind) for kind in entry["refused_as"]),
        tuple(FlagCode(code) for code in entry["flags"]),
        tuple(_level(level) for level in entry["levels"]),
        tuple(_fracture(fracture) for fracture in entry["fractures"]),
    )
    return AcceptanceStudy(root / STUDIES / name, str(entry["sha256"]), expected)


def _level(entry: Mapping[str, Any]) -> ExpectedLevel:
    return ExpectedLevel(Vertebra[entry["vertebra"]], float(entry["visible_fraction"]), _point(entry["center_lps_mm"]))


def _fracture(entry: Mapping[str, Any]) -> ExpectedFracture:
    low, high = entry["box_lps_mm"]
    return ExpectedFracture(
        Vertebra[entry["vertebra"]], str(entry["type"]), int(entry["severity"]), WorldBox(_point(low), _point(high))
    )


def _point(values: list[float]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z
