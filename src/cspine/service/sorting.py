"""The first job of an upload: look what is in it, and put each study into a folder of its own.

The identity of a study is the content of its files. A folder appears whole or not at all, and before its row in the
table: a worker that dies anywhere leaves nothing that the next attempt does not find or make again.
"""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cspine.domain import Rejected, StoreError, Unreachable
from cspine.service.studies import NewStudy, StudyBook
from cspine.stores import FolderSource, NiftiSource, StudySource, ZipSource, open_source

IMAGES = "images"
_NIFTI_SUFFIXES = (".nii.gz", ".nii")
_GZIP = b"\x1f\x8b"
_BLOCK = 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Source = FolderSource | ZipSource | NiftiSource
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class SortLimits:
    """What bounds the sorting.

    Attributes
    ----------
    bundle
        Identity of the bundle that studies are queued for.
    """

    bundle: str
    max_files: int


def sort_upload(folder: Path, studies_dir: Path, book: StudyBook, limits: SortLimits, progress: Progress) -> int:
    """Enter every study of an upload into the book; return how many there were.

    Parameters
    ----------
    folder
        Of the upload; its name is the upload's.

    Raises
    ------
    InputError
        There is no study in it, or an archive is hostile.
    StoreError
        The disk is full or cannot be written.
    """
    progress("look for studies", 0.0)
    with open_upload(folder, limits.max_files) as source:
        found = source.studies()
        for number, study in enumerate(found):
            progress("sort into studies", number / len(found))
            entered = keep_study(study, studies_dir, folder.name)
            book.add(entered, limits.bundle)
    return len(found)


def open_upload(folder: Path, max_files: int) -> Source:
    """Open the one archive or file of an upload, or all of its files.

    Raises
    ------
    StoreError
        Nothing is there, or it may not be read.
    """
    paths = sorted(folder.glob("[0-9]*"))
    if len(paths) == 1 and not paths[0].suffix and _begins_with(paths[0], _GZIP):
        paths = [paths[0].rename(paths[0].with_suffix(".nii.gz"))]  # its reader looks at the name
    if len(paths) != 1:
        return FolderSource(paths, "the upload", {path: f"file {path.name}" for path in paths})
    return open_source(paths[0], max_files)


def _begins_with(path: Path, start: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(start)) == start


def keep_study(study: StudySource, studies_dir: Path, upload_id: str) -> NewStudy:
    """Copy the files of a study into its folder, unless they are there already.

    Raises
    ------
    StoreError
        The disk is full or cannot be written.
    """
    files = study.files
    digests = sorted((_digest(path), path) for path in files)
    identity = hashlib.sha256("".join(digest for digest, _ in digests).encode()).hexdigest()[:32]
    target = studies_dir / identity
    if not (target / IMAGES).is_dir():
        _copy([path for _, path in digests], target, named_as=study.name if study.study_uid is None else "")
    return NewStudy(identity, study.study_uid or "", upload_id, study.header, len(files))


def _copy(files: Sequence[Path], target: Path, named_as: str) -> None:
    part = target.parent / f".part-{target.name}-{secrets.token_hex(4)}"
    try:
        (part / IMAGES).mkdir(parents=True, mode=0o700)
        for number, path in enumerate(files):
            suffix = next((end for end in _NIFTI_SUFFIXES if named_as and path.name.lower().endswith(end)), "")
            copied = part / IMAGES / f"{number:06d}{suffix or ('.nii' if named_as else '')}"
            shutil.copyfile(path, copied)
            _sync(copied)
        _sync(part / IMAGES)
        os.replace(part, target)
        _sync(target.parent)
    except OSError as error:
        if not (target / IMAGES).is_dir():  # another worker was faster: the same content
            raise _translated(error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _translated(error: OSError) -> StoreError:
    if error.errno in _FULL:
        return Rejected("the disk is full; nothing was kept of this study", status="ENOSPC")
    return Unreachable(f"the study cannot be kept: {error.strerror or error}")


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
