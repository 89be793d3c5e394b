"""Results into an archive: what was rendered and stored is sent, byte for byte, and sent again as it was."""

from dataclasses import replace
from pathlib import Path

from cspine.domain import NoImages, Rejected, StoreError, Unreachable
from cspine.report import GROUPS, RENDERERS, renderer
from cspine.stores import Receipt, RemoteStore
from cspine.workflow.case import CaseResult

DICOM_GROUP = "dicom"
_MEDIA_TYPE = "application/dicom"
_NAMES = tuple(one.file_name for one in RENDERERS.values() if one.media_type == _MEDIA_TYPE)


def has_dicom(kinds: tuple[str, ...]) -> bool:
    """Whether some kinds of documents are fit for an archive."""
    return any(renderer(one).media_type == _MEDIA_TYPE for kind in kinds for one in GROUPS.get(kind, (kind,)))


def send_results(result: CaseResult, archive: RemoteStore, folder: Path) -> CaseResult:
    """Send the DICOM documents of a result, and return it with what the archive acknowledged.

    Parameters
    ----------
    folder
        Where the documents are already, for the message.

    Raises
    ------
    StoreError
        The archive does not take them; they stay in `folder`.
    """
    dicom = {kind: one for kind, one in result.documents.items() if renderer(kind).media_type == _MEDIA_TYPE}
    documents = {renderer(kind).file_name: document for kind, document in dicom.items()}
    return replace(result, receipts=(*result.receipts, *_sent(documents, archive, folder)))


def send_folder(folder: Path, archive: RemoteStore) -> tuple[Receipt, ...]:
    """Send the DICOM results that lie in a folder, as they are; sending them twice is one result.

    Raises
    ------
    Unreachable
        The folder cannot be read.
    NoImages
        There are none.
    StoreError
        The archive does not take them.
    """
    documents = dicom_results(folder)
    if not documents:
        raise NoImages(f"{folder} holds no DICOM result; those are called {', '.join(_NAMES)}")
    return _sent(documents, archive, folder)


def dicom_results(folder: Path) -> dict[str, bytes]:
    """Return the DICOM results that lie in a folder, by name; raises `Unreachable` when it cannot be read."""
    try:
        return {name: (folder / name).read_bytes() for name in _NAMES if (folder / name).is_file()}
    except OSError as error:
        raise Unreachable(f"{error.filename}: cannot be read: {error.strerror or error}") from error


def _sent(documents: dict[str, bytes], archive: RemoteStore, folder: Path) -> tuple[Receipt, ...]:
    try:
        return archive.send_all(documents)
    except StoreError as error:
        told = f"{error}. The results are in {folder}; send them again with: cspine pacs send ADDRESS {folder}"
        if isinstance(error, Rejected):
            raise Rejected(told, status=error.status) from error
        raise type(error)(told) from error
