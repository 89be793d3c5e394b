"""Archives that are asked over a network: what each of them can do, and one of their studies as a source."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from cspine.dicom import SeriesEntry, Skipped, StudyEntry, StudyQuery, checked_uid
from cspine.domain import NoImages, Rejected
from cspine.stores.folder import FolderSource
from cspine.stores.inbox import Inbox, InboxLimits
from cspine.stores.protocols import Receipt
from cspine.stores.unpacked import UnpackedSource

# A study of the largest accepted size, and room for its other series.
FETCH_LIMITS = InboxLimits(total_bytes=24 * 2**30, free_bytes=2**28)
READ_MODALITY = "CT"


class RemoteStore(Protocol):
    """An archive. Every method raises `Unreachable`, `StoreTimeout` or `Rejected` when the archive fails."""

    @property
    def name(self) -> str:
        """What messages call it; without secrets."""

    def echo(self) -> None:
        """Ask whether it is there and lets us in."""

    def find_studies(self, query: StudyQuery, limit: int) -> list[StudyEntry]:
        """Return at most so many studies."""

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        """Return the series of a study; nothing when there is no such study."""

    def fetch(self, study_uid: str, series_uid: str, inbox: Inbox) -> None:
        """Put all images of a series into an inbox."""

    def send(self, name: str, content: bytes) -> Receipt:
        """Store one DICOM object; see `Sink.send`. What is there already is there, too, afterwards."""

    def send_all(self, documents: Mapping[str, bytes]) -> tuple[Receipt, ...]:
        """Store several DICOM objects in one go."""


class RemoteSource(UnpackedSource):
    """One study of an archive: its CT series are fetched into a temporary folder, then read like any folder.

    Parameters
    ----------
    series_uid
        Fetch only this series.

    Raises
    ------
    ConfigError
        A UID is none.
    StoreError
        When it is read: the archive fails, or gives fewer images than it says it has.
    """

    def __init__(self, store: RemoteStore, study_uid: str, series_uid: str | None = None):
        self._store, self._study_uid = store, checked_uid(study_uid, "--study")
        self._series_uid = None if series_uid is None else checked_uid(series_uid, "--series")
        super().__init__()  # last: nothing refused above leaves a folder behind

    @cached_property
    def _inside(self) -> FolderSource:
        inbox = Inbox(Path(self._folder.name), FETCH_LIMITS)
        for series in self._wanted():
            before = inbox.count(self._study_uid)
            self._store.fetch(self._study_uid, series.series_uid, inbox)
            came = inbox.count(self._study_uid) - before
            if series.images is not None and came < series.images:
                raise Rejected(
                    f"{self._store.name} gave {came} of the {series.images} images of series {series.series_uid}; "
                    "it may still be filling: try again"
                )
        received = inbox.seal(self._study_uid)
        if received is None:
            raise NoImages(f"{self._store.name} gave no image of study {self._study_uid}")
        return FolderSource([received.folder], f"study {self._study_uid} of {self._store.name}")

    def _wanted(self) -> list[SeriesEntry]:
        found = self._store.find_series(self._study_uid)
        if not found:
            raise NoImages(f"{self._store.name} has no study {self._study_uid}")
        if self._series_uid is not None:
            chosen = [one for one in found if one.series_uid == self._series_uid]
            if not chosen:
                raise NoImages(f"study {self._study_uid} has no series {self._series_uid}; it has {_listed(found)}")
            return chosen
        wanted = [one for one in found if one.modality in (READ_MODALITY, "")]
        self._unused += [
            Skipped(f"series {one.series_uid}", f"of modality {one.modality}, not {READ_MODALITY}; not fetched")
            for one in found
            if one not in wanted
        ]
        if not wanted:
            raise NoImages(f"study {self._study_uid} of {self._store.name} has no CT series; it has {_listed(found)}")
        return wanted


def _listed(series: Sequence[SeriesEntry]) -> str:
    return ", ".join(f"{one.series_uid} ({one.modality or 'no modality'})" for one in series)
