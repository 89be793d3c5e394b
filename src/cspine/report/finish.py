"""From an object of highdicom to bytes: our header over its own, real references, nothing that depends on the clock."""

from io import BytesIO
from typing import Any

import highdicom
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from cspine.dicom import Code, DerivedObject, LoadedSeries, derived_header, derived_uid, resolve_references
from cspine.domain import Analysis, RenderError

_OF_THE_CLOCK = ("InstanceCreationDate", "InstanceCreationTime")
_OF_THE_DATE = {
    "DateOfSecondaryCapture": "ContentDate",
    "PresentationCreationDate": "ContentDate",
    "TimeOfSecondaryCapture": "ContentTime",
    "PresentationCreationTime": "ContentTime",
}
_NO_CONTENT_DATE = ("PR",)
IMPLEMENTATION = UID(derived_uid("cspine", "implementation"))


def concept(code: Code) -> Any:
    """Return a code as highdicom takes it."""
    return highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)


def algorithm(analysis: Analysis) -> dict[str, Any]:
    """Return who did it, by the keywords of both of highdicom's algorithm identifications."""
    findings = analysis.findings
    return {
        "name": findings.model_name[:64],
        "version": f"{findings.software}, model {findings.model_id}"[:64],
    }


def highdicom_identity(analysis: Analysis, header: Dataset) -> dict[str, Any]:
    """Return series and equipment of an object, by the keywords of highdicom's constructors."""
    return {
        "series_instance_uid": header.SeriesInstanceUID,
        "sop_instance_uid": header.SOPInstanceUID,
        "series_number": int(header.SeriesNumber),
        "instance_number": 1,
        "manufacturer": str(header.Manufacturer),
    }


def equipment(header: Dataset) -> dict[str, str]:
    """Return the equipment further, where highdicom insists on it."""
    return {
        "manufacturer_model_name": str(header.ManufacturerModelName),
        "software_versions": str(header.SoftwareVersions),
        "device_serial_number": str(header.DeviceSerialNumber),
    }


def finished(made: Dataset, analysis: Analysis, source: LoadedSeries, derived: DerivedObject) -> bytes:
    """Return an object as a DICOM file: the same result gives the same bytes.

    Raises
    ------
    RenderError
        A value cannot be written.
    """
    header = derived_header(analysis, source, derived)
    dataset = Dataset({element.tag: element for element in made})
    for keyword in _OF_THE_CLOCK:
        if keyword in dataset:
            delattr(dataset, keyword)
    for keyword, of in _OF_THE_DATE.items():
        if keyword in dataset:
            setattr(dataset, keyword, header[of].value)
    if derived.modality in _NO_CONTENT_DATE:
        del header.ContentDate, header.ContentTime
    dataset.update(header)
    _rename_dimensions(dataset, derived_uid("dimensions", str(header.SOPInstanceUID)))
    resolve_references(dataset, source)
    return _encoded(dataset, source, derived)


def _rename_dimensions(dataset: Dataset, uid: str) -> None:
    """Replace the random UID of a dimension organization inplace."""
    items = (*dataset.get("DimensionOrganizationSequence", ()), *dataset.get("DimensionIndexSequence", ()))
    for item in items:
        item.DimensionOrganizationUID = uid


def _encoded(dataset: Dataset, source: LoadedSeries, derived: DerivedObject) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION
    plain = Dataset()
    plain.update(dataset)
    plain.file_meta = meta
    out = BytesIO()
    try:
        dcmwrite(out, plain, enforce_file_format=True)
    except (ValueError, TypeError, OSError) as error:
        raise RenderError(f"{derived.title} of {source.name}: a value cannot be written as DICOM: {error}") from error
    return out.getvalue()
