"""What the named options make of one and the same slice."""

import numpy as np

from cspine.datasets.gallery import GalleryPicture, render_gallery
from cspine.datasets.images.enhance import ENHANCEMENTS, FILTERS, Look
from cspine.datasets.tiles import Tile, montage, png

TILE_PX = 270


def look_preview(slices: list[tuple[str, np.ndarray]], look: Look) -> bytes:
    """Return a page with each enhancement and each filter on the same slices.

    Parameters
    ----------
    slices
        Caption and HU (rows, columns).
    look
        The one that was chosen; it comes first, and its window is that of all.
    """
    pictures = [_row("Chosen", f"{look.name}, {look.window.text}", [look], slices)]
    for title, known, make in (("Enhancements", ENHANCEMENTS, _enhanced), ("Filters", FILTERS, _filtered)):
        looks = [make(look, name) for name in known]
        words = "; ".join(f"{name}: {what}" for name, (what, _) in known.items())
        pictures.append(_row(title, words, looks, slices))
    intro = (
        "The same slices under each named option. Enhancements come after filters; both work on windowed gray values."
    )
    return render_gallery("Looks of slices", intro, pictures)


def _enhanced(look: Look, name: str) -> Look:
    return Look(look.window, enhance=name)


def _filtered(look: Look, name: str) -> Look:
    return Look(look.window, filtered=name)


def _row(title: str, words: str, looks: list[Look], slices: list[tuple[str, np.ndarray]]) -> GalleryPicture:
    tiles = [
        Tile(np.repeat(look.apply(hu)[..., None], 3, axis=-1), f"{look.name} · {caption}")
        for caption, hu in slices
        for look in looks
    ]
    columns = len(looks) if len(looks) > 1 else max(1, len(slices))
    return GalleryPicture(title, words, png(montage(tiles, min(columns, 6), min(TILE_PX, 1100 // min(columns, 6)))))
