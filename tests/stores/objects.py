"""Builders: small CT objects, as the bytes of Part 10 files."""

import warnings
from io import BytesIO

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def ct_dataset(study_uid: str, number: int, *, value: int = 0, side: int = 8) -> Dataset:
    """Return one CT image of a series ``<study>.1``, whose pixels all have a value."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CT_IMAGE, f"{study_uid}.1.{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = study_uid, f"{study_uid}.1"
    made.Modality, made.PatientName, made.PatientID = "CT", "Doe^Jane", "MRN-1"
    made.StudyID = made.AccessionNumber = made.StudyDate = made.StudyTime = ""
    made.InstanceNumber = number
    made.Rows = made.Columns = side
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 1
    made.PixelSpacing, made.SliceThickness = [1, 1], 1
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, -number]
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, 0, "HU"
    made.PixelData = np.full((side, side), value, np.int16).tobytes()
    made["PixelData"].VR = "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def as_file(dataset: Dataset) -> bytes:
    """Return a data set as the bytes of a file, values that DICOM does not allow included."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def ct_file(study_uid: str, number: int, **how: int) -> bytes:
    """Return `ct_dataset` as the bytes of a file."""
    return as_file(ct_dataset(study_uid, number, **how))
