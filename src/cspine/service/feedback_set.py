"""Answered studies as a set to train on, in the layout of RSNA 2022, without what points to the patients.

::

    train.csv, train_bounding_boxes.csv    what radiologists said
    train_images/<uid>/<n>.dcm             the series that was read, de-identified; phantoms as they are
    segmentations/<uid>.nii                the levels as the bundle found them

UIDs and patients are replaced the same way in every export of one service: the studies of one patient stay together.
"""

import gzip
import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cspine.dicom import Image, choose_series, deidentified_images, replaced_uid, scan, write_atomically
from cspine.domain import ConfigError, CspineError, Unreachable
from cspine.service.config import ServiceConfig
from cspine.service.feedback import FeedbackBook, Labeled, tables
from cspine.service.shown import LEVELS
from cspine.service.sorting import IMAGES

SECRET = "feedback.key"


@dataclass(frozen=True)
class SetCounts:
    """What an export holds, and how many studies could not be in it."""

    studies: int
    boxes: int
    left_out: int


def write_set(config: ServiceConfig, book: FeedbackBook, out: Path) -> SetCounts:
    """Write the answered studies into a new folder.

    Raises
    ------
    ConfigError
        `out` holds something.
    Unreachable, Rejected
        The disk cannot be written, or is full.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; give a new folder")
    secret = _secret(config.data_dir / SECRET)
    labeled, left_out = book.labeled()
    written: dict[str, Labeled] = {}
    for one in labeled:
        uid = one.row["study_uid"] if one.row["phantom"] else str(replaced_uid(one.row["study_uid"], secret))
        images = _images(config.studies_dir / one.row["id"] / IMAGES)
        if images is None:
            left_out += 1
            continue
        _write_images(images, one, out / "train_images" / uid, secret)
        levels = config.studies_dir / one.row["id"] / one.row["result"] / LEVELS
        write_atomically(out / "segmentations" / f"{uid}.nii", gzip.decompress(levels.read_bytes()))
        written[uid] = one
    for name, table in tables(written).items():
        write_atomically(out / name, table.encode())
    return SetCounts(len(written), sum(len(one.boxes) for one in written.values()), left_out)


def _images(folder: Path) -> list[Image] | None:
    """Return the images of the series that was read; ``None`` where they have no numbers of their own."""
    try:
        images = list(choose_series(scan([folder]).studies[0].series).chosen.images)
    except (CspineError, IndexError):
        return None
    numbers = [image.instance_number for image in images]
    numbered = None not in numbers and len(set(numbers)) == len(numbers)
    single = all(image.frame_number is None and image.pixels is not None for image in images)
    return images if numbered and single else None


def _write_images(images: Sequence[Image], one: Labeled, folder: Path, secret: bytes) -> None:
    header = one.row["header"]
    patient = header.get("patient_id") or one.row["study_uid"]
    name = "P" + hashlib.sha256(secret + patient.encode()).hexdigest()[:16]
    for image in images:
        assert image.pixels is not None
        path = Path(image.pixels.path)
        content = path.read_bytes() if one.row["phantom"] else next(deidentified_images([path], secret, name))
        write_atomically(folder / f"{image.instance_number}.dcm", content)


def _secret(path: Path) -> bytes:
    """Return what pseudonyms are derived from, made once."""
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
        return path.read_bytes()
    except OSError as error:
        raise Unreachable(f"{path}: cannot be used: {error.strerror or error}") from error
