"""Whose object a file is, from its header alone: nothing is decoded, and nothing in it is taken for a path."""

import re
from dataclasses import dataclass
from pathlib import Path

from cspine.dicom import tags
from cspine.dicom.elements import DEFLATED
from cspine.dicom.readfile import NotReadable, read_raw
from cspine.domain import ConfigError, NoImages

_WANTED = frozenset((tags.STUDY_UID, tags.SERIES_UID, tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID, tags.MODALITY))
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_PREAMBLE = 128
_META_FROM = _PREAMBLE + 4
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"


@dataclass(frozen=True)
class ObjectIdentity:
    """What an object says that it is; every UID is well-formed."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    modality: str


def identify(path: Path) -> ObjectIdentity:
    """Read the identity of one DICOM file.

    Raises
    ------
    NoImages
        Not DICOM, damaged, deflated, or without well-formed UIDs of study, series, class and instance.
    """
    try:
        raw = read_raw(path, _WANTED).header
    except NotReadable as error:
        raise NoImages(f"the object cannot be read: {error}") from error
    if raw.transfer_syntax == DEFLATED:
        raise NoImages("a deflated object, which can hide any size; it is not taken")
    uids = [tags.text(raw.values.get(tag)) for tag in _NAMED]
    for name, uid in zip(_NAMED.values(), uids, strict=True):
        if not is_uid(uid):
            raise NoImages(f"{name} is {uid[:_LONGEST_UID]!r}, which is no UID")
    study, series, sop_class, instance = uids
    modality = tags.text(raw.values.get(tags.MODALITY))
    return ObjectIdentity(study, series, sop_class, instance, raw.transfer_syntax, modality)


_NAMED = {
    tags.STUDY_UID: "StudyInstanceUID",
    tags.SERIES_UID: "SeriesInstanceUID",
    tags.SOP_CLASS_UID: "SOPClassUID",
    tags.SOP_INSTANCE_UID: "SOPInstanceUID",
}


def is_uid(text: str) -> bool:
    """Whether text is a UID: digits and dots, at most 64 (PS3.5 9.1); leading zeros, which occur, are let through."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def checked_uid(text: str, what: str) -> str:
    """Return a UID that a user gave.

    Raises
    ------
    ConfigError
        It is none; in a query, a wildcard or a list would ask for much more.
    """
    if not is_uid(text):
        raise ConfigError(
            f"{what} is {text!r}, must be a UID: digits and dots, at most 64, such as 1.2.840.113619.2.55"
        )
    return text


def body_offset(content: bytes) -> int:
    """Return where the data set of a Part 10 file begins, behind the file meta information (PS3.10 7.1); else 0."""
    if content[_PREAMBLE:_META_FROM] != b"DICM":
        return 0
    start = _META_FROM + len(_GROUP_LENGTH)
    if content[_META_FROM:start] != _GROUP_LENGTH:
        return _META_FROM
    return min(len(content), start + 4 + int.from_bytes(content[start : start + 4], "little"))
