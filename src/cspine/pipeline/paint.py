"""Masks of single vertebrae onto the grid of the scan."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cspine.domain import Box, Grid, LabelMap, resample
from cspine.pipeline.refine import RefinedVertebra


def paint_labels(refined: list[RefinedVertebra], grid: Grid, threads: int) -> LabelMap:
    """Return the label map on a canonical grid; where masks overlap, the surer one wins."""
    labels = np.zeros(grid.shape, dtype=np.uint8)
    with ThreadPoolExecutor(threads) as pool:
        pieces = list(pool.map(lambda r: _on_native(r, grid), refined))
    pairs = [(vertebra, piece) for vertebra, piece in zip(refined, pieces, strict=True) if piece is not None]
    if not pairs:
        return LabelMap(grid, labels)
    around = Box.around([box for _, (box, _) in pairs])
    best = np.zeros(around.shape, dtype=np.float16)
    for vertebra, (box, logit) in pairs:
        held = best[box.shifted([-start for start in around.start_zyx]).slices]
        better = logit > held
        labels[box.slices][better] = int(vertebra.vertebra)
        held[better] = logit[better]
    return LabelMap(grid, labels)


def _on_native(vertebra: RefinedVertebra, grid: Grid) -> tuple[Box, np.ndarray] | None:
    """Return the part of a canonical grid that the mask touches, and the logits there."""
    tight = Box.of_mask(vertebra.mask_logit > 0)
    if tight is None:
        return None
    corners = vertebra.grid.to_world(
        np.array([[(tight.start_zyx, tight.stop_zyx)[b >> i & 1][i] - 0.5 for i in range(3)] for b in range(8)])
    )
    index = grid.to_index(corners)
    low = np.floor(index.min(axis=0) - 1).astype(int)
    high = np.ceil(index.max(axis=0) + 2).astype(int)
    box = Box((low[0], low[1], low[2]), (high[0], high[1], high[2])).clipped(grid.shape)
    if box is None:
        return None
    logit = resample(vertebra.mask_logit, vertebra.grid, grid.crop(box), fill=-8.0, threads=1)
    return box, logit.astype(np.float16)
