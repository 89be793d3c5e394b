"""Where series come from and where results go."""

from importlib import import_module
from typing import TYPE_CHECKING

from cspine.stores.access import Access, read_access
from cspine.stores.addresses import is_remote, open_store
from cspine.stores.archive import ZipSource
from cspine.stores.folder import DicomStudy, FolderSource
from cspine.stores.inbox import Delivery, Inbox, InboxLimits, Kept, ReceivedStudy
from cspine.stores.nifti import NiftiSource, NiftiStudy, read_nifti, read_nifti_labels
from cspine.stores.opening import open_source
from cspine.stores.protocols import Receipt, Sink, Source, StudySource
from cspine.stores.remote import RemoteSource, RemoteStore
from cspine.stores.sink import FolderSink
from cspine.stores.tls import TlsFiles

if TYPE_CHECKING:
    from cspine.stores.dicomweb import DicomWebStore
    from cspine.stores.dimse import DimsePeer, DimseStore, MoveTo, Receiver, ReceiverConfig

__all__ = [
    "Access",
    "Delivery",
    "DicomStudy",
    "DicomWebStore",
    "DimsePeer",
    "DimseStore",
    "FolderSink",
    "FolderSource",
    "Inbox",
    "InboxLimits",
    "Kept",
    "MoveTo",
    "NiftiSource",
    "NiftiStudy",
    "Receipt",
    "ReceivedStudy",
    "Receiver",
    "ReceiverConfig",
    "RemoteSource",
    "RemoteStore",
    "Sink",
    "Source",
    "StudySource",
    "TlsFiles",
    "ZipSource",
    "is_remote",
    "open_source",
    "open_store",
    "read_access",
    "read_nifti",
    "read_nifti_labels",
]

# What speaks over a network is imported when it is first asked for (PEP 562): reading a folder does not need it.
_LATE = {"DicomWebStore": "dicomweb"} | dict.fromkeys(
    ("DimsePeer", "DimseStore", "MoveTo", "Receiver", "ReceiverConfig"), "dimse"
)


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
