"""Find every DICOM image below some paths, whatever the mess, and group them."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pydicom

from cspine.dicom.images import Image
from cspine.dicom.readfile import DICOMDIR_CLASS, FOREIGN_ERRORS, ImageReader, NotReadable
from cspine.dicom.series import ScanResult, Skipped, group


def scan(paths: Iterable[Path], names: Mapping[Path, str] | None = None) -> ScanResult:
    """Read the headers of all files and group the images into studies and series.

    Folders are searched to the bottom, links to folders are not followed, and neither name nor extension matters.
    A DICOMDIR given by itself stands for the files that it lists.

    Parameters
    ----------
    paths
        Files and folders.
    names
        What messages call a file, where that is not its path (members of an archive).

    Returns
    -------
    ScanResult
        Studies and series, and each other file with the reason why it was not used. The order of the files and
        their names do not matter.
    """
    reader, images, skipped = ImageReader(), list[Image](), list[Skipped]()
    known = names or {}
    for path in _files(paths, skipped):
        name = known.get(path, str(path))
        try:
            images += reader.read(path, name)
        except NotReadable as reason:
            skipped.append(Skipped(name, str(reason)))
    return ScanResult(group(images), tuple(skipped))


def _files(paths: Iterable[Path], skipped: list[Skipped]) -> Iterator[Path]:
    """Yield each file once."""
    seen: set[str] = set()
    for start in paths:
        listed = _below(start, skipped) if start.is_dir() else _single(start, skipped)
        for path in listed:
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path


def _below(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    def complain(error: OSError) -> None:
        skipped.append(Skipped(str(error.filename), f"folder cannot be read: {error.strerror}"))

    for root, folders, files in os.walk(folder, onerror=complain):
        folders.sort()
        yield from (Path(root, file) for file in sorted(files))


def _single(path: Path, skipped: list[Skipped]) -> list[Path]:
    if path.name.upper() != "DICOMDIR":
        return [path]
    listed = _listed_in(path)
    if not listed:
        skipped.append(Skipped(str(path), "a DICOMDIR that lists no readable file"))
    return listed


def _listed_in(dicomdir: Path) -> list[Path]:
    """Return the existing files that a DICOMDIR lists and that lie below its own folder (PS3.10 section 8.6)."""
    try:
        with warnings.catch_warnings():  # only the file references matter
            warnings.simplefilter("ignore")
            index = pydicom.dcmread(dicomdir)
            if index.file_meta.MediaStorageSOPClassUID != DICOMDIR_CLASS:
                return []
            ids = [record.get("ReferencedFileID") for record in index.get("DirectoryRecordSequence", [])]
    except FOREIGN_ERRORS:
        return []
    home = dicomdir.parent.resolve()
    parts = [[item] if isinstance(item, str) else list(item) for item in ids if item]
    found = [home.joinpath(*part).resolve() for part in parts]
    return [path for path in found if path.is_relative_to(home) and path.is_file()]
