"""Tiny trees in the layout of RSNA 2022, written without a renderer: boxes of one value stand for vertebrae.

A study is 12 slices of 32×32 pixels of 4 mm, its vertebrae C1 … C7 are coded boxes from head to foot, and noise of its
own makes its slices unlike those of every other study.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1

LEVELS = tuple(f"C{k}" for k in range(1, 8))
TARGETS = ("patient_overall", *LEVELS)
PREFIX = "1.2.826.0.1.3680043."


@dataclass(frozen=True)
class TinyBox:
    """One row of ``train_bounding_boxes.csv``."""

    x: float
    y: float
    width: float
    height: float
    slice_number: int


@dataclass(frozen=True)
class TinyStudy:
    """A study; defaults are those of most studies of the data set: z falls while the number grows.

    Attributes
    ----------
    number
        Names the study, and seeds its noise.
    fractured
        Levels with label 1.
    odd_shapes
        Slice (0 nearest the head) → (rows, columns).
    missing
        Slices that are not written.
    """

    number: int
    fractured: tuple[str, ...] = ()
    slices: int = 12
    shape: tuple[int, int] = (32, 32)
    spacing_mm: tuple[float, float, float] = (3.0, 4.0, 4.0)
    first_number: int = 1
    z_rises: bool = False
    photometric: str = "MONOCHROME2"
    signed: bool = True
    bits_stored: int = 16
    jpeg: bool = False
    uid: str = ""
    patient: str = ""
    odd_shapes: dict[int, tuple[int, int]] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    mask: bool = False
    islands: int = 0
    boxes: tuple[TinyBox, ...] = ()

    @property
    def study_uid(self) -> str:
        """UID, which is the name of its folder."""
        return self.uid or f"{PREFIX}{self.number}"

    @property
    def labels(self) -> dict[str, int]:
        """The row of ``train.csv``."""
        return {"patient_overall": int(bool(self.fractured)), **{c: int(c in self.fractured) for c in LEVELS}}

    def slice_number(self, place: int) -> int:
        """Return the number of a slice, 0 being nearest the head."""
        return self.first_number + (self.slices - 1 - place if self.z_rises else place)

    def coded(self) -> np.ndarray:
        """Return labels (slice, row, column), slice 0 nearest the head: seven boxes, neighbors share no slice."""
        labels = np.zeros((self.slices, *self.shape), np.uint8)
        rows, columns = self.shape
        for level, part in enumerate(np.array_split(np.arange(self.slices), 7), start=1):
            labels[part, rows // 3 : 2 * rows // 3, columns // 3 : 2 * columns // 3] = level
        return labels

    def hu(self) -> np.ndarray:
        """Return the slices: air, a round neck, boxes of 300 HU + 50 per level, smooth texture and noise of its own."""
        rng = np.random.default_rng([7, self.number])
        rows, columns = self.shape
        y, x = np.mgrid[:rows, :columns]
        center = (rows / 2 + rng.uniform(-2, 2), columns / 2 + rng.uniform(-2, 2))
        radius = np.hypot((y - center[0]) / (0.42 * rows), (x - center[1]) / (rng.uniform(0.36, 0.46) * columns))
        labels = self.coded()
        hu = np.where(radius < 1, 40.0, -1000.0) + np.zeros((self.slices, 1, 1))
        coarse = rng.normal(0, 120, (self.slices, -(-rows // 4), -(-columns // 4)))
        texture = np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)[:, :rows, :columns]
        hu = np.where(labels > 0, 300.0 + 50.0 * labels, hu) + texture * (radius < 1) + rng.normal(0, 15, hu.shape)
        stored: np.ndarray = np.clip(np.rint(hu), -1024, 3000).astype(np.int16)
        return stored


def write_tree(
    root: Path, train: Sequence[TinyStudy], test: Sequence[TinyStudy] = (), test_folder: bool = True
) -> Path:
    """Write studies with their tables, and return the root."""
    root.mkdir(parents=True, exist_ok=True)
    for study in train:
        write_study(root / "train_images", study)
        if study.mask:
            write_mask(root, study)
    for study in test:
        write_study(root / "test_images", study)
    if test_folder:
        (root / "test_images").mkdir(exist_ok=True)
    write_csv(root / "train.csv", ["StudyInstanceUID", *TARGETS], ([s.study_uid, *s.labels.values()] for s in train))
    write_csv(
        root / "train_bounding_boxes.csv",
        ["StudyInstanceUID", "x", "y", "width", "height", "slice_number"],
        ([s.study_uid, b.x, b.y, b.width, b.height, b.slice_number] for s in train for b in s.boxes),
    )
    asked = [(s.study_uid, target) for s in test for target in (*LEVELS, "patient_overall")]
    write_csv(
        root / "test.csv",
        ["row_id", "StudyInstanceUID", "prediction_type"],
        ([f"{uid}_{target}", uid, target] for uid, target in asked),
    )
    return root


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as the data set has them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def write_study(images: Path, study: TinyStudy) -> list[Path]:
    """Write the slices of a study below ``<part>_images``; return them from head to foot."""
    folder = images / study.study_uid
    folder.mkdir(parents=True)
    hu, paths = study.hu(), []
    dataset = _shared(study)
    for place in range(study.slices):
        if place in study.missing:
            continue
        plane = hu[place]
        if place in study.odd_shapes:
            plane = np.resize(plane, study.odd_shapes[place])
        paths.append(folder / f"{study.slice_number(place)}.dcm")
        _write_slice(paths[-1], dataset, study, place, plane)
    return paths


def _shared(study: TinyStudy) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1 if study.jpeg else ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.Modality = "CT"
    dataset.PatientID = study.patient or f"patient-{study.number}"
    dataset.StudyInstanceUID = study.study_uid
    dataset.SeriesInstanceUID = f"{study.study_uid}.1"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = list(study.spacing_mm[1:])
    dataset.SliceThickness = study.spacing_mm[0]
    dataset.ConvolutionKernel = "BONE"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = study.photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, study.bits_stored, study.bits_stored - 1
    dataset.PixelRepresentation = int(study.signed)
    dataset.RescaleIntercept, dataset.RescaleSlope = (0, 1) if study.signed else (-1024, 1)
    dataset.WindowCenter, dataset.WindowWidth = [400, 40], [1800, 400]
    return dataset


def _write_slice(path: Path, dataset: Dataset, study: TinyStudy, place: int, plane: np.ndarray) -> None:
    uid = f"{study.study_uid}.1.{place + 1}"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.InstanceNumber = study.slice_number(place)
    dataset.ImagePositionPatient = [-62.0, -62.0, 100.0 - study.spacing_mm[0] * place]
    dataset.Rows, dataset.Columns = plane.shape
    stored = plane.astype(np.int16) if study.signed else (plane + 1024).astype(np.uint16)
    if study.jpeg:
        import imagecodecs  # noqa: PLC0415  # compressed studies are rare here

        dataset.PixelData = encapsulate(
            [bytes(imagecodecs.jpeg_encode(stored.view(np.uint16), lossless=True, predictor=1, bitspersample=16))]
        )
        dataset["PixelData"].VR = "OB"
    else:
        dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW"
    dcmwrite(path, dataset, enforce_file_format=True)


def write_mask(root: Path, study: TinyStudy, suffix: str = ".nii", shift_voxels: int = 0) -> Path:
    """Write the coded labels sagittally, as the data set has them: axes run from right to left, back and head.

    With nibabel the array that matches the slices from head to foot is ``seg[:, ::-1, ::-1].transpose(2, 1, 0)``.
    """
    labels = study.coded()
    rng = np.random.default_rng(study.number)
    for _ in range(study.islands):
        k, i, j = (int(rng.integers(n)) for n in labels.shape)
        labels[k, i, j] = int(rng.integers(1, 8))
    stored = labels.transpose(2, 1, 0)[:, ::-1, ::-1]
    thick, high, wide = study.spacing_mm
    rows = study.shape[0]
    affine = np.diag([-wide, high, thick, 1.0])
    affine[:3, 3] = [62.0, 62.0 - (rows - 1) * high, 100.0 - thick * (study.slices - 1 + shift_voxels)]
    path = root / "segmentations" / f"{study.study_uid}{suffix}"
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(np.ascontiguousarray(stored), affine), path)
    return path
