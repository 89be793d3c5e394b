"""The page of the result for every viewer: as a secondary capture, and as the PDF inside DICOM."""

from collections.abc import Mapping
from io import BytesIO

import highdicom
import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from cspine.dicom import DerivedObject, LoadedSeries, derived_header
from cspine.domain import Analysis
from cspine.report.finish import finished, highdicom_identity
from cspine.report.pdf import render_page, render_pdf

CAPTURE_OBJECT = DerivedObject("sc", "OT", 9904, "page of the result")
PDF_OBJECT = DerivedObject("dicom-pdf", "DOC", 9906, "report as PDF")
PAGE_PPI = 110.0


def render_capture(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return the page as an RGB secondary capture; it names no times, so that it repeats to the byte."""
    page = np.asarray(Image.open(BytesIO(render_page(analysis, source, {}, PAGE_PPI))).convert("RGB"))
    header = derived_header(analysis, source, CAPTURE_OBJECT)
    made = highdicom.sc.SCImage(
        pixel_array=page,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=header.StudyInstanceUID,
        patient_orientation=("L", "F"),
        **highdicom_identity(analysis, header),
    )
    made.PatientOrientation, made.Laterality = None, ""
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES"
    return finished(made, analysis, source, CAPTURE_OBJECT)


def render_dicom_pdf(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return `report.pdf` inside DICOM (PS3.3 A.45.1); it names no times, so that it repeats to the byte."""
    document = render_pdf(analysis, source, {})
    made = Dataset()
    made.SOPClassUID = EncapsulatedPDFStorage
    made.AcquisitionDateTime, made.BurnedInAnnotation = None, "YES"
    made.ConversionType, made.Laterality = "WSD", ""
    made.DocumentTitle, made.ConceptNameCodeSequence = "CT cervical spine: AI result, unverified", []
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return finished(made, analysis, source, PDF_OBJECT)
