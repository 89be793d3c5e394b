"""Queries and answers of an archive (PS3.4 C.6, PS3.18 10.6): what is asked for, and nothing else.

Names of patients are never asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from cspine.domain import ConfigError


class Level(StrEnum):
    """What an answer is about."""

    STUDY = "STUDY"
    SERIES = "SERIES"


RETURNED: Mapping[Level, tuple[str, ...]] = {
    Level.STUDY: (
        "StudyInstanceUID",
        "StudyDate",
        "AccessionNumber",
        "StudyDescription",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedInstances",
    ),
    Level.SERIES: ("SeriesInstanceUID", "Modality", "SeriesDescription", "NumberOfSeriesRelatedInstances"),
}
_LONGEST = 64


@dataclass(frozen=True)
class StudyQuery:
    """Which studies are looked for: all that is given must fit. Wildcards are the archive's own ``*`` and ``?``.

    Attributes
    ----------
    study_date
        ``YYYYMMDD``, or a range ``YYYYMMDD-YYYYMMDD``.
    """

    study_uid: str = ""
    patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""

    def __post_init__(self) -> None:
        for name, value in self.matching.items():
            if len(value) > _LONGEST or not value.isprintable() or "\\" in value:
                raise ConfigError(f"{name} is {value[:_LONGEST]!r}, must be at most {_LONGEST} printable characters")

    @property
    def matching(self) -> dict[str, str]:
        """Keyword → value of what is given."""
        given = {
            "StudyInstanceUID": self.study_uid,
            "PatientID": self.patient_id,
            "AccessionNumber": self.accession_number,
            "StudyDate": self.study_date,
        }
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class StudyEntry:
    """A study that an archive has. Texts are as the archive gave them: not fit for a terminal."""

    study_uid: str
    study_date: str
    accession_number: str
    description: str
    modalities: str
    images: int | None


@dataclass(frozen=True)
class SeriesEntry:
    """A series that an archive has.

    Attributes
    ----------
    images
        How many it has, where the archive says so.
    """

    series_uid: str
    modality: str
    description: str
    images: int | None


def query_dataset(level: Level, matching: Mapping[str, str]) -> Dataset:
    """Return the identifier of a C-FIND request."""
    asked = Dataset()
    asked.QueryRetrieveLevel = level.value
    for name in RETURNED[level]:
        setattr(asked, name, None)
    for name, value in matching.items():
        setattr(asked, name, value)
    return asked


def retrieve_dataset(study_uid: str, series_uid: str) -> Dataset:
    """Return the identifier of a C-GET or C-MOVE request for one series."""
    asked = Dataset()
    asked.QueryRetrieveLevel = Level.SERIES.value
    asked.StudyInstanceUID, asked.SeriesInstanceUID = study_uid, series_uid
    return asked


def answer_values(answer: Dataset, level: Level) -> dict[str, str]:
    """Return keyword → text of an answer; several values are joined by a backslash."""
    texts = {}
    for name in RETURNED[level]:
        value = answer.get(name)
        several = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
        texts[name] = "\\".join("" if one is None else str(one) for one in several)
    return texts


def json_values(answer: object, level: Level) -> dict[str, str]:
    """Return keyword → text of an answer in the DICOM JSON model (PS3.18 F.2), whatever it really is."""
    texts = dict.fromkeys(RETURNED[level], "")
    if not isinstance(answer, dict):
        return texts
    for name in texts:
        element = answer.get(f"{tag_for_keyword(name):08X}")
        values = element.get("Value") if isinstance(element, dict) else None
        if isinstance(values, list):
            texts[name] = "\\".join(str(one) for one in values if isinstance(one, str | int | float))
    return texts


def study_entry(values: Mapping[str, str]) -> StudyEntry:
    """Return an answer of level study."""
    return StudyEntry(
        values["StudyInstanceUID"].strip("\0 "),
        values["StudyDate"],
        values["AccessionNumber"],
        values["StudyDescription"],
        values["ModalitiesInStudy"],
        _count(values["NumberOfStudyRelatedInstances"]),
    )


def series_entry(values: Mapping[str, str]) -> SeriesEntry:
    """Return an answer of level series."""
    return SeriesEntry(
        values["SeriesInstanceUID"].strip("\0 "),
        values["Modality"].strip(),
        values["SeriesDescription"],
        _count(values["NumberOfSeriesRelatedInstances"]),
    )


def _count(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None
