"""What each slice is taught: which levels it shows, and of those, which the study's row calls fractured.

Legend: S slices of all stacks in order, L levels.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cspine.domain import ConfigError
from cspine.training.stacks import StackSet


def labeled_studies(stacks: StackSet, training: Sequence[int], share: float, seed: int) -> tuple[int, ...]:
    """Return which studies of a training part are labeled: as many of each answer as the share says, at least one.

    A larger share holds the smaller one.

    Raises
    ------
    ConfigError
        The training part lacks an answer.
    """
    rng = np.random.default_rng([seed, 51])
    mixed = rng.permutation(np.asarray(training))
    overall = stacks.targets[mixed, 0] >= 0.5
    kept: list[int] = []
    for words, group in (("positive", mixed[overall]), ("negative", mixed[~overall])):
        if not len(group):
            raise ConfigError(f"the training part has no {words} study; use more studies or fewer folds")
        kept += group[: max(1, round(share * len(group)))].tolist()
    return tuple(sorted(kept))


def with_flips(stacks: StackSet, studies: Sequence[int], share: float, seed: int) -> tuple[StackSet, int]:
    """Return the set with a share of the level labels of some studies turned round, and how many were.

    The study's own answer follows from its levels.
    """
    if not share:
        return stacks, 0
    levels = len(stacks.label_set.levels)
    cells = [(n, k) for n in studies for k in range(levels)]
    rng = np.random.default_rng([seed, 52])
    turned = [cells[i] for i in rng.permutation(len(cells))[: round(share * len(cells))]]
    rows = {n: stacks.stacks[n].targets.copy() for n in studies}
    for n, k in turned:
        rows[n][1 + k] = 1 - rows[n][1 + k]
    for row in rows.values():
        row[0] = row[1:].max()
    changed = tuple(replace(s, targets=rows.get(n, s.targets)) for n, s in enumerate(stacks.stacks))
    return replace(stacks, stacks=changed), len(turned)


def taught(stacks: StackSet, refs: np.ndarray, visible: Sequence[np.ndarray]) -> np.ndarray:
    """Return (slices, 2L) float32: fractures masked by visibility, then visibility.

    Parameters
    ----------
    refs
        (slices, 2): stack and slice.
    visible
        Of every stack (S, L), 0 or 1: from its mask, or pseudo-labels.
    """
    seen = np.stack([visible[n][k] for n, k in refs.tolist()]).astype(np.float32)
    broken = np.stack([stacks.stacks[n].targets[1:] for n in refs[:, 0].tolist()]).astype(np.float32)
    return np.concatenate([broken * seen, seen], axis=1)
