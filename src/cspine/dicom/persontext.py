"""Words about patient, study and series, in whatever character set the file uses (PS3.5 section 6.1)."""

import re
import warnings

from pydicom.charset import convert_encodings, decode_bytes

from cspine.dicom import tags
from cspine.dicom.header import StudyHeader

PHANTOM_MARK = "PHANTOM"

_PHANTOM = re.compile(rf"\b{PHANTOM_MARK}\b", re.IGNORECASE)
_PHANTOM_TAGS = (tags.PATIENT_NAME, tags.STUDY_DESCRIPTION, tags.SERIES_DESCRIPTION, tags.IMAGE_COMMENTS)
_PLAIN_TAGS = {
    "study_instance_uid": tags.STUDY_UID,
    "series_instance_uid": tags.SERIES_UID,
    "birth_date": tags.BIRTH_DATE,
    "patient_sex": tags.SEX,
    "patient_age": tags.AGE,
    "study_date": tags.STUDY_DATE,
    "study_time": tags.STUDY_TIME,
    "series_number": tags.SERIES_NUMBER,
    "body_part": tags.BODY_PART,
}
_WORDED_TAGS = {
    "patient_name": tags.PATIENT_NAME,
    "patient_id": tags.PATIENT_ID,
    "accession_number": tags.ACCESSION,
    "study_description": tags.STUDY_DESCRIPTION,
    "series_description": tags.SERIES_DESCRIPTION,
    "kernel": tags.KERNEL,
    "contrast_agent": tags.CONTRAST_AGENT,
    "manufacturer": tags.MANUFACTURER,
    "scanner_model": tags.MODEL,
}


def study_header(value: dict[int, bytes]) -> StudyHeader:
    """Return patient, study and series as the elements give them."""
    encodings = _encodings(value.get(tags.CHARACTER_SET))
    words = {name: _decoded(value.get(tag), encodings) or None for name, tag in _WORDED_TAGS.items()}
    plain = {name: tags.text(value.get(tag)) or None for name, tag in _PLAIN_TAGS.items()}
    phantom = any(_PHANTOM.search(_decoded(value.get(tag), encodings)) for tag in _PHANTOM_TAGS)
    return StudyHeader(**words, **plain, slice_thickness_mm=tags.number(value.get(tags.THICKNESS)), is_phantom=phantom)


def _encodings(value: bytes | None) -> list[str]:
    with warnings.catch_warnings():  # an unknown character set is read as the default one
        warnings.simplefilter("ignore")
        try:
            return list(convert_encodings([part.strip() for part in tags.text(value).split("\\")]))
        except LookupError:
            return ["iso8859"]


def _decoded(value: bytes | None, encodings: list[str]) -> str:
    if not value:
        return ""
    if encodings == ["iso8859"] and value.isascii():
        return value.decode("ascii").strip("\0 ")
    with warnings.catch_warnings():  # bytes outside the declared set become replacement characters
        warnings.simplefilter("ignore")
        try:
            return decode_bytes(value, encodings, {0x5C, 0x5E, 0x3D}).strip("\0 ")
        except (LookupError, UnicodeError):
            return value.decode("latin-1").strip("\0 ")
