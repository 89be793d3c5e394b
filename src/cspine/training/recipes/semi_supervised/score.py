"""From slices to a patient.

Legend: N slices, L levels, T = 1 + L targets.
"""

import numpy as np

LEAST_SHOWN = 1e-9


def patient_scores(finding_NL: np.ndarray, visible_NL: np.ndarray) -> np.ndarray:
    """Return the probabilities of one study (T,) from those of its slices.

    A level: mean over the slices, weighted by how probably each shows the level. The study: 1 − Π (1 − level).
    """
    weight = visible_NL + LEAST_SHOWN
    level = (weight * finding_NL).sum(axis=0) / weight.sum(axis=0)
    return np.concatenate([[1 - np.prod(1 - level)], level])
