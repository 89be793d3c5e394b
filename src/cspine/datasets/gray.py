"""HU to gray values for looking and for image files, and how much contrast a slice has."""

import numpy as np

from cspine.domain import ConfigError
from cspine.report import BONE, Window

WINDOWS: dict[str, Window] = {
    "bone": BONE,
    "soft": Window(50, 400),
    "brain": Window(40, 80),
    "lung": Window(-600, 1500),
}
# The percentiles that scikit-image's `is_low_contrast` compares.
CONTRAST_PERCENTILES = (1.0, 99.0)
LOW_CONTRAST = 0.35


def window_named(text: str) -> Window:
    """Return a window by name, or from ``"CENTER,WIDTH"`` in HU.

    Raises
    ------
    ConfigError
        Neither of them.
    """
    if text in WINDOWS:
        return WINDOWS[text]
    try:
        center, width = (float(part) for part in text.split(","))
    except ValueError:
        center, width = 0.0, 0.0
    if not 1 <= width <= 65536 or not abs(center) <= 32768:
        raise ConfigError(
            f"unknown window {text!r}; known are {', '.join(WINDOWS)}, or CENTER,WIDTH in HU like 400,1800"
        )
    return Window(center, width)


def slice_contrast(hu: np.ndarray, window: Window = BONE) -> float:
    """Return the spread of the middle 98 % of the gray values of a slice, 0 … 1.

    `skimage.exposure.is_low_contrast` calls an image low in contrast when this lies below its threshold.
    """
    low, high = np.percentile(window.gray(hu), CONTRAST_PERCENTILES)
    return float(high - low) / 255
