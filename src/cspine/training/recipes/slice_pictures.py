"""Slices of stacks as one picture: gray values, masks in the colors of the levels, boxes, captions."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

from cspine.domain import Vertebra
from cspine.report import level_color
from cspine.training.recipes.experiment_page import PagePicture

WIDTH_PX, CAPTION_PX, GAP_PX = 300, 16, 4
BACKGROUND, INK = (17, 20, 24), (214, 220, 226)
OVERLAY_SHARE = 0.4
HEAT_SHARE = 0.6
DASH_PX = 6


@dataclass(frozen=True)
class Frame:
    """A box: first row, first column, last row, last column as edges in pixels; white without a level."""

    edges: tuple[float, float, float, float]
    level: Vertebra | None = None
    dashed: bool = False
    text: str = ""


@dataclass(frozen=True, eq=False)
class ShownSlice:
    """One slice: gray (R, C) uint8; mask (R, C) with k + 1 for level k, heat (R, C) 0 … 1, or ``None``."""

    gray: np.ndarray
    mask: np.ndarray | None = None
    frames: tuple[Frame, ...] = ()
    caption: str = ""
    heat: np.ndarray | None = None


def draw_slices(slices: Sequence[ShownSlice], alt: str, columns: int = 3, caption: str = "") -> PagePicture:
    """Return all slices in rows of one PNG."""
    tiles = [_tile(one) for one in slices]
    rows = -(-len(tiles) // columns)
    wide = min(columns, max(1, len(tiles)))
    cell = WIDTH_PX + CAPTION_PX + 4
    sheet = Image.new("RGB", (wide * (WIDTH_PX + GAP_PX) + GAP_PX, rows * (cell + GAP_PX) + GAP_PX), BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION_PX - 3)
    for number, (tile, one) in enumerate(zip(tiles, slices, strict=True)):
        row, column = divmod(number, columns)
        x, y = GAP_PX + column * (WIDTH_PX + GAP_PX), GAP_PX + row * (cell + GAP_PX)
        sheet.paste(tile, (x, y))
        pen.text((x + 2, y + WIDTH_PX + 2), one.caption, fill=INK, font=font)
    out = io.BytesIO()
    sheet.save(out, "PNG", compress_level=6)
    return PagePicture(out.getvalue(), "image/png", alt, caption)


def _tile(one: ShownSlice) -> Image.Image:
    picture = Image.fromarray(np.asarray(one.gray)).convert("RGB").resize((WIDTH_PX,) * 2, Image.Resampling.BILINEAR)
    if one.mask is not None:
        picture = _colored(picture, np.asarray(one.mask))
    if one.heat is not None:
        picture = _heated(picture, np.asarray(one.heat, dtype=np.float32))
    pen = ImageDraw.Draw(picture)
    scale = WIDTH_PX / one.gray.shape[0]
    for frame in one.frames:
        top, left, bottom, right = (edge * scale for edge in frame.edges)
        color = (255, 255, 255) if frame.level is None else level_color(frame.level)
        corners = (left, top, max(right, left + 1), max(bottom, top + 1))
        if frame.dashed:
            _dashed(pen, corners, color)
        else:
            pen.rectangle(corners, outline=color, width=2)
        if frame.text:
            pen.text((left + 2, max(0, top - 13)), frame.text, fill=color, font=ImageFont.load_default(11))
    return picture


def _colored(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    palette = np.zeros((256, 3), np.uint8)
    for vertebra in Vertebra:
        palette[vertebra] = level_color(vertebra)
    grown = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(picture.size, Image.Resampling.NEAREST))
    gray = np.asarray(picture)
    mixed = gray * (1 - OVERLAY_SHARE) + palette[grown] * OVERLAY_SHARE
    return Image.fromarray(np.where((grown > 0)[..., None], mixed, gray).astype(np.uint8))


def _heated(picture: Image.Image, heat: np.ndarray) -> Image.Image:
    """Lay warm colors over a picture, the stronger the less of it is seen."""
    grown = np.asarray(Image.fromarray(heat).resize(picture.size, Image.Resampling.BILINEAR))
    colors = np.asarray(colormaps["inferno"](grown))[..., :3] * 255
    share = HEAT_SHARE * grown[..., None]
    return Image.fromarray((np.asarray(picture) * (1 - share) + colors * share).astype(np.uint8))


def _dashed(pen: ImageDraw.ImageDraw, corners: tuple[float, float, float, float], color: tuple[int, int, int]) -> None:
    left, top, right, bottom = corners
    for a, b in (
        ((left, top), (right, top)),
        ((left, bottom), (right, bottom)),
        ((left, top), (left, bottom)),
        ((right, top), (right, bottom)),
    ):
        length = max(abs(b[0] - a[0]), abs(b[1] - a[1]))
        for start in np.arange(0, length, 2 * DASH_PX):
            end = min(start + DASH_PX, length)
            p, q = (tuple(a[i] + (b[i] - a[i]) * at / max(length, 1) for i in range(2)) for at in (start, end))
            pen.line((*p, *q), fill=color, width=1)
