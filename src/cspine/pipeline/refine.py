"""The per-vertebra stage: a mask and a center for each named candidate.

The network completes a vertebra that the edge of the scan cuts ("amodal" mask); the share of that mask inside the
scanned field is the visible fraction.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import expit

from cspine.domain import Grid, Vertebra, Volume
from cspine.models import Session
from cspine.pipeline.atlas import ring_center
from cspine.pipeline.chain import NamedCenter
from cspine.pipeline.preprocess import inside_field, prompt, refine_grid, refine_input
from cspine.pipeline.spec import PipelineSpec, RefineSpec

BATCH = 1  # as fast as several at once, and with less memory


@dataclass(frozen=True, eq=False)
class RefinedVertebra:
    """One vertebra on its own crop grid.

    Attributes
    ----------
    mask_logit
        float32 on `grid`: completed mask, also beyond the scanned field.
    confidence
        Posterior probability of the name.
    center_heat
        Largest heat of the center, 0 … 1.
    """

    vertebra: Vertebra
    grid: Grid
    mask_logit: np.ndarray
    center_lps_mm: np.ndarray
    visible_fraction: float
    confidence: float
    center_heat: float = 1.0


def refine(
    volume: Volume, named: list[NamedCenter], session: Session, spec: PipelineSpec, threads: int
) -> list[RefinedVertebra]:
    """Run the refining network on a canonical volume, once per named vertebra down to T1.

    A vertebra that was only inferred from its neighbors is kept when the network sees its center.
    """
    gauss = prompt(spec.refine)
    # The chain has seen the whole neck: a center far from its place belongs to a neighbor.
    near = gauss ** ((spec.refine.prompt_sigma_mm / spec.refine.center_sigma_mm) ** 2)
    wanted = [n for n in named if n.vertebra <= Vertebra.T1]
    grids = [refine_grid(n.center_lps_mm, volume.grid, spec.refine) for n in wanted]

    def cut(item: tuple[NamedCenter, Grid]) -> np.ndarray:
        return refine_input(volume, item[1], item[0].vertebra, spec.intensity, gauss)

    refined: list[RefinedVertebra] = []
    with ThreadPoolExecutor(threads) as pool:
        crops = list(pool.map(cut, zip(wanted, grids, strict=True)))
        for start in range(0, len(wanted), BATCH):
            part = slice(start, start + BATCH)
            out = session.run({"crop": np.stack(crops[part])})["out"]
            read = pool.map(
                lambda n, g, o: _read(n, (g, near), o, volume.grid, spec.refine), wanted[part], grids[part], out
            )
            refined += list(read)
    inferred = {n.vertebra for n in wanted if n.inferred}
    unseen = {r.vertebra for r in refined if r.vertebra in inferred and r.center_heat < spec.refine.inferred_heat}
    return [r for r in refined if r.vertebra not in unseen]


def _read(
    named: NamedCenter, crop: tuple[Grid, np.ndarray], out: np.ndarray, field: Grid, spec: RefineSpec
) -> RefinedVertebra:
    grid, near = crop
    mask_logit = _largest_piece(out[0], spec)
    heat = expit(out[1].astype(np.float64))
    center = grid.to_world(_peak(heat * near, grid, named.center_lps_mm))
    if named.vertebra is Vertebra.C1:
        center = ring_center(mask_logit > 0, grid, center)
    share = expit(mask_logit)
    total = float(share[mask_logit > 0].sum())
    inside = inside_field(field, grid)
    seen = float(share[(mask_logit > 0) & inside].sum())
    fraction = seen / total if total > 0 else 0.0
    return RefinedVertebra(named.vertebra, grid, mask_logit, center, fraction, named.confidence, float(heat.max()))


def _largest_piece(logit: np.ndarray, spec: RefineSpec) -> np.ndarray:
    """Return the logits with every piece but the largest pushed below the threshold."""
    level = np.log(spec.mask_threshold / (1 - spec.mask_threshold))
    shifted = np.asarray(logit - level, dtype=np.float32)
    pieces, count = ndimage.label(shifted > 0)
    if count <= 1:
        return shifted
    largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    return np.where((pieces == largest) | (shifted <= 0), shifted, np.float32(-8.0))


def _peak(heat: np.ndarray, grid: Grid, start_lps_mm: np.ndarray) -> np.ndarray:
    """Return the index of the center: the heat's centroid round its peak, or the start when there is no heat."""
    top = float(heat.max())
    if top < 0.1:
        return grid.to_index(start_lps_mm)
    peak = np.array(np.unravel_index(int(heat.argmax()), heat.shape))
    low = np.maximum(peak - 4, 0)
    high = np.minimum(peak + 5, heat.shape)
    patch = heat[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    weight = np.clip(patch - 0.3 * top, 0, None)
    return np.asarray(low + np.array(ndimage.center_of_mass(weight)))
