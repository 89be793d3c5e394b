"""The header of everything that is written into an archive beside a series, and references to the series' images.

One door: patient and study as the source has them, a series and UIDs of our own, and in every object the words "AI,
unverified", the hash of the model and the version of the software (docs/decisions, "DICOM results").
"""

import re
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID

from cspine.dicom.codes import PROCESSING_EQUIPMENT, Code
from cspine.dicom.header import LoadedSeries
from cspine.dicom.uids import derived_uid
from cspine.domain import Analysis

MANUFACTURER = "cspine"
NOTICE = "AI result, not verified by a physician. Research use only, not a medical device."
# Of objects whose study has no date: results carry the study's time, so that the same result has the same bytes.
NO_DATE, NO_TIME = "19000101", "000000"
CT_IMAGE_CLASS = UID("1.2.840.10008.5.1.4.1.1.2")

_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_AGE = re.compile(r"\d{3}[DWMY]")
_LONGEST_WORDS, _LONGEST_SHORT = 64, 16


@dataclass(frozen=True)
class DerivedObject:
    """One kind of object that is derived from a series.

    Attributes
    ----------
    kind
        Part of its UIDs.
    series_number
        Each kind has a series of its own.
    title
        What the series is called in a list, without the words that all of them share.
    """

    kind: str
    modality: str
    series_number: int
    title: str


def derived_uids(analysis: Analysis, source: LoadedSeries, kind: str) -> tuple[str, str]:
    """Return SeriesInstanceUID and SOPInstanceUID of a result.

    They follow from pixels, header, findings (bundle and software are among them), labels, map and kind: the same
    result keeps its UIDs, and whatever differs gets others.
    """
    content = (
        source.volume.digest,
        analysis.labels.digest,
        b"" if analysis.fracture_map is None else analysis.fracture_map.digest,
        repr((source.header, source.slices, source.flags, analysis.findings, analysis.map_threshold)),
    )
    return derived_uid("result series", kind, *content), derived_uid("result", kind, *content)


def derived_header(analysis: Analysis, source: LoadedSeries, derived: DerivedObject) -> Dataset:
    """Return the elements of patient, study, series, equipment and origin of a result.

    Parameters
    ----------
    source
        Has a StudyInstanceUID; words of its header that DICOM does not allow are cut or left out.
    """
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    _describe_patient(header, source)
    header.SeriesInstanceUID, header.SOPInstanceUID = derived_uids(analysis, source, derived.kind)
    header.Modality, header.SeriesNumber, header.InstanceNumber = derived.modality, derived.series_number, 1
    phantom = "PHANTOM " if source.header.is_phantom else ""
    header.SeriesDescription = f"{phantom}AI, unverified: {derived.title} (cspine)"
    header.ContentDate, header.ContentTime = header.StudyDate or NO_DATE, header.StudyTime or NO_TIME
    findings = analysis.findings
    header.Manufacturer, header.ManufacturerModelName = MANUFACTURER, _words(findings.model_name)
    header.SoftwareVersions, header.DeviceSerialNumber = _words(findings.software), _words(findings.model_id)
    equipment = Dataset()
    equipment.Manufacturer, equipment.ManufacturerModelName = MANUFACTURER, _words(findings.model_name)
    equipment.SoftwareVersions = _words(findings.software)
    equipment.DeviceSerialNumber = _words(findings.model_id)
    equipment.ContributionDescription = f"{NOTICE} Model {_words(findings.model_id)}, {_words(findings.software)}."
    equipment.PurposeOfReferenceCodeSequence = [code_item(PROCESSING_EQUIPMENT)]
    header.ContributingEquipmentSequence = [equipment]
    return header


def code_item(code: Code) -> Dataset:
    """Return a code as an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def frame_of_reference(source: LoadedSeries) -> str:
    """Return the frame of reference of the series, or one derived from its UID when the series names none."""
    return source.volume.grid.frame_uid or derived_uid("frame", source.header.series_instance_uid or source.name)


def image_references(source: LoadedSeries) -> list[Dataset]:
    """Return a header for each slice of the volume, on its grid, as an image that results may refer to.

    Images that stand for several slices (frames; neighbors of a gap) get a name of their own for each, which
    `resolve_references` replaces.
    """
    grid = source.volume.grid
    _, row_direction, column_direction = grid.directions
    positions = grid.to_world(np.array([(k, 0, 0) for k in range(grid.shape[0])]))
    names = _reference_uids(source)
    images = []
    for index, name in enumerate(names):
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = CT_IMAGE_CLASS, name
        if source.slices and source.slices[index].frame_number is None:
            image.SOPClassUID = UID(source.slices[index].sop_class_uid)
        image.StudyInstanceUID = source.header.study_instance_uid
        image.SeriesInstanceUID = source.header.series_instance_uid
        image.FrameOfReferenceUID = frame_of_reference(source)
        image.PatientName = image.PatientID = image.PatientBirthDate = image.PatientSex = ""
        image.AccessionNumber = image.StudyID = image.StudyDate = image.StudyTime = image.ReferringPhysicianName = ""
        image.Modality, image.PositionReferenceIndicator, image.InstanceNumber = "CT", "", index + 1
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows, image.Columns = grid.shape[1:]
        image.ImagePositionPatient = _rounded(positions[index])
        image.ImageOrientationPatient = _rounded(np.concatenate([column_direction, row_direction]))
        image.PixelSpacing = _rounded(np.array(grid.spacing_mm[1:]))
        image.SliceThickness = image.SpacingBetweenSlices = _rounded(np.array(grid.spacing_mm[:1]))[0]
        images.append(image)
    return images


def resolve_references(dataset: Dataset, source: LoadedSeries) -> None:
    """Replace the names of `image_references` inplace by the images and frames that they stand for."""
    real = {
        name: one
        for name, one in zip(_reference_uids(source), source.slices, strict=False)
        if name != one.sop_instance_uid
    }
    if not real:
        return
    for element in dataset:
        if element.VR != "SQ":
            continue
        for item in element.value:
            resolve_references(item, source)
            one = real.get(str(item.get("ReferencedSOPInstanceUID", "")))
            if one is not None:
                item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
                if one.frame_number is not None and element.keyword not in _OF_WHOLE_IMAGES:
                    item.ReferencedFrameNumber = one.frame_number
        if element.keyword in _OF_WHOLE_IMAGES:
            each = {str(item.get("ReferencedSOPInstanceUID", id(item))): item for item in element.value}
            element.value = list(each.values())


# Lists of images of which each stands once, without frames.
_OF_WHOLE_IMAGES = ("ReferencedInstanceSequence", "ReferencedSOPSequence")


def _reference_uids(source: LoadedSeries) -> list[str]:
    if not source.slices:
        series = source.header.series_instance_uid or source.name
        return [derived_uid("resampled slice", series, k) for k in range(source.volume.grid.shape[0])]
    uids = [one.sop_instance_uid for one in source.slices]
    if len(set(uids)) == len(uids) and all(one.frame_number is None for one in source.slices):
        return uids
    return [derived_uid("slice", uid, k) for k, uid in enumerate(uids)]


def _describe_patient(header: Dataset, source: LoadedSeries) -> None:
    of = source.header
    header.PatientName, header.PatientID = _name(of.patient_name), _words(of.patient_id)
    header.PatientBirthDate, header.PatientSex = _matching(_DATE, of.birth_date), _sex(of.patient_sex)
    if _matching(_AGE, of.patient_age):
        header.PatientAge = of.patient_age
    header.StudyInstanceUID = of.study_instance_uid
    header.StudyID, header.ReferringPhysicianName = "", ""
    header.AccessionNumber = _words(of.accession_number, _LONGEST_SHORT)
    header.StudyDate, header.StudyTime = _matching(_DATE, of.study_date), _matching(_TIME, of.study_time)
    description = _words(of.study_description)
    if description:
        header.StudyDescription = description


def _matching(pattern: re.Pattern[str], value: str | None) -> str:
    return value if value and pattern.fullmatch(value) else ""


def _sex(value: str | None) -> str:
    return value if value in ("M", "F", "O") else ""


def _words(value: str | None, longest: int = _LONGEST_WORDS) -> str:
    """Return text as LO or SH allow it: one line, no backslash, no lone surrogate, not too long."""
    told = (value or "").encode("utf-8", errors="replace").decode("utf-8")
    return "".join(c if c.isprintable() and c != "\\" else " " for c in told).strip()[:longest].strip()


def _name(value: str | None) -> str:
    """Return a person name of at most three groups, each as long as DICOM allows (PS3.5 6.2)."""
    groups = [_words(group) for group in (value or "").split("=")[:3]]
    return "=".join("^".join(group.split("^")[:5]) for group in groups)


def _rounded(values: np.ndarray) -> list[float]:
    """Return numbers as decimal strings hold them: at most ten decimals, no minus zero."""
    rounded: list[float] = (np.round(values, 10) + 0.0).tolist()
    return [float(f"{value:.10g}") for value in rounded]
