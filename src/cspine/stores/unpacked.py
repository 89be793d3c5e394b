"""What sources share whose files lie in a folder of their own for as long as they are open."""

import tempfile
from abc import ABC, abstractmethod
from typing import Self

from cspine.dicom import Skipped
from cspine.stores.folder import DicomStudy, FolderSource
from cspine.stores.nifti import NiftiStudy


class UnpackedSource(ABC):
    """Studies that are first put into a temporary folder, then read like any folder."""

    def __init__(self) -> None:
        self._unused: list[Skipped] = []
        self._folder = tempfile.TemporaryDirectory(prefix="cspine-", ignore_cleanup_errors=True)

    @property
    @abstractmethod
    def _inside(self) -> FolderSource:
        """Fill the folder, once, and return what reads it."""

    def studies(self) -> tuple[DicomStudy | NiftiStudy, ...]:
        """Return every study; see `Source.studies`."""
        return self._inside.studies()

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was left out beforehand, and files that belong to no study, with the reasons."""
        return (*self._unused, *self._inside.skipped)

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
