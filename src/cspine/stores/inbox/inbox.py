"""The inbox: received objects on disk, each durable before its sender hears of success.

::

    incoming/<study>/<object>-<content>.dcm   what has arrived; names are hashes of UIDs and of content
    versions/<study>/0001/images/<object>.dcm what had arrived when the study fell quiet; hard links, never changed
    versions/<study>/0001/study.json          what that version is
    versions/<study>/0001/told                someone has taken it over

Whatever begins with a dot is unfinished and is removed at the start.
"""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cspine.dicom import ObjectIdentity, identify, sync_folder, translated
from cspine.domain import NoImages, Rejected
from cspine.stores.inbox.names import content_key, digest_of, file_name, kept_files, key_of
from cspine.stores.inbox.versions import HIDDEN, ReceivedStudy, Versions, remove_folder

LIMIT = "limit"


@dataclass(frozen=True)
class InboxLimits:
    """What an inbox may take.

    Attributes
    ----------
    total_bytes
        Of everything it holds.
    free_bytes
        That stay free on its disk.
    object_bytes, objects_per_study
        Of one object, and in one study.
    """

    total_bytes: int = 200 * 2**30
    free_bytes: int = 2 * 2**30
    object_bytes: int = 512 * 2**20
    objects_per_study: int = 20_000


class Kept(StrEnum):
    """What became of an object."""

    NEW = "new"
    REPEATED = "repeated"
    CHANGED = "changed"


@dataclass
class _Open:
    """What has arrived of one study; `unsealed`: something came or changed since its latest version."""

    folder: Path
    objects: dict[str, str] = field(default_factory=dict)
    last_s: float = 0.0
    latest: ReceivedStudy | None = None
    unsealed: bool = False

    def is_as_before(self) -> bool:
        """Whether the content is that of the latest version again."""
        return self.latest is not None and self.latest.digest == digest_of(self.objects)


class Inbox:
    """Objects that arrived, below one folder, which belongs to one process at a time. Safe to use from many threads.

    Parameters
    ----------
    clock
        Seconds that only ever grow; replaced in tests.

    Raises
    ------
    Unreachable
        The folder cannot be made or read.
    """

    def __init__(self, folder: Path, limits: InboxLimits | None = None, clock: Callable[[], float] = time.monotonic):
        self.folder, self.limits = folder, limits or InboxLimits()
        self._clock, self._lock, self._awaited = clock, threading.Lock(), 0
        self._incoming, self._versions = folder / "incoming", Versions(folder / "versions")
        try:
            self._studies, self._untold = self._load()
            self._used = _used_bytes(folder)
        except OSError as error:
            raise translated(error, folder) from error

    def put(self, content: bytes, expected: str | None = None) -> Kept:
        """Keep one Part 10 file; it is on the disk when this returns.

        Parameters
        ----------
        expected
            SOPInstanceUID that its sender announced.

        Raises
        ------
        Rejected
            The disk is full (status ``ENOSPC`` …), or a limit of the inbox is reached (status ``limit``).
        Unreachable
            The folder cannot be written.
        NoImages
            Not a DICOM object, or another one than announced.
        """
        size = len(content)
        self._reserve(size)
        part = self._incoming / f"{HIDDEN}{uuid.uuid4().hex}"
        try:
            _write(part, content)
            identity = identify(part)
            if expected is not None and identity.sop_instance_uid != expected:
                raise NoImages(f"the object is {identity.sop_instance_uid}, {expected} was announced")
            return self._place(part, identity, content_key(content), size)
        except OSError as error:
            raise translated(error, self.folder) from error
        finally:
            part.unlink(missing_ok=True)
            with self._lock:
                self._awaited -= size

    def count(self, study_uid: str) -> int:
        """Return how many objects of a study have arrived."""
        with self._lock:
            one = self._studies.get(study_uid)
            return 0 if one is None else len(one.objects)

    def quiet(self, quiet_s: float) -> list[str]:
        """Return the studies with something new, of which nothing has arrived for so long."""
        now = self._clock()
        with self._lock:
            return [uid for uid, one in self._studies.items() if one.unsealed and now - one.last_s >= quiet_s]

    def seal(self, study_uid: str) -> ReceivedStudy | None:
        """Make what has arrived of a study a version; return nothing when that is the last version again.

        Raises
        ------
        Rejected, Unreachable
            As `put`; nothing is lost, it can be tried again.
        """
        with self._lock:
            one = self._studies.get(study_uid)
            if one is None or not one.unsealed:
                return None
            if one.is_as_before():
                one.unsealed = False
                return None
            number = 1 if one.latest is None else one.latest.version + 1
            try:
                one.latest = self._versions.seal(study_uid, one.folder, dict(one.objects), number)
            except OSError as error:
                raise translated(error, self.folder) from error
            one.unsealed = False
            self._untold.append(one.latest)
            return one.latest

    def untold(self) -> list[ReceivedStudy]:
        """Return the versions that nobody has taken over, oldest first; also those from before a crash."""
        with self._lock:
            return list(self._untold)

    def mark_told(self, study: ReceivedStudy) -> None:
        """Remember that someone has taken a version over."""
        with self._lock:
            try:
                self._versions.mark_told(study)
            except OSError as error:
                raise translated(error, self.folder) from error
            self._untold = [one for one in self._untold if one != study]

    def forget(self, study_uid: str) -> None:
        """Remove a study with all its versions."""
        with self._lock:
            self._studies.pop(study_uid, None)
            self._untold = [study for study in self._untold if study.study_uid != study_uid]
            homes = [self._versions.home(study_uid), self._incoming / key_of(study_uid)]
            self._used -= _used_bytes(*homes)
            for home in homes:
                remove_folder(home)

    def forget_before(self, epoch_s: float) -> list[str]:
        """Forget the studies that were taken over and whose last object arrived before a moment; return their UIDs."""
        with self._lock:
            waiting = {one.study_uid for one in self._untold}
            old = [
                uid
                for uid, one in self._studies.items()
                if one.latest and uid not in waiting and not one.unsealed and one.latest.last_received_s < epoch_s
            ]
        for uid in old:
            self.forget(uid)
        return old

    def _load(self) -> tuple[dict[str, _Open], list[ReceivedStudy]]:
        self._incoming.mkdir(parents=True, exist_ok=True)
        for remains in self._incoming.glob(f"{HIDDEN}*"):
            shutil.rmtree(remains) if remains.is_dir() else remains.unlink()
        versions = self._versions.load()
        latest = {one.study_uid: one for one in versions}
        studies: dict[str, _Open] = {}
        for folder in sorted(path for path in self._incoming.iterdir() if path.is_dir()):
            objects = kept_files(folder)
            if objects:
                first = folder / file_name(*next(iter(objects.items())))
                uid = identify(first).study_uid
                found = _Open(folder, objects, self._clock(), latest.get(uid))
                found.unsealed = not found.is_as_before()
                studies[uid] = found
        return studies, [one for one in versions if not self._versions.told(one)]

    def _reserve(self, size: int) -> None:
        if size > self.limits.object_bytes:
            raise Rejected(f"an object of {size} bytes; at most {self.limits.object_bytes} are taken", status=LIMIT)
        free = shutil.disk_usage(self.folder).free
        with self._lock:
            total = self._used + self._awaited + size
            if total > self.limits.total_bytes:
                raise Rejected(
                    f"{self.folder} holds {self._used} bytes, at most {self.limits.total_bytes} are kept; "
                    "forget studies that are done, or raise the limit",
                    status=LIMIT,
                )
            if free - self._awaited - size < self.limits.free_bytes:
                raise Rejected(
                    f"{free} bytes are free on the disk of {self.folder}, {self.limits.free_bytes} must stay free",
                    status="ENOSPC",
                )
            self._awaited += size

    def _place(self, part: Path, identity: ObjectIdentity, content: str, size: int) -> Kept:
        object_key = key_of(identity.sop_instance_uid)
        with self._lock:
            one = self._studies.get(identity.study_uid)
            if one is None:
                one = _Open(self._incoming / key_of(identity.study_uid))
            one.last_s = self._clock()
            before = one.objects.get(object_key)
            if before == content:
                return Kept.REPEATED
            if before is None and len(one.objects) >= self.limits.objects_per_study:
                raise Rejected(
                    f"study {identity.study_uid} has {len(one.objects)} objects; at most "
                    f"{self.limits.objects_per_study} are taken",
                    status=LIMIT,
                )
            if not one.folder.exists():
                one.folder.mkdir()
                sync_folder(self._incoming)
            os.rename(part, one.folder / file_name(object_key, content))
            sync_folder(one.folder)
            self._studies[identity.study_uid] = one
            one.objects[object_key] = content
            one.unsealed = True
            self._used += size
            if before is None:
                return Kept.NEW
            replaced = one.folder / file_name(object_key, before)
            status = replaced.stat()
            self._used -= status.st_size if status.st_nlink == 1 else 0  # a version may still hold it
            replaced.unlink()
            return Kept.CHANGED


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb", buffering=0) as file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def _used_bytes(*folders: Path) -> int:
    """Return the bytes of all files below some folders, those of several names once."""
    sizes: dict[int, int] = {}
    for folder in folders:
        for root, _, files in os.walk(folder):
            for name in files:
                status = os.stat(os.path.join(root, name), follow_symlinks=False)
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())
