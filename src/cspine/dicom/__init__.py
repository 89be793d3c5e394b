"""DICOM on both sides: files to volumes of Hounsfield units, volumes to CT image files."""

from cspine.dicom.choice import Choice, NotUsed, choose_series
from cspine.dicom.codes import (
    ALTERED_STRUCTURE,
    ANATOMICAL_STRUCTURE,
    ARTIFICIAL_INTELLIGENCE,
    CERVICAL_SPINE,
    COMMENT,
    CT_OF_CERVICAL_SPINE,
    DECISION_CODES,
    DEVICE,
    FRACTURE,
    FRACTURE_DECISION,
    FRACTURE_PROBABILITY,
    NO_UNITS,
    PRIVATE,
    VERTEBRA,
    VERTEBRA_CODES,
    VISIBLE_FRACTION,
    Code,
)
from cspine.dicom.decode import warm_up
from cspine.dicom.derived import (
    NOTICE,
    DerivedObject,
    derived_header,
    derived_uids,
    frame_of_reference,
    image_references,
    resolve_references,
)
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
    "ALTERED_STRUCTURE",
    "ANATOMICAL_STRUCTURE",
    "ARTIFICIAL_INTELLIGENCE",
    "CERVICAL_SPINE",
    "COMMENT",
    "CT_OF_CERVICAL_SPINE",
    "DECISION_CODES",
    "DEVICE",
    "FRACTURE",
    "FRACTURE_DECISION",
    "FRACTURE_PROBABILITY",
    "NOTICE",
    "NO_UNITS",
    "PRIVATE",
    "VERTEBRA",
    "VERTEBRA_CODES",
    "VISIBLE_FRACTION",
    "Choice",
    "Code",
    "DerivedObject",
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
    "derived_header",
    "derived_uid",
    "derived_uids",
    "frame_of_reference",
    "image_references",
    "place_series",
    "read_images",
    "read_pictures",
    "refusal",
    "resolve_references",
    "scan",
    "to_volume",
    "warm_up",
    "write_atomically",
    "write_ct_images",
    "write_ct_series",
]
