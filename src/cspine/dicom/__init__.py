"""DICOM on both sides: files to volumes of Hounsfield units, volumes to CT image files."""

from cspine.dicom.choice import Choice, NotUsed, choose_series
from cspine.dicom.codes import (
    ANATOMICAL_STRUCTURE,
    ARTIFICIAL_INTELLIGENCE,
    CERVICAL_SPINE,
    VERTEBRA,
    VERTEBRA_CODES,
    Code,
)
from cspine.dicom.decode import warm_up
from cspine.dicom.files import write_atomically
from cspine.dicom.header import LoadedSeries, SliceRef, StudyHeader
from cspine.dicom.pictures import Picture, read_pictures
from cspine.dicom.refusal import refusal
from cspine.dicom.scan import scan
from cspine.dicom.series import ScanResult, Series, Skipped, Study
from cspine.dicom.slice_header import PixelState, SliceHeader, SliceHeaderReader
from cspine.dicom.uids import derived_uid
from cspine.dicom.vendors import Vendor
from cspine.dicom.volume import place_series, read_images, to_volume
from cspine.dicom.write import Numbering, Storage, StoredAs, write_ct_images, write_ct_series

__all__ = [
    "ANATOMICAL_STRUCTURE",
    "ARTIFICIAL_INTELLIGENCE",
    "CERVICAL_SPINE",
    "VERTEBRA",
    "VERTEBRA_CODES",
    "Choice",
    "Code",
    "LoadedSeries",
    "NotUsed",
    "Numbering",
    "Picture",
    "PixelState",
    "ScanResult",
    "Series",
    "Skipped",
    "SliceHeader",
    "SliceHeaderReader",
    "SliceRef",
    "Storage",
    "StoredAs",
    "Study",
    "StudyHeader",
    "Vendor",
    "choose_series",
    "derived_uid",
    "place_series",
    "read_images",
    "read_pictures",
    "refusal",
    "scan",
    "to_volume",
    "warm_up",
    "write_atomically",
    "write_ct_images",
    "write_ct_series",
]
