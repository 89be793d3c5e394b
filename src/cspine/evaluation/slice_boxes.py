"""Score boxes found on slices against true ones: hits, average precision, sensitivity against false alarms.

Legend: F found boxes of all slices, T true ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class SliceMatches:
    """Every found box, the surest first.

    Attributes
    ----------
    scores
        (F,).
    hits
        (F,) bool: it is the first to meet a true box of its slice.
    truths, slices
        Numbers of true boxes and of slices.
    """

    scores: np.ndarray
    hits: np.ndarray
    truths: int
    slices: int

    @property
    def average_precision(self) -> float:
        """Area under precision against recall, precision made to fall (as PASCAL VOC 2010); NaN without true boxes."""
        if not self.truths:
            return float("nan")
        right = np.cumsum(self.hits)
        recall = right / self.truths
        precision = right / np.arange(1, len(right) + 1)
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        steps = np.diff(np.concatenate([[0.0], recall]))
        return float((steps * falling).sum())

    def sensitivity_at(self, false_per_slice: float) -> float:
        """Return the share of true boxes met with at most so many false ones per slice; NaN without true ones."""
        if not self.truths:
            return float("nan")
        allowed = np.cumsum(~self.hits) / max(1, self.slices) <= false_per_slice
        return float(self.hits[allowed].sum() / self.truths)

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return false boxes per slice and sensitivity, each (F + 1,), from the surest box on."""
        false = np.concatenate([[0], np.cumsum(~self.hits)]) / max(1, self.slices)
        return false, np.concatenate([[0], np.cumsum(self.hits)]) / max(1, self.truths)


Meets = Callable[[np.ndarray, np.ndarray], np.ndarray]


def match_slice_boxes(
    found: Sequence[tuple[np.ndarray, np.ndarray]], truth: Sequence[np.ndarray], meets: Meets
) -> SliceMatches:
    """Return which found boxes are hits; a true box is met once, by the surest box that meets it best.

    Parameters
    ----------
    found
        Of each slice: scores (B,) and boxes (B, 4) as first row, first column, last row, last column.
    truth
        Of each slice: boxes (B, 4).
    meets
        (B, 4), (T, 4) → (B, T): how well each meets each, 0 where it does not, as `meet_by_center` does.
    """
    scores, hits = [], []
    for (sure, boxes), true in zip(found, truth, strict=True):
        how_well = meets(boxes, true) if len(boxes) and len(true) else np.zeros((len(boxes), len(true)))
        free = np.ones(len(true), dtype=bool)
        for k in np.argsort(-sure, kind="stable"):
            left = np.where(free, how_well[k], 0.0)
            best = int(left.argmax()) if len(true) else -1
            hit = best >= 0 and left[best] > 0
            if hit:
                free[best] = False
            scores.append(float(sure[k]))
            hits.append(hit)
    order = np.argsort(-np.array(scores), kind="stable")
    return SliceMatches(
        np.array(scores)[order], np.array(hits, dtype=bool)[order], sum(len(t) for t in truth), len(truth)
    )


def meet_by_overlap(least: float) -> Meets:
    """Return a rule: boxes meet when their intersection over union is at least so much."""

    def meets(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
        shares = _overlap(boxes, truth)
        return np.where(shares >= least, shares, 0.0)

    return meets


def meet_by_center(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return a rule's answer: a box meets a true one when its middle lies inside; nearer to its middle is better."""
    middle = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    inside = ((middle >= truth[None, :, :2]) & (middle <= truth[None, :, 2:])).all(axis=2)
    far = np.linalg.norm(middle - (truth[None, :, :2] + truth[None, :, 2:]) / 2, axis=2)
    found: np.ndarray = np.where(inside, 1 / (1 + far), 0.0)
    return found


def _overlap(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each pair, (B, T)."""
    low = np.maximum(boxes[:, None, :2], truth[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], truth[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(axis=1) for b in (boxes, truth)]
    union = areas[0][:, None] + areas[1][None] - shared
    found: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return found
