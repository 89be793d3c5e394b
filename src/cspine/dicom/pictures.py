"""Read single images as they are, without asking whether they form a volume: for comparing and showing slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cspine.dicom.images import Image
from cspine.dicom.readfile import ImageReader, NotReadable
from cspine.dicom.refusal import image_refusal
from cspine.dicom.volume import decode_images
from cspine.domain import UnsupportedSeries


@dataclass(frozen=True, eq=False)
class Picture:
    """One image.

    Attributes
    ----------
    hu
        (row, column), by its own rescale; inverted values of a MONOCHROME1 image stay inverted.
    pixel_mm
        Between rows, between columns; ``None`` when the header does not say.
    """

    hu: np.ndarray
    pixel_mm: tuple[float, float] | None


def read_pictures(files: Sequence[tuple[Path, str]], workers: int | None = None) -> list[Picture | str]:
    """Read single-frame images.

    Parameters
    ----------
    files
        Path and what messages call it.
    workers
        Child processes that decode.

    Returns
    -------
    list
        In the order of the files: the picture, or the sentence why there is none.
    """
    reader, found = ImageReader(), list[Picture | str]()
    images: list[tuple[int, Image]] = []
    for place, (path, name) in enumerate(files):
        said = _opened(reader, path, name)
        if isinstance(said, str):
            found.append(said)
        else:
            found.append("")
            images.append((place, said))
    for (place, image), hu in zip(images, _decoded([image for _, image in images], workers), strict=True):
        found[place] = hu if isinstance(hu, str) else Picture(hu, image.kind.pixel_spacing_mm)
    return found


def _opened(reader: ImageReader, path: Path, name: str) -> Image | str:
    try:
        images = reader.read(path, name)
    except NotReadable as reason:
        return f"{name}: {reason}"
    if len(images) != 1:
        return f"{name}: {len(images)} frames; single images are compared"
    complaint = image_refusal(images[0])
    return images[0] if complaint is None else f"{name}: {complaint}"


def _decoded(images: Sequence[Image], workers: int | None) -> list[np.ndarray | str]:
    """Decode all at once; when one of them cannot be, one by one."""
    if not images:
        return []
    try:
        return list(decode_images(images, workers))
    except UnsupportedSeries as error:
        if len(images) == 1:
            return [str(error)]
    return [one for image in images for one in _decoded([image], workers)]
