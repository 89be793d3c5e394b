"""Zip archives of images, which may be hostile: bombs, paths that lead out, encrypted or damaged members.

Members are unpacked under our own names into a temporary folder; no name from the archive ever becomes a path.
"""

import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

from cspine.dicom import Skipped
from cspine.domain import NoImages, Rejected, UnsupportedSeries
from cspine.stores.folder import FolderSource
from cspine.stores.nifti import is_nifti_name
from cspine.stores.unpacked import UnpackedSource

MEMBER_LIMIT = 20_000
DIRECTORY_LIMIT_BYTES = 16 * 2**20
TOTAL_LIMIT_BYTES = 8 * 2**30
# CT compresses by 2 to 4; what grows more than this beyond a first free amount is a bomb.
RATIO_LIMIT = 100
RATIO_FREE_BYTES = 256 * 2**20

_BLOCK = 1 << 20
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz")
_TAIL_BYTES = 66_000
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x06"
_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
)


class ZipSource(UnpackedSource):
    """Studies in a zip archive.

    Parameters
    ----------
    member_limit
        More members than this are refused; ``None``: more than `MEMBER_LIMIT`.

    Raises
    ------
    NoImages
        Encrypted, damaged, or without an image.
    UnsupportedSeries
        A bomb, or a member whose path leads out of the archive.
    Rejected
        No room to unpack it.
    """

    def __init__(self, path: Path, member_limit: int | None = None):
        super().__init__()
        self._path, self._member_limit = path, MEMBER_LIMIT if member_limit is None else member_limit

    @cached_property
    def _inside(self) -> FolderSource:
        names = self._unpack()
        return FolderSource([Path(self._folder.name)], str(self._path), names)

    def _unpack(self) -> dict[Path, str]:
        """Unpack all members; return what messages call each file."""
        try:
            _check_directory(self._path)
            with zipfile.ZipFile(self._path) as archive:
                members = self._wanted(archive)
                budget = _Budget(self._path, self._path.stat().st_size)
                budget.check_room(sum(member.file_size for member in members), Path(self._folder.name))
                return {self._write(archive, m, k, budget): f"{self._path}:{m.filename}" for k, m in enumerate(members)}
        except _DAMAGE as error:
            raise NoImages(f"{self._path}: damaged or unreadable zip archive: {error}") from error

    def _wanted(self, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        members = archive.infolist()
        if len(members) > self._member_limit:
            raise UnsupportedSeries(f"{self._path}: {len(members)} members; at most {self._member_limit} are read")
        wanted = []
        for member in members:
            _check_path(self._path, member.filename)
            if member.flag_bits & 1:
                raise NoImages(f"{self._path}: {member.filename} is encrypted; unpack the archive first")
            if stat.S_ISLNK(member.external_attr >> 16):
                self._unused.append(Skipped(member.filename, "a link"))
            elif member.filename.lower().endswith(_ARCHIVES):
                self._unused.append(Skipped(member.filename, "an archive within the archive; unpack it first"))
            elif not member.is_dir():
                wanted.append(member)
        return wanted

    def _write(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, number: int, budget: "_Budget") -> Path:
        """Unpack one member under a number; only the suffix of a NIfTI is kept, because it tells of gzip."""
        lower = member.filename.lower()
        suffix = (".nii.gz" if lower.endswith(".gz") else ".nii") if is_nifti_name(lower) else ""
        suffix = "-DICOMDIR" if PurePosixPath(lower).name == "dicomdir" else suffix
        target = Path(self._folder.name, f"{number:06d}{suffix}")
        with archive.open(member) as source, open(target, "wb") as out:
            _copy(source, out, budget)
        return target


class _Budget:
    """What may still be unpacked; counts real bytes, because headers lie."""

    def __init__(self, path: Path, packed_bytes: int):
        self._path, self._packed, self._total = path, packed_bytes, 0

    def check_room(self, announced: int, folder: Path) -> None:
        self._check(announced)
        free = shutil.disk_usage(folder).free
        if announced > free:
            raise Rejected(f"{self._path}: unpacks to {announced} bytes, {free} are free in {folder}", status="ENOSPC")

    def spend(self, amount: int) -> None:
        self._total += amount
        self._check(self._total)

    def _check(self, total: int) -> None:
        if total > TOTAL_LIMIT_BYTES:
            raise UnsupportedSeries(f"{self._path}: unpacks to more than {TOTAL_LIMIT_BYTES} bytes")
        if total > RATIO_FREE_BYTES and total > RATIO_LIMIT * self._packed:
            ratio = total / max(1, self._packed)
            raise UnsupportedSeries(
                f"{self._path}: a zip bomb: grows {ratio:.0f} times when unpacked, limit {RATIO_LIMIT}"
            )


def _copy(source: IO[bytes], out: IO[bytes], budget: _Budget) -> None:
    while block := source.read(_BLOCK):
        budget.spend(len(block))
        out.write(block)


def _check_path(archive: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or (len(name) > 1 and name[1] == ":"):
        raise UnsupportedSeries(f"{archive}: member {name!r} leads out of the archive; nothing was read")


def _check_directory(path: Path) -> None:
    """Refuse a table of contents that would itself exhaust memory, before it is read (APPNOTE 4.3.14, 4.3.16)."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    at, at_64 = tail.rfind(_END), tail.rfind(_END_64)
    directory = 0
    if 0 <= at <= len(tail) - 16:
        directory = struct.unpack_from("<I", tail, at + 12)[0]
    if directory == 0xFFFFFFFF and 0 <= at_64 <= len(tail) - 48:
        directory = struct.unpack_from("<Q", tail, at_64 + 40)[0]
    if directory > DIRECTORY_LIMIT_BYTES:
        raise UnsupportedSeries(
            f"{path}: a table of contents of {directory} bytes; at most {DIRECTORY_LIMIT_BYTES} are read"
        )
