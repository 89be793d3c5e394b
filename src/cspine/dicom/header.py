"""What a series says about itself, and the series once read: the shared edge of `dicom`, `stores` and `report`."""

from dataclasses import dataclass

from cspine.domain import Flag, Volume, WorldBox


@dataclass(frozen=True)
class StudyHeader:
    """Patient, study and series as the headers give them; ``None`` where they do not.

    Dates are DICOM DA (``YYYYMMDD``), times DICOM TM, names DICOM PN, unchanged. A NIfTI has only ``None``.
    """

    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    patient_sex: str | None = None
    patient_age: str | None = None
    accession_number: str | None = None
    study_date: str | None = None
    study_time: str | None = None
    study_description: str | None = None
    series_description: str | None = None
    series_number: str | None = None
    body_part: str | None = None
    kernel: str | None = None
    contrast_agent: str | None = None
    manufacturer: str | None = None
    scanner_model: str | None = None
    slice_thickness_mm: float | None = None
    is_phantom: bool = False


@dataclass(frozen=True)
class SliceRef:
    """The image object that one slice of the volume came from.

    Attributes
    ----------
    position_lps_mm
        Center of the first transmitted pixel (ImagePositionPatient).
    first_pixel_rc
        (row, column) of the volume where the image's first pixel lies; not 0 only in a series of mixed shapes.
    """

    sop_class_uid: str
    sop_instance_uid: str
    instance_number: int | None
    frame_number: int | None
    position_lps_mm: tuple[float, float, float]
    first_pixel_rc: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class LoadedSeries:
    """A series as a volume, with what the report needs to point back at it.

    Attributes
    ----------
    volume
        HU on the grid of the original slices: slice axis along the stack, rows and columns as stored.
    slices
        One entry per slice of the volume, in its order; empty when there are no image objects (NIfTI) or when
        the volume was resampled (tilt).
    flags
        What was odd about the series and how it was handled.
    name
        A short name for messages: series UID or file name.
    gaps
        Where slices are missing and the volume was bridged by interpolation.
    """

    volume: Volume
    header: StudyHeader
    slices: tuple[SliceRef, ...]
    flags: tuple[Flag, ...]
    name: str
    gaps: tuple[WorldBox, ...] = ()
