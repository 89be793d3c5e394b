"""What a place that series come from, and a place that results go to, can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from cspine.dicom import LoadedSeries, Skipped, StudyHeader


@dataclass(frozen=True)
class Receipt:
    """What a sink did with one document: where it is now, and its size."""

    where: str
    size_bytes: int


class StudySource(Protocol):
    """One study of a source.

    Attributes
    ----------
    name
        Study UID, or file name where there is none; fit for messages, not for paths.
    study_uid
        ``None`` when the images name no study.
    header
        Patient and study as the first image gives them.
    files
        The files that its images are in, each once, sorted.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class

    @property
    def study_uid(self) -> str | None: ...  # noqa: D102 - see the class

    @property
    def header(self) -> StudyHeader: ...  # noqa: D102 - see the class

    @property
    def files(self) -> tuple[Path, ...]: ...  # noqa: D102 - see the class

    def load(self, series_uid: str | None = None) -> LoadedSeries:
        """Read the series of that UID, or the one that the written rule chooses.

        Raises
        ------
        InputError
            No such series, or it is refused.
        """

    def not_used(self, series_uid: str | None = None) -> tuple[Skipped, ...]:
        """Return the series that `load` would leave aside, with the reasons.

        Raises
        ------
        InputError
            As `load`, as far as headers tell.
        """


class Source(Protocol):
    """A place that studies come from; close it, or use it as a context."""

    def studies(self) -> Sequence[StudySource]:
        """Return every study that was found, in the order of their UIDs.

        Raises
        ------
        NoImages
            There is none; the message says what was there instead.
        """

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that belong to no study, with the reasons."""

    def close(self) -> None:
        """Give back what the source holds (temporary files); loaded series stay valid."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class Sink(Protocol):
    """A place that result documents go to."""

    def send(self, name: str, content: bytes) -> Receipt:
        """Store one document whole or not at all.

        Parameters
        ----------
        name
            Relative path with ``/``, such as ``"1.2.3/findings.json"``.

        Raises
        ------
        StoreError
            It could not be stored; nothing half-written is left.
        """
