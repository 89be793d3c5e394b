"""The tables of an index: their columns, and the problems found on the way.

Columns that are elements of DICOM carry its keywords, labels the names of ``train.csv``; everything else is lower case
with its unit at the end. Positions are LPS millimeters.
"""

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from cspine.domain import CERVICAL

SCHEMA = "1.0"
UID = "StudyInstanceUID"
OVERALL = "patient_overall"
LEVELS = tuple(v.name for v in CERVICAL)
TARGETS = (OVERALL, *LEVELS)

SLICES_FILE, STUDIES_FILE, BOXES_FILE, PROBLEMS_FILE = (
    "slices.parquet",
    "studies.parquet",
    "boxes.parquet",
    "problems.csv",
)
# Named on the data page of the challenge's forum and dropped by its winners: their slices are not of one neck in order.
BAD_STUDIES = ("1.2.826.0.1.3680043.20574", "1.2.826.0.1.3680043.29952")

_TEXT = pa.dictionary(pa.int32(), pa.string())

# What the files say, one row a slice …
HEADER_FIELDS: tuple[pa.Field, ...] = (
    pa.field("part", _TEXT),
    pa.field(UID, _TEXT),
    pa.field("file", pa.string()),
    pa.field("slice_number", pa.int32()),
    pa.field("InstanceNumber", pa.int32()),
    pa.field("SOPInstanceUID", pa.string()),
    pa.field("study_in_header", _TEXT),
    pa.field("SeriesInstanceUID", _TEXT),
    pa.field("PatientID", _TEXT),
    pa.field("Modality", _TEXT),
    pa.field("TransferSyntaxUID", _TEXT),
    pa.field("PhotometricInterpretation", _TEXT),
    pa.field("BitsAllocated", pa.int16()),
    pa.field("BitsStored", pa.int16()),
    pa.field("PixelRepresentation", pa.int16()),
    pa.field("Rows", pa.int32()),
    pa.field("Columns", pa.int32()),
    pa.field("pixel_spacing_row_mm", pa.float64()),
    pa.field("pixel_spacing_column_mm", pa.float64()),
    pa.field("WindowCenter", pa.float64()),
    pa.field("WindowWidth", pa.float64()),
    pa.field("RescaleSlope", pa.float64()),
    pa.field("RescaleIntercept", pa.float64()),
    pa.field("x_mm", pa.float64()),
    pa.field("y_mm", pa.float64()),
    pa.field("z_mm", pa.float64()),
    pa.field("orientation", pa.list_(pa.float64())),
    pa.field("SliceThickness", pa.float64()),
    pa.field("ConvolutionKernel", _TEXT),
    pa.field("Manufacturer", _TEXT),
    pa.field("pixels", _TEXT),
    pa.field("file_bytes", pa.int64()),
    pa.field("modified_ns", pa.int64()),
    pa.field("header_hash", pa.string()),
)
# … and what follows from the other slices of the study.
PLACE_FIELDS: tuple[pa.Field, ...] = (
    pa.field("place", pa.int32()),
    pa.field("height_mm", pa.float64()),
    pa.field("gap_mm", pa.float64()),
)
STUDY_FIELDS: tuple[pa.Field, ...] = (
    pa.field("part", pa.string()),
    pa.field(UID, pa.string()),
    pa.field("PatientID", pa.string()),
    pa.field("slices", pa.int32()),
    pa.field("usable", pa.bool_()),
    pa.field("unusable_reason", pa.string()),
    pa.field("TransferSyntaxUID", pa.string()),
    pa.field("PhotometricInterpretation", pa.string()),
    pa.field("BitsStored", pa.int16()),
    pa.field("PixelRepresentation", pa.int16()),
    pa.field("Rows", pa.int32()),
    pa.field("Columns", pa.int32()),
    pa.field("shapes", pa.int32()),
    pa.field("series", pa.int32()),
    pa.field("pixel_spacing_row_mm", pa.float64()),
    pa.field("pixel_spacing_column_mm", pa.float64()),
    pa.field("WindowCenter", pa.float64()),
    pa.field("WindowWidth", pa.float64()),
    pa.field("SliceThickness", pa.float64()),
    pa.field("ConvolutionKernel", pa.string()),
    pa.field("Manufacturer", pa.string()),
    pa.field("spacing_mm", pa.float64()),
    pa.field("extent_mm", pa.float64()),
    pa.field("top_z_mm", pa.float64()),
    pa.field("bottom_z_mm", pa.float64()),
    pa.field("gaps", pa.int32()),
    pa.field("largest_gap_mm", pa.float64()),
    pa.field("same_place", pa.int32()),
    pa.field("z_direction", pa.string()),
    pa.field("first_number", pa.int32()),
    pa.field("last_number", pa.int32()),
    pa.field("broken_files", pa.int32()),
    pa.field("file_bytes", pa.int64()),
    pa.field("study_hash", pa.string()),
    *(pa.field(name, pa.int8()) for name in TARGETS),
    pa.field("boxes", pa.int32()),
    pa.field("mask", pa.string()),
    pa.field("mask_fits", pa.bool_()),
)
BOX_FIELDS: tuple[pa.Field, ...] = (
    pa.field(UID, pa.string()),
    pa.field("slice_number", pa.int32()),
    pa.field("x", pa.float64()),
    pa.field("y", pa.float64()),
    pa.field("width", pa.float64()),
    pa.field("height", pa.float64()),
    pa.field("csv_row", pa.int32()),
)


class Direction(StrEnum):
    """How z changes while the slice number grows."""

    FALLS = "falls"
    RISES = "rises"
    MIXED = "mixed"
    UNKNOWN = "unknown"


class ProblemKind(StrEnum):
    """What a problem is about."""

    ABSENT = "absent"
    BROKEN_FILE = "broken-file"
    BAD_STUDY = "bad-study"
    HEADER = "header"
    GEOMETRY = "geometry"
    COLUMN = "column"
    VALUE = "value"
    UNKNOWN_STUDY = "unknown-study"
    BOX = "box"
    MASK = "mask"


@dataclass(frozen=True)
class Problem:
    """Something that could not be used, or that should be looked at; the rest went on.

    Attributes
    ----------
    file
        Relative to the root.
    row
        Line of the file, the head line being 1; 0 where there are no lines.
    value
        As it stands there.
    study
        Empty when it is about no single study.
    """

    kind: ProblemKind
    file: str
    message: str
    row: int = 0
    value: str = ""
    study: str = ""

    def __str__(self) -> str:
        place = f"{self.file}, row {self.row}" if self.row else self.file
        return f"{place}: {self.message}"


def slice_schema() -> pa.Schema:
    """Return the columns of `SLICES_FILE`."""
    return pa.schema([*HEADER_FIELDS, *PLACE_FIELDS])


def header_schema() -> pa.Schema:
    """Return the columns that come from one file alone."""
    return pa.schema(HEADER_FIELDS)
