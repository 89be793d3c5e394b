"""From the slices of a study to the study."""

from collections.abc import Callable, Mapping

import numpy as np

TOP_SHARE = 0.25

# (slices of a study, labels) → labels
POOLING: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda p: p.mean(axis=0),
    "max": lambda p: p.max(axis=0),
    "top": lambda p: np.sort(p, axis=0)[-max(1, round(TOP_SHARE * len(p))) :].mean(axis=0),
}
