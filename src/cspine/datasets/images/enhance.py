"""How a slice becomes a gray picture: window, contrast enhancement, filter. The methods are scikit-image's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from skimage import exposure, filters, restoration

from cspine.domain import ConfigError
from cspine.report import BONE, Window

Step = Callable[[np.ndarray], np.ndarray]
CLAHE_CLIP = 0.02
GAMMA = 0.7


def _stretched(gray: np.ndarray) -> np.ndarray:
    low, high = np.percentile(gray, (1, 99))
    if high <= low:
        return gray
    return np.asarray(exposure.rescale_intensity(gray, in_range=(low, high), out_range=(0.0, 1.0)))


def _equalized(gray: np.ndarray) -> np.ndarray:
    return np.asarray(exposure.equalize_hist(gray))


def _clahe(gray: np.ndarray) -> np.ndarray:
    return np.asarray(exposure.equalize_adapthist(gray, clip_limit=CLAHE_CLIP))


def _same(gray: np.ndarray) -> np.ndarray:
    return gray


# Each takes and returns float gray values, 0 … 1 (rows, columns). Name → what it does, and how.
ENHANCEMENTS: Mapping[str, tuple[str, Step]] = {
    "none": ("as windowed", _same),
    "stretch": ("1st and 99th percentile to black and white", _stretched),
    "equalize": ("histogram equalization", _equalized),
    "clahe": (f"adaptive histogram equalization (CLAHE), clip limit {CLAHE_CLIP:g}", _clahe),
    "gamma": (f"gamma {GAMMA:g}, dark parts brighter", lambda gray: np.asarray(exposure.adjust_gamma(gray, GAMMA))),
}
FILTERS: Mapping[str, tuple[str, Step]] = {
    "none": ("no filter", _same),
    "median": ("median of 3 × 3", lambda gray: np.asarray(filters.median(gray, np.ones((3, 3))))),
    "gaussian": ("Gaussian, sigma 1 pixel", lambda gray: np.asarray(filters.gaussian(gray, 1.0))),
    "unsharp": ("unsharp mask, radius 2, amount 1", lambda gray: np.asarray(filters.unsharp_mask(gray, 2.0, 1.0))),
    "tv": (
        "total variation denoising, weight 0.05: smooth areas, sharp edges",
        lambda gray: np.asarray(restoration.denoise_tv_chambolle(gray, weight=0.05)),
    ),
    "bilateral": (
        "bilateral, 0.05 in gray, 2 pixels",
        lambda gray: np.asarray(restoration.denoise_bilateral(gray, sigma_color=0.05, sigma_spatial=2)),
    ),
}


@dataclass(frozen=True)
class Look:
    """Window, then filter, then enhancement.

    Attributes
    ----------
    enhance, filtered
        Names in `ENHANCEMENTS` and `FILTERS`.
    """

    window: Window = BONE
    enhance: str = "none"
    filtered: str = "none"

    def __post_init__(self) -> None:
        for name, known, what in ((self.enhance, ENHANCEMENTS, "enhancement"), (self.filtered, FILTERS, "filter")):
            if name not in known:
                raise ConfigError(f"unknown {what} {name!r}; known are {', '.join(known)}")

    @property
    def name(self) -> str:
        """A word for file names and captions."""
        parts = [name for name in (self.filtered, self.enhance) if name != "none"]
        return "+".join(parts) or "plain"

    def apply(self, hu: np.ndarray) -> np.ndarray:
        """Return uint8 gray values of a slice (rows, columns)."""
        gray = self.window.gray(hu)
        if (self.enhance, self.filtered) == ("none", "none"):
            return gray
        shaped = ENHANCEMENTS[self.enhance][1](FILTERS[self.filtered][1](gray / 255.0))
        return np.asarray(np.rint(np.clip(shaped, 0.0, 1.0) * 255).astype(np.uint8))
