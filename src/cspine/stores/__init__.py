"""Where series come from and where results go."""

from cspine.stores.archive import ZipSource
from cspine.stores.folder import DicomStudy, FolderSource
from cspine.stores.nifti import NiftiSource, NiftiStudy, read_nifti, read_nifti_labels
from cspine.stores.opening import open_source
from cspine.stores.protocols import Receipt, Sink, Source, StudySource
from cspine.stores.sink import FolderSink

__all__ = [
    "DicomStudy",
    "FolderSink",
    "FolderSource",
    "NiftiSource",
    "NiftiStudy",
    "Receipt",
    "Sink",
    "Source",
    "StudySource",
    "ZipSource",
    "open_source",
    "read_nifti",
    "read_nifti_labels",
]
