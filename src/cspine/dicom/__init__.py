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
from cspine.dicom.deidentify import FACE_WARNING, deidentified_images, replaced_uid, without_patient
from cspine.dicom.derived import (
    NOTICE,
    DerivedObject,
    derived_header,
    derived_uids,
    frame_of_reference,
    image_references,
    resolve_references,
)
from cspine.dicom.files import sync_folder, translated, write_atomically
from cspine.dicom.header import LoadedSeries, SliceRef, StudyHeader
from cspine.dicom.identity import ObjectIdentity, body_offset, checked_uid, identify, is_uid
from cspine.dicom.images import Image
from cspine.dicom.pictures import Picture, read_pictures
from cspine.dicom.query import (
    Level,
    SeriesEntry,
    StudyEntry,
    StudyQuery,
    answer_values,
    json_values,
    query_dataset,
    retrieve_dataset,
    series_entry,
    study_entry,
)
from cspine.dicom.refusal import CT_CLASSES, refusal
from cspine.dicom.scan import scan
from cspine.dicom.series import ScanResult, Series, Skipped, Study
from cspine.dicom.slice_header import PixelState, SliceHeader, SliceHeaderReader
from cspine.dicom.syntaxes import NETWORK_SYNTAXES
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
    "CT_CLASSES",
    "CT_OF_CERVICAL_SPINE",
    "DECISION_CODES",
    "DEVICE",
    "FACE_WARNING",
    "FRACTURE",
    "FRACTURE_DECISION",
    "FRACTURE_PROBABILITY",
    "NETWORK_SYNTAXES",
    "NOTICE",
    "NO_UNITS",
    "PRIVATE",
    "VERTEBRA",
    "VERTEBRA_CODES",
    "VISIBLE_FRACTION",
    "Choice",
    "Code",
    "DerivedObject",
    "Image",
    "Level",
    "LoadedSeries",
    "NotUsed",
    "Numbering",
    "ObjectIdentity",
    "Picture",
    "PixelState",
    "ScanResult",
    "Series",
    "SeriesEntry",
    "Skipped",
    "SliceHeader",
    "SliceHeaderReader",
    "SliceRef",
    "Storage",
    "StoredAs",
    "Study",
    "StudyEntry",
    "StudyHeader",
    "StudyQuery",
    "Vendor",
    "answer_values",
    "body_offset",
    "checked_uid",
    "choose_series",
    "deidentified_images",
    "derived_header",
    "derived_uid",
    "derived_uids",
    "frame_of_reference",
    "identify",
    "image_references",
    "is_uid",
    "json_values",
    "place_series",
    "query_dataset",
    "read_images",
    "read_pictures",
    "refusal",
    "replaced_uid",
    "resolve_references",
    "retrieve_dataset",
    "scan",
    "series_entry",
    "study_entry",
    "sync_folder",
    "to_volume",
    "translated",
    "warm_up",
    "without_patient",
    "write_atomically",
    "write_ct_images",
    "write_ct_series",
]
