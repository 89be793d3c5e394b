"""Small pictures of slices for pages of many: gray values, masks in the colors of the levels, boxes, captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cspine.domain import Box, Vertebra
from cspine.report import BONE, Window, level_color

CAPTION_PX, GAP_PX = 15, 4
BACKGROUND, INK, BOX_INK = (17, 20, 24), (214, 220, 226), (255, 255, 255)
OVERLAY_SHARE = 0.45


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture (rows, columns, 3) uint8 with the lines below it; `aspect` is the height of a pixel over its width."""

    pixels: np.ndarray
    caption: str = ""
    aspect: float = 1.0


def gray_tile(hu: np.ndarray, window: Window = BONE) -> np.ndarray:
    """Return gray values (rows, columns, 3) of a slice."""
    return np.repeat(window.gray(hu)[..., None], 3, axis=-1)


def level_palette() -> np.ndarray:
    """Return uint8 (256, 3): label → color; background is black, thoracic levels share a gray."""
    palette = np.zeros((256, 3), np.uint8)
    for vertebra in Vertebra:
        palette[vertebra] = level_color(vertebra)
    return palette


def mask_tile(labels: np.ndarray) -> np.ndarray:
    """Return the colors (rows, columns, 3) of a slice of a label map."""
    return np.asarray(level_palette()[labels])


def overlay_tile(gray: np.ndarray, labels: np.ndarray, share: float = OVERLAY_SHARE) -> np.ndarray:
    """Return gray values (rows, columns, 3) with the mask laid over them."""
    mixed = gray * (1 - share) + mask_tile(labels) * share
    return np.where((labels > 0)[..., None], mixed, gray).astype(np.uint8)


def with_frames(pixels: np.ndarray, frames: Sequence[tuple[Box, Vertebra | None]], width: int = 1) -> np.ndarray:
    """Return a copy with frames drawn just outside boxes of one slice, in the color of their level, else white."""
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    for box, level in frames:
        (_, top, left), (_, bottom, right) = box.start_zyx, box.stop_zyx
        color = BOX_INK if level is None else level_color(level)
        pen.rectangle((left - width, top - width, right + width - 1, bottom + width - 1), outline=color, width=width)
    return np.asarray(picture)


def montage(tiles: Sequence[Tile], columns: int, width_px: int = 220) -> Image.Image:
    """Return all tiles in rows, each `width_px` wide, with their captions below."""
    if not tiles:
        return Image.new("RGB", (width_px, CAPTION_PX), BACKGROUND)
    pictures = [_scaled(tile, width_px) for tile in tiles]
    font = ImageFont.load_default(CAPTION_PX - 3)
    lines = [_wrapped(tile.caption, font, width_px) for tile in tiles]
    rows = range(0, len(tiles), columns)
    heights = [max(p.height for p in pictures[k : k + columns]) for k in rows]
    texts = [max(len(entry) for entry in lines[k : k + columns]) * CAPTION_PX + 2 for k in rows]
    count = min(columns, len(tiles))
    size = (count * (width_px + GAP_PX) + GAP_PX, sum(heights) + sum(texts) + (len(heights) + 1) * GAP_PX)
    sheet = Image.new("RGB", size, BACKGROUND)
    pen, y = ImageDraw.Draw(sheet), GAP_PX
    for row, (height, text) in enumerate(zip(heights, texts, strict=True)):
        for column, k in enumerate(range(row * columns, min((row + 1) * columns, len(tiles)))):
            x = GAP_PX + column * (width_px + GAP_PX)
            sheet.paste(pictures[k], (x, y))
            for number, line in enumerate(lines[k]):
                pen.text((x + 2, y + height + 1 + number * CAPTION_PX), line, fill=INK, font=font)
        y += height + text + GAP_PX
    return sheet


def png(picture: Image.Image) -> bytes:
    """Return a PNG."""
    out = BytesIO()
    picture.save(out, "PNG", compress_level=6)
    return out.getvalue()


def jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    """Return a JPEG."""
    out = BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _scaled(tile: Tile, width_px: int) -> Image.Image:
    rows, columns = tile.pixels.shape[:2]
    height = max(1, round(width_px * rows / columns * tile.aspect))
    method = Image.Resampling.NEAREST if columns < width_px // 2 else Image.Resampling.BILINEAR
    return Image.fromarray(tile.pixels).resize((width_px, height), method)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> list[str]:
    """Break a caption at blanks; a word that is too long loses its start, as the end of a UID tells more."""
    lines: list[str] = []
    for whole in text.split():
        word = whole
        while font.getlength(word) > width_px - 4:
            word = "…" + word.lstrip("…")[1:]
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width_px - 4:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
