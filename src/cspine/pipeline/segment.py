"""The whole-volume stage: where vertebra centers are, and what each voxel is."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax

from cspine.domain import Grid, Volume
from cspine.models import Session
from cspine.pipeline.preprocess import coarse_input
from cspine.pipeline.spec import PipelineSpec


@dataclass(frozen=True, eq=False)
class CoarseMaps:
    """What the coarse network says.

    Attributes
    ----------
    seg
        (12, slice, row, column) probabilities of `SEG_CLASSES`.
    heat
        (9, slice, row, column) center heat of `HEAT_CLASSES`, 0 … 1.
    """

    grid: Grid
    seg: np.ndarray
    heat: np.ndarray


def segment(volume: Volume, session: Session, spec: PipelineSpec, threads: int) -> CoarseMaps:
    """Run the coarse network on a canonical volume."""
    ct, grid = coarse_input(volume, spec.intensity, spec.coarse, threads)
    out = session.run({"ct": ct})
    return CoarseMaps(grid, softmax(out["seg"][0], axis=0), expit(out["heat"][0]))
