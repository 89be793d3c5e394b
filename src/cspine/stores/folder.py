"""DICOM files on disk: a folder of any mess, a single file, or a DICOMDIR."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

from cspine.dicom import (
    Choice,
    LoadedSeries,
    ScanResult,
    Skipped,
    Study,
    StudyHeader,
    choose_series,
    scan,
    to_volume,
    warm_up,
)
from cspine.domain import Flag, FlagCode, NoImages
from cspine.stores.nifti import NiftiStudy, is_nifti_name

_NAMED = 3
_NO_UID = "study without UID"


class FolderSource:
    """Studies below some files and folders.

    NIfTI volumes count only where there is no DICOM image: beside DICOM series they are usually copies of them.

    Parameters
    ----------
    paths
        Files and folders.
    title
        What messages call the whole.
    names
        What messages call a file, where that is not its path.
    """

    def __init__(self, paths: Iterable[Path], title: str, names: Mapping[Path, str] | None = None):
        self._paths, self._title, self._names = tuple(paths), title, dict(names or {})

    def studies(self) -> tuple["DicomStudy | NiftiStudy", ...]:
        """Return every study; see `Source.studies`."""
        found = self._found
        if found.studies:
            return tuple(DicomStudy(study) for study in found.studies)
        volumes = self._nifti_paths
        if volumes:
            return tuple(NiftiStudy(path, self._names.get(path, str(path))) for path in volumes)
        raise NoImages(_nothing_found(self._title, found.skipped))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that belong to no study, with the reasons."""
        return self._found.skipped

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @cached_property
    def _found(self) -> ScanResult:
        warm_up()
        return scan(self._paths, self._names)

    @property
    def _nifti_paths(self) -> list[Path]:
        below = (path.rglob("*") if path.is_dir() else [path] for path in self._paths)
        return sorted(
            path
            for paths in below
            for path in paths
            if is_nifti_name(self._names.get(path, path.name)) and path.is_file()
        )


class DicomStudy:
    """One study of DICOM files."""

    def __init__(self, study: Study):
        self._study = study

    @property
    def name(self) -> str:
        """Study UID; a fixed phrase where the images name no study."""
        return self._study.uid or _NO_UID

    @property
    def study_uid(self) -> str | None:
        """UID, or ``None``."""
        return self._study.uid or None

    @property
    def header(self) -> StudyHeader:
        """Patient and study as the first image gives them."""
        return self._study.series[0].header

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that images with pixels are in, each once, sorted."""
        images = (image for series in self._study.series for image in series.images)
        return tuple(sorted({Path(image.pixels.path) for image in images if image.pixels is not None}))

    def load(self, series_uid: str | None = None) -> LoadedSeries:
        """Read one series; see `StudySource.load`."""
        choice = self._choose(series_uid)
        loaded = to_volume(choice.chosen)
        unused = _as_skipped(choice)
        return replace(loaded, flags=(*loaded.flags, *_unused_flag(unused))) if unused else loaded

    def not_used(self, series_uid: str | None = None) -> tuple[Skipped, ...]:
        """Return the series left aside; see `StudySource.not_used`."""
        return _as_skipped(self._choose(series_uid))

    def _choose(self, series_uid: str | None) -> Choice:
        series = self._study.series
        if series_uid is None:
            return choose_series(series)
        wanted = [one for one in series if one.series_uid == series_uid]
        if not wanted:
            there = ", ".join(sorted({one.series_uid for one in series}))
            raise NoImages(f"study {self.name} has no series {series_uid}; it has {there}")
        return choose_series(wanted)


def _as_skipped(choice: Choice) -> tuple[Skipped, ...]:
    return tuple(Skipped(other.series.name, other.reason) for other in choice.not_used)


def _unused_flag(unused: tuple[Skipped, ...]) -> list[Flag]:
    named = "; ".join(f"{one.name}: {one.reason.removeprefix(one.name + ': ')}" for one in unused[:_NAMED])
    more = f"; and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
    return [Flag(FlagCode.SERIES_NOT_USED, f"{len(unused)} other series of the study were not used ({named}{more})")]


def _nothing_found(title: str, skipped: tuple[Skipped, ...]) -> str:
    if not skipped:
        return f"{title}: no file was found"
    if len(skipped) == 1:
        return f"{title}: no CT image was found: {skipped[0].name}: {skipped[0].reason}"
    reasons = Counter(one.reason for one in skipped).most_common(_NAMED)
    told = "; ".join(f"{number} × {reason}" for reason, number in reasons)
    return f"{title}: no CT image was found among {len(skipped)} files ({told})"
