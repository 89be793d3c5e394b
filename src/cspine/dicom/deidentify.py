"""CT images without what points to the patient: the basic profile of PS3.15 Annex E, stricter.

The profile lists what to remove; this keeps only what is listed here: geometry, pixels, how the scanner was set.
Everything else goes, private elements too. UIDs are replaced, the same ones by the same ones within one export,
unpredictably.
"""

import hashlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID

from cspine.domain import NoImages

METHOD = "cspine: PS3.15 basic profile, only listed attributes kept"
FACE_WARNING = (
    "Names, dates and identifiers are removed. A face can still be computed from a CT of the head: share these images "
    "only with those who may see the patient."
)
# What a reader of CT needs, by PS3.3: general image, image plane, image pixel, CT image.
KEPT = (
    "SpecificCharacterSet",
    "ImageType",
    "SOPClassUID",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "SliceThickness",
    "KVP",
    "SpacingBetweenSlices",
    "DataCollectionDiameter",
    "ReconstructionDiameter",
    "GantryDetectorTilt",
    "TableHeight",
    "RotationDirection",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "FilterType",
    "ConvolutionKernel",
    "PatientPosition",
    "AcquisitionNumber",
    "InstanceNumber",
    "SeriesNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "WindowCenter",
    "WindowWidth",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "PixelData",
    "BodyPartExamined",
    "NumberOfFrames",
    "PlanarConfiguration",
)
_REPLACED_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# Type 2 attributes must be there, empty (PS3.3 C.7.1.1, C.7.2.1).
_EMPTY = (
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)


def deidentified_images(files: Sequence[Path], secret: bytes, name: str) -> Iterator[bytes]:
    """Yield each file without what points to the patient, as DICOM.

    Parameters
    ----------
    secret
        UIDs are derived from it: fresh for each export, so that exports cannot be joined.
    name
        What the patient is called instead.

    Raises
    ------
    NoImages
        A file is no DICOM.
    """
    for path in files:
        try:
            source = pydicom.dcmread(path)
        except (InvalidDicomError, OSError) as error:
            raise NoImages(f"{path.name}: not DICOM, it cannot be de-identified") from error
        made = BytesIO()
        without_patient(source, secret, name).save_as(made, enforce_file_format=True)
        yield made.getvalue()


def without_patient(source: Dataset, secret: bytes, name: str) -> Dataset:
    """Return a copy that holds only `KEPT`, new UIDs, and empty what must be there; see `deidentified_images`."""
    made = Dataset()
    for keyword in KEPT:
        if keyword in source:
            made[keyword] = source[keyword]
    for keyword in _REPLACED_UIDS:
        if source.get(keyword):
            setattr(made, keyword, replaced_uid(str(source[keyword].value), secret))
    for keyword in _EMPTY:
        setattr(made, keyword, None)
    made.PatientName = made.PatientID = name
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = METHOD[:64]
    made.DeidentificationMethodCodeSequence = DicomSequence([_basic_profile()])
    made.BurnedInAnnotation = source.get("BurnedInAnnotation", "NO")
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = source.file_meta.TransferSyntaxUID
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def replaced_uid(original: str, secret: bytes) -> UID:
    """Return a UID of the 2.25 root (PS3.5 B.2) that nobody without the secret can trace back."""
    digest = hashlib.sha256(secret + original.encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def _basic_profile() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    return code
