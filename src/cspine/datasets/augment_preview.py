"""A page that shows what augmentation does to an image folder: ``train/fracture``, ``train/normal``, ``val/…``."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from cspine.datasets.augment import AugmentRange, sample_augmentation
from cspine.datasets.gallery import GalleryPicture, render_gallery
from cspine.datasets.tiles import Tile, montage, png
from cspine.dicom import write_atomically
from cspine.domain import NoImages

SUFFIXES = (".jpg", ".jpeg", ".png")
PREVIEW = "augmentation.html"
TILE_PX = 210


def write_augmentation_preview(
    root: Path, out: Path, limits: AugmentRange, *, images: int = 2, draws: int = 9, seed: int = 0
) -> Path:
    """Write a page with some images of each folder below `root` that holds any, and what augmentation makes of them.

    Parameters
    ----------
    images, draws
        Images of each folder, and changed copies of each.

    Raises
    ------
    NoImages
        No JPEG or PNG below `root`, or one of those to show cannot be read.
    StoreError
        The page cannot be written.
    """
    folders = sorted({path.parent for path in root.rglob("*") if path.suffix.lower() in SUFFIXES})
    if not folders:
        raise NoImages(f"{root}: no JPEG or PNG below it")
    rng = np.random.default_rng(seed)
    pictures = []
    for folder in folders:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        chosen = [paths[int(k)] for k in sorted(rng.permutation(len(paths))[:images])]
        tiles = [tile for path in chosen for tile in _tiles(path, limits, draws, rng)]
        name = folder.relative_to(root).as_posix()
        pictures.append(
            GalleryPicture(
                name, f"{len(paths)} images; {len(chosen)} of them, each followed by {draws} draws", _sheet(tiles)
            )
        )
    intro = (
        f"Rotation up to {limits.rotation_deg:g}°, shear up to {limits.shear:.0%}, zoom up to {limits.zoom:.0%}, "
        f"shift up to {limits.shift:.0%}, crop up to {limits.crop:.0%}, flips with probability "
        f"{limits.flip_horizontal:g} and {limits.flip_vertical:g}, fill “{limits.fill}”, seed {seed}. "
        "A vertical flip puts the spine in front of the airway: no patient is so."
    )
    write_atomically(out / PREVIEW, render_gallery("Augmentation", intro, pictures))
    return out / PREVIEW


def _tiles(path: Path, limits: AugmentRange, draws: int, rng: np.random.Generator) -> list[Tile]:
    try:
        with Image.open(path) as picture:
            image = np.asarray(picture.convert("L"))
    except (OSError, UnidentifiedImageError) as error:
        raise NoImages(f"{path}: cannot be read as an image: {error}") from error
    tiles = [Tile(_rgb(image / np.float32(255)), f"original {path.name}")]
    for _ in range(draws):
        drawn = sample_augmentation(limits, rng)
        tiles.append(Tile(_rgb(drawn.apply(image)), drawn.text))
    return tiles


def _rgb(values: np.ndarray) -> np.ndarray:
    gray = np.rint(values * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


def _sheet(tiles: list[Tile]) -> bytes:
    return png(montage(tiles, 5, TILE_PX))
