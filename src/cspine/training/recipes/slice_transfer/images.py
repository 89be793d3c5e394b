"""Labeled images of a folder, as `cspine.datasets` finds them, with the patient and the hash that a split needs."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from cspine.datasets import index_image_folder
from cspine.domain import ConfigError, NoImages

LABEL = "fracture"
PARTS = {"train": "train", "validation": "valid", "test": "test", "all": ""}


@dataclass(frozen=True)
class FolderImage:
    """One image.

    Attributes
    ----------
    part
        ``train``, ``valid``, ``test``, or empty where the folder has no parts.
    patient
        From the file name; the file itself where nothing is known.
    digest
        SHA-256 of the file: equal files are equal images.
    """

    path: Path
    positive: bool
    part: str
    patient: str
    digest: str


@dataclass(frozen=True)
class FolderImages:
    """All labeled images below a folder, by path.

    Attributes
    ----------
    patients
        What is known of them, in words.
    """

    root: Path
    images: tuple[FolderImage, ...]
    patients: str

    @property
    def has_patients(self) -> bool:
        """Whether anything is known of patients."""
        return self.patients != "by image: no patients known, figures are optimistic"

    @property
    def digest(self) -> str:
        """One hash over names, classes, parts, patients and files."""
        lines = [f"{i.path.relative_to(self.root)} {i.positive} {i.part} {i.patient} {i.digest}" for i in self.images]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def list_images(root: Path, patient_pattern: str = "") -> FolderImages:
    """List the labeled images of a folder.

    Parameters
    ----------
    patient_pattern
        Regular expression for file names; its first group is the patient. Empty: guessed from common beginnings.

    Raises
    ------
    NoImages
        No image in a folder whose name is that of a class, or images of one class only.
    ConfigError
        The pattern is not one, has no group, or does not match a file.
    """
    pattern = _compiled(patient_pattern) if patient_pattern else None
    table = index_image_folder(root).pictures
    images = []
    for row in table.itertuples():
        path = root / str(row.file)
        patient = str(row.patient) if pattern is None else _patient(path, pattern)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        images.append(FolderImage(path, bool(row.label), PARTS[str(row.part)], patient, digest))
    positives = sum(image.positive for image in images)
    if not 0 < positives < len(images):
        raise NoImages(f"{root}: {positives} of {len(images)} images are positive; both classes are needed")
    guessed = int(table["guessed"].sum())
    if pattern is not None:
        known = "grouped by patient"
    elif guessed:
        known = f"grouped by patients guessed from {guessed} of {len(images)} file names"
    else:
        known = "by image: no patients known, figures are optimistic"
    return FolderImages(root, tuple(images), known)


def read_gray(path: Path, size: int) -> np.ndarray:
    """Read an image as (size, size) uint8 gray.

    Raises
    ------
    NoImages
        It cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            gray = image.convert("L").resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(gray, dtype=np.uint8)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise NoImages(f"{path}: cannot be read as an image ({error}); remove it from the folder") from error


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        made = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"patient pattern {pattern!r} is no regular expression: {error}") from error
    if made.groups < 1:
        raise ConfigError(f"patient pattern {pattern!r} has no group; put the patient's part into parentheses")
    return made


def _patient(path: Path, pattern: re.Pattern[str]) -> str:
    found = pattern.search(path.name)
    if found is None:
        raise ConfigError(f"patient pattern {pattern.pattern!r} does not match {path.name}")
    return found[1]
