"""Versions of a study: what had arrived when it fell quiet, as a folder that never changes again."""

import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from cspine.dicom import sync_folder
from cspine.stores.inbox.names import digest_of, file_name, key_of

HIDDEN = "."
_RECORD, _IMAGES, _TOLD = "study.json", "images", "told"


@dataclass(frozen=True)
class ReceivedStudy:
    """One version of a study that fell quiet.

    Attributes
    ----------
    version
        1 for the first; a later one holds everything that the earlier ones held, and supersedes them.
    digest
        SHA-256 of the content: equal when nothing but transport differs.
    folder
        The objects, one a file, nothing else; it never changes. Open it with `FolderSource`.
    objects, size_bytes
        How many files, and their bytes.
    last_received_s
        When its last object arrived, seconds since 1970.
    """

    study_uid: str
    version: int
    digest: str
    folder: Path
    objects: int
    size_bytes: int
    last_received_s: float


class Versions:
    """The sealed versions below one folder: ``<study key>/<version>/``."""

    def __init__(self, folder: Path):
        self._folder = folder

    def load(self) -> list[ReceivedStudy]:
        """Remove what a crash left half-made and return every version, in order."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for remains in self._folder.glob(f"*/{HIDDEN}*"):
            shutil.rmtree(remains, ignore_errors=True)
        return [_read(path.parent) for path in sorted(self._folder.glob(f"*/*/{_RECORD}"))]

    def seal(self, study_uid: str, incoming: Path, objects: dict[str, str], version: int) -> ReceivedStudy:
        """Make a version of the objects in `incoming` by hard links: all of it or nothing.

        Raises
        ------
        OSError
            The disk is full, or its file system has no hard links.
        """
        home = self.home(study_uid)
        stage = home / f"{HIDDEN}{uuid.uuid4().hex}"
        (stage / _IMAGES).mkdir(parents=True)
        size, latest = 0, 0.0
        for object_key, content in objects.items():
            source = incoming / file_name(object_key, content)
            status = source.stat()
            size, latest = size + status.st_size, max(latest, status.st_mtime)
            os.link(source, stage / _IMAGES / f"{object_key}.dcm")
        place = home / f"{version:04d}"
        made = ReceivedStudy(study_uid, version, digest_of(objects), place / _IMAGES, len(objects), size, latest)
        with open(stage / _RECORD, "w", encoding="utf-8") as record:
            json.dump(asdict(made) | {"folder": _IMAGES}, record)
            record.flush()
            os.fsync(record.fileno())
        for folder in (stage / _IMAGES, stage):
            sync_folder(folder)
        os.rename(stage, place)
        for folder in (home, self._folder):
            sync_folder(folder)
        return made

    def told(self, study: ReceivedStudy) -> bool:
        """Whether someone has taken this version over."""
        return (study.folder.parent / _TOLD).exists()

    def mark_told(self, study: ReceivedStudy) -> None:
        """Remember, durably, that someone has taken this version over."""
        (study.folder.parent / _TOLD).touch()
        sync_folder(study.folder.parent)

    def home(self, study_uid: str) -> Path:
        """Return the folder of a study's versions."""
        return self._folder / key_of(study_uid)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that no crash leaves half of it under its name."""
    gone = folder.parent / f"{HIDDEN}{uuid.uuid4().hex}"
    try:
        os.rename(folder, gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def _read(place: Path) -> ReceivedStudy:
    values = json.loads((place / _RECORD).read_text(encoding="utf-8"))
    return ReceivedStudy(**(values | {"folder": place / _IMAGES}))
