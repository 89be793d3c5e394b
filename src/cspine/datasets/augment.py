"""Random changes of slice images: parameters are drawn, then applied by a pure function.

The set of the `slice-transfer` paper: shifts, flips, rotation, shear up to 20 %, zoom, and a way to fill what moves in.
"""

from dataclasses import dataclass

import numpy as np
from skimage import transform

from cspine.domain import ConfigError

# Name → what `skimage.transform.warp` calls it.
FILLS = {"nearest": "edge", "reflect": "reflect", "wrap": "wrap", "black": "constant"}


@dataclass(frozen=True)
class AugmentRange:
    """How far an image may change.

    Attributes
    ----------
    shift
        Largest move along each axis, share of the side.
    flip_horizontal, flip_vertical
        Probabilities.
    rotation_deg
        Largest angle either way.
    shear
        Largest tangent of the shear either way.
    zoom
        Largest change of size either way, share.
    fill
        One of `FILLS`.
    crop
        Largest part cut off at each side, share; what is left is stretched over the whole image.
    """

    shift: float = 0.1
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    rotation_deg: float = 20.0
    shear: float = 0.2
    zoom: float = 0.2
    fill: str = "nearest"
    crop: float = 0.0

    def __post_init__(self) -> None:
        limits = {
            "shift": 0.5,
            "flip_horizontal": 1.0,
            "flip_vertical": 1.0,
            "rotation_deg": 180.0,
            "shear": 1.0,
            "zoom": 0.9,
            "crop": 0.4,
        }
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:
                raise ConfigError(f"{name} is {getattr(self, name):g}, must be 0 … {limit:g}")
        if self.fill not in FILLS:
            raise ConfigError(f"unknown fill {self.fill!r}; known are {', '.join(FILLS)}")


@dataclass(frozen=True)
class Augmentation:
    """One change, drawn.

    Attributes
    ----------
    shift_rc
        Move down and right, shares of the sides.
    rotation_deg
        Counterclockwise as the image is seen.
    zoom
        1 keeps the size, more makes things larger.
    crop_tlbr
        Cut off at the top, left, bottom and right, shares of the sides.
    """

    shift_rc: tuple[float, float] = (0.0, 0.0)
    flip_horizontal: bool = False
    flip_vertical: bool = False
    rotation_deg: float = 0.0
    shear: float = 0.0
    zoom: float = 1.0
    fill: str = "nearest"
    crop_tlbr: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def text(self) -> str:
        """In a few words."""
        flips = "".join(mark for mark, on in (("↔", self.flip_horizontal), ("↕", self.flip_vertical)) if on)
        down, right = (f"{100 * part:+.0f}" for part in self.shift_rc)
        words = f"{self.rotation_deg:+.0f}° shear {self.shear:+.2f} zoom {self.zoom:.2f} shift {down}/{right} %"
        cut = f" crop {'/'.join(f'{100 * part:.0f}' for part in self.crop_tlbr)} %" if any(self.crop_tlbr) else ""
        return f"{words}{cut} flip {flips}" if flips else f"{words}{cut}"

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the changed image: float32 0 … 1, (rows, columns) as given.

        Parameters
        ----------
        image
            uint8, or float 0 … 1.
        """
        values = image / np.float32(255) if image.dtype == np.uint8 else image
        values = values[:, ::-1] if self.flip_horizontal else values
        values = values[::-1] if self.flip_vertical else values
        moved = (self.shift_rc, self.rotation_deg, self.shear, self.zoom) != ((0.0, 0.0), 0.0, 0.0, 1.0)
        if moved or any(self.crop_tlbr):
            values = transform.warp(
                values, self._matrix(values.shape).inverse, mode=FILLS[self.fill], order=1, preserve_range=True
            )
        return np.clip(np.asarray(values, dtype=np.float32), 0.0, 1.0)

    def _matrix(self, shape: tuple[int, ...]) -> transform.AffineTransform:
        """Return where each (column, row) goes: about the middle of the image, then moved."""
        rows, columns = shape[:2]
        middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
        moved = np.array([self.shift_rc[1] * columns, self.shift_rc[0] * rows])
        angle = -np.deg2rad(self.rotation_deg)  # rows run downward
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = self.zoom * turn @ np.array([[1.0, self.shear], [0.0, 1.0]])
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = linear, middle + moved - linear @ middle
        return transform.AffineTransform(matrix=self._crop(rows, columns) @ matrix)

    def _crop(self, rows: int, columns: int) -> np.ndarray:
        """Return where (column, row) goes when what is left of the image is stretched over all of it."""
        top, left, bottom, right = self.crop_tlbr
        wide, high = 1 / (1 - left - right), 1 / (1 - top - bottom)
        stretch = np.diag([wide, high, 1.0])
        stretch[:2, 2] = [-wide * (left * columns - 0.5) - 0.5, -high * (top * rows - 0.5) - 0.5]
        return stretch


def sample_augmentation(limits: AugmentRange, rng: np.random.Generator) -> Augmentation:
    """Draw one change; equal generators draw equal ones."""
    down, right, angle, shear, zoom, across, over = rng.uniform(-1, 1, 7)
    top, left, bottom, side = (limits.crop * rng.uniform(0, 1, 4)).tolist() if limits.crop else (0.0,) * 4
    return Augmentation(
        shift_rc=(limits.shift * down, limits.shift * right),
        flip_horizontal=bool((across + 1) / 2 < limits.flip_horizontal),
        flip_vertical=bool((over + 1) / 2 < limits.flip_vertical),
        rotation_deg=limits.rotation_deg * angle,
        shear=limits.shear * shear,
        zoom=1 + limits.zoom * zoom,
        fill=limits.fill,
        crop_tlbr=(top, left, bottom, side),
    )
