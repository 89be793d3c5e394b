"""DICOM over its own network protocol (DIMSE): ask, fetch, send, and receive. Built on pynetdicom."""

from cspine.stores.dimse.association import DimsePeer
from cspine.stores.dimse.receiver import Receiver, ReceiverConfig
from cspine.stores.dimse.store import DimseStore, MoveTo

__all__ = ["DimsePeer", "DimseStore", "MoveTo", "Receiver", "ReceiverConfig"]
