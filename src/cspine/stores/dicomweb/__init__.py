"""DICOM over HTTP (PS3.18): QIDO-RS, WADO-RS, STOW-RS. Built on httpx2."""

from cspine.stores.dicomweb.store import DicomWebStore

__all__ = ["DicomWebStore"]
