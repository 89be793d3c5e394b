"""Write a volume as a series of CT Image objects (PS3.3 A.3)."""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from pydicom.valuerep import DSfloat

from cspine.dicom import syntaxes
from cspine.dicom.files import translated
from cspine.dicom.header import StudyHeader
from cspine.dicom.persontext import PHANTOM_MARK
from cspine.dicom.uids import content_digest, derived_uid
from cspine.dicom.vendors import HABITS, Habits, Vendor
from cspine.domain import Rejected, Volume

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLEMENTATION_UID = derived_uid("cspine", "implementation")

_WINDOW = ("400", "2000")
_ENCODER_THREADS = 4
_BEYOND_HU = -1000


class StoredAs(StrEnum):
    """Transfer syntaxes that are written."""

    RAW = syntaxes.RAW
    JPEG_LOSSLESS = syntaxes.JPEG_LOSSLESS


@dataclass(frozen=True)
class Numbering:
    """InstanceNumber of the slices; files are named after it.

    Attributes
    ----------
    first
        The lowest number.
    backward
        Whether the last slice of the volume has the lowest number.
    """

    first: int = 1
    backward: bool = False

    def of(self, slices: int) -> range:
        """Return the number of each slice of the volume, in its order."""
        last = self.first + slices - 1
        return range(last, self.first - 1, -1) if self.backward else range(self.first, last + 1)


@dataclass(frozen=True)
class Storage:
    """How the images of a series are stored, and what is odd about them.

    Attributes
    ----------
    stored_as
        Transfer syntaxes, taken in turn from slice to slice.
    monochrome1
        Whether images are marked to be shown inverted; values stay what they are (PS3.3 C.7.6.3.1.2).
    trimmed, trimmed_rows
        Slices that lack that many of the last rows.
    left_out
        Slices that are not written; the others keep their numbers.
    row_step
        Each slice begins this many rows behind the one before, as with a tilted gantry.
    """

    stored_as: tuple[StoredAs, ...] = (StoredAs.RAW,)
    vendor: Vendor = Vendor.CSPINE
    numbering: Numbering = field(default_factory=Numbering)
    monochrome1: bool = False
    trimmed: range = range(0)
    trimmed_rows: int = 0
    left_out: range = range(0)
    row_step: int = 0

    def written(self, slices: int) -> list[int]:
        """Return the slices of a volume that are written, in its order."""
        return [index for index in range(slices) if index not in self.left_out]

    def syntax(self, index: int) -> StoredAs:
        """Return the transfer syntax of a slice."""
        return self.stored_as[index % len(self.stored_as)]


def write_ct_series(
    volume: Volume,
    folder: Path,
    *,
    header: StudyHeader | None = None,
    stored_as: StoredAs = StoredAs.RAW,
    vendor: Vendor = Vendor.CSPINE,
    numbering: Numbering | None = None,
    seed: int = 0,
) -> list[Path]:
    """Write one CT Image object per slice (first array axis) of a volume.

    Parameters
    ----------
    volume
        In any orientation; HU that the maker's format cannot hold are clipped, fractions rounded.
    folder
        Made when absent. Files are called ``<InstanceNumber>.dcm``; either all of them appear or none.
    header
        Patient, study and series. Missing UIDs are derived from `seed` and the voxels. ``is_phantom`` marks the
        images in StudyDescription and ImageComments.

    Returns
    -------
    list of Path
        One per slice, in the order of the volume.

    Raises
    ------
    Rejected
        A file of that name exists, or the disk is full.
    Unreachable
        The folder cannot be written.
    """
    storage = Storage((stored_as,), vendor, numbering or Numbering())
    return write_ct_images(volume, folder, storage, header=header, seed=seed)


def write_ct_images(
    volume: Volume, folder: Path, storage: Storage, *, header: StudyHeader | None = None, seed: int = 0
) -> list[Path]:
    """Write the slices of a volume with all oddities that `storage` asks for; else as `write_ct_series`.

    Returns
    -------
    list of Path
        One per slice that was written, in the order of the volume.

    Raises
    ------
    Rejected, Unreachable
        As `write_ct_series`.
    """
    numbers = storage.numbering.of(volume.grid.shape[0])
    slices = storage.written(volume.grid.shape[0])
    paths = [folder / f"{numbers[index]}.dcm" for index in slices]
    existing = next((path for path in paths if path.exists()), None)
    if existing is not None:
        raise Rejected(f"{existing} exists and is not overwritten; give an empty folder")
    writer = _SliceWriter(volume, _shared(volume, header or StudyHeader(), HABITS[storage.vendor], seed), storage)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _staging(folder) as stage, ThreadPoolExecutor(_ENCODER_THREADS) as pool:
            staged = [stage / path.name for path in paths]
            list(pool.map(writer.write, slices, (numbers[index] for index in slices), staged))
            for source, target in zip(staged, paths, strict=True):
                os.replace(source, target)
    except OSError as error:
        raise translated(error, folder) from error
    return paths


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder inside `folder` that is gone afterwards."""
    stage = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


class _SliceWriter:
    """Writes single slices of one series."""

    def __init__(self, volume: Volume, shared: Dataset, storage: Storage):
        self.volume, self.shared, self.storage = volume, shared, storage
        self.habits = HABITS[storage.vendor]

    def write(self, index: int, number: int, path: Path) -> None:
        dataset = Dataset({element.tag: element for element in self.shared})
        dataset.SOPInstanceUID = derived_uid(str(dataset.SeriesInstanceUID), number)
        dataset.InstanceNumber = number
        first_row, hu = self._plane(index)
        dataset.ImagePositionPatient = _decimals(self.volume.grid.to_world(np.array([index, first_row, 0])))
        dataset.Rows = hu.shape[0]
        dataset.PhotometricInterpretation = "MONOCHROME1" if self.storage.monochrome1 else "MONOCHROME2"
        stored_as = self.storage.syntax(index)
        dataset.PixelData = _encoded(_stored(hu, self.habits), self.habits, stored_as)
        dataset["PixelData"].VR = "OW" if stored_as is StoredAs.RAW else "OB"
        dataset.file_meta = _file_meta(dataset.SOPInstanceUID, stored_as)
        buffer = io.BytesIO()
        dcmwrite(buffer, dataset, enforce_file_format=True)
        path.write_bytes(buffer.getbuffer())

    def _plane(self, index: int) -> tuple[int, np.ndarray]:
        """Return the first row of an image on the volume's grid, and its HU; rows beyond the volume are air."""
        hu = self.volume.hu[index]
        step = self.storage.row_step
        first = step * index if step >= 0 else step * (index + 1 - len(self.volume.hu))
        if first:
            beyond = np.full((min(first, len(hu)), hu.shape[1]), _BEYOND_HU, dtype=hu.dtype)
            hu = np.concatenate([hu[first:], beyond])
        if index in self.storage.trimmed:
            hu = hu[: len(hu) - self.storage.trimmed_rows]
        return first, hu


def _file_meta(instance_uid: str, stored_as: StoredAs) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(CT_IMAGE)
    meta.MediaStorageSOPInstanceUID = UID(instance_uid)
    meta.TransferSyntaxUID = UID(stored_as.value)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    return meta


def _shared(volume: Volume, header: StudyHeader, habits: Habits, seed: int) -> Dataset:
    """Return everything that is the same in all slices; they share its elements, so none of these is set again."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    content = content_digest(np.ascontiguousarray(volume.hu), volume.grid.affine)
    study_uid = header.study_instance_uid or derived_uid("study", seed, header.patient_id or "", content)
    dataset.SOPClassUID = CT_IMAGE
    dataset.StudyInstanceUID = study_uid
    dataset.SeriesInstanceUID = header.series_instance_uid or derived_uid(
        "series", study_uid, seed, repr(habits), content
    )
    dataset.FrameOfReferenceUID = volume.grid.frame_uid or derived_uid("frame", study_uid)
    _describe_patient(dataset, header)
    _describe_series(dataset, header, habits)
    _describe_plane(dataset, volume, header)
    _describe_pixels(dataset, volume, habits)
    return dataset


def _describe_patient(dataset: Dataset, header: StudyHeader) -> None:
    phantom = header.is_phantom
    dataset.PatientName = header.patient_name or (f"{PHANTOM_MARK}^CSPINE" if phantom else "")
    dataset.PatientID = header.patient_id or ""
    dataset.PatientBirthDate = header.birth_date or ""
    dataset.PatientSex = header.patient_sex or ""
    if header.patient_age:
        dataset.PatientAge = header.patient_age
    dataset.AccessionNumber = header.accession_number or ""
    dataset.StudyID = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDate = header.study_date or ""
    dataset.StudyTime = header.study_time or ""
    description = header.study_description or ""
    if phantom and PHANTOM_MARK not in description.upper():
        description = f"{PHANTOM_MARK} {description}".strip()
    if description:
        dataset.StudyDescription = description
    if phantom:
        dataset.ImageComments = f"{PHANTOM_MARK}: synthetic images, not a patient"


def _describe_series(dataset: Dataset, header: StudyHeader, habits: Habits) -> None:
    dataset.Modality = "CT"
    dataset.SeriesNumber = header.series_number or "1"
    if header.series_description:
        dataset.SeriesDescription = header.series_description
    dataset.Manufacturer = header.manufacturer or habits.manufacturer
    dataset.ManufacturerModelName = header.scanner_model or habits.model
    dataset.BodyPartExamined = header.body_part or "CSPINE"
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.ImageType = [part for part in ("ORIGINAL", "PRIMARY", "AXIAL", habits.extra_image_type) if part]
    dataset.AcquisitionNumber = 1
    dataset.KVP = "120"
    dataset.ConvolutionKernel = header.kernel or habits.kernel
    if header.contrast_agent:
        dataset.ContrastBolusAgent = header.contrast_agent


def _describe_plane(dataset: Dataset, volume: Volume, header: StudyHeader) -> None:
    _, row_direction, column_direction = volume.grid.directions
    spacing = volume.grid.spacing_mm
    # A DICOM row runs along increasing column index, a column along increasing row index (PS3.3 C.7.6.2.1.1).
    dataset.ImageOrientationPatient = _decimals(np.concatenate([column_direction, row_direction]))
    dataset.PixelSpacing = _decimals(np.array(spacing[1:]))
    dataset.SliceThickness = _decimal(header.slice_thickness_mm or spacing[0])


def _describe_pixels(dataset: Dataset, volume: Volume, habits: Habits) -> None:
    dataset.Columns = volume.grid.shape[2]
    dataset.SamplesPerPixel = 1
    dataset.BitsAllocated = 16
    dataset.BitsStored = habits.bits_stored
    dataset.HighBit = habits.bits_stored - 1
    dataset.PixelRepresentation = int(habits.signed)
    dataset.RescaleIntercept = str(habits.intercept)
    dataset.RescaleSlope = "1"
    if habits.rescale_type:
        dataset.RescaleType = habits.rescale_type
    if habits.padding is not None:
        dataset.add_new("PixelPaddingValue", "SS" if habits.signed else "US", habits.padding)
    dataset.WindowCenter, dataset.WindowWidth = _WINDOW


def _decimal(value: float) -> DSfloat:
    """Return a number as a decimal string of at most 16 characters."""
    return DSfloat(float(value), auto_format=True)


def _decimals(values: np.ndarray) -> list[DSfloat]:
    return [_decimal(value) for value in values.tolist()]


def _stored(hu: np.ndarray, habits: Habits) -> np.ndarray:
    low, high = habits.stored_range
    wide = np.rint(hu).astype(np.int32) - habits.intercept
    clipped: np.ndarray = np.clip(wide, low, high)
    return clipped.astype(np.int16 if habits.signed else np.uint16)


def _encoded(stored: np.ndarray, habits: Habits, stored_as: StoredAs) -> bytes:
    if stored_as is StoredAs.RAW:
        return stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
    # Selection value 1, as the transfer syntax demands; libjpeg-turbo knows no signed samples.
    mask = np.uint16((1 << habits.bits_stored) - 1)
    stream = imagecodecs.jpeg_encode(
        stored.view(np.uint16) & mask, lossless=True, predictor=1, bitspersample=habits.bits_stored
    )
    return encapsulate([bytes(stream)], has_bot=False)
