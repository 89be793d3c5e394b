"""A folder that results are written to."""

from pathlib import Path, PurePosixPath

from cspine.dicom import write_atomically
from cspine.domain import Rejected
from cspine.stores.protocols import Receipt


class FolderSink:
    """Writes documents below one folder, each whole or not at all.

    Parameters
    ----------
    folder
        Made when the first document comes.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def send(self, name: str, content: bytes) -> Receipt:
        """Store one document, replacing an older one; see `Sink.send`."""
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts or "\0" in name:
            raise Rejected(f"{name!r} is no path below {self._folder}")
        path = self._folder.joinpath(*relative.parts)
        write_atomically(path, content)
        return Receipt(str(path), len(content))
