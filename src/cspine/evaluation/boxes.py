"""Boxes in millimeters, LPS: how much they share, and boxes of single slices joined along the neck.

Legend: boxes (N, 2, 3) are minimum and maximum corner, (x, y, z).
"""

from collections.abc import Sequence

import numpy as np

from cspine.domain import WorldBox

# A fracture line is thinner than a voxel: a box thinner than this would never be met.
LEAST_SIDE_MM = 5.0
# Boxes of two slices belong to one fracture when they share this much in the plane.
LINK_IOU = 0.2


def corners(boxes: Sequence[WorldBox]) -> np.ndarray:
    """Return (N, 2, 3) corners."""
    return np.array([[b.min_lps_mm, b.max_lps_mm] for b in boxes], dtype=np.float64).reshape(-1, 2, 3)


def at_least(boxes: np.ndarray, side_mm: float = LEAST_SIDE_MM) -> np.ndarray:
    """Return boxes (N, 2, 3) with each side at least that long, widened round their centers."""
    middle, half = boxes.mean(axis=1), (boxes[:, 1] - boxes[:, 0]) / 2
    half = np.maximum(half, side_mm / 2)
    widened: np.ndarray = np.stack([middle - half, middle + half], axis=1)
    return widened


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return intersection over union (N, M) of boxes (N, 2, K) and (M, 2, K); K is 2 or 3."""
    low = np.maximum(a[:, None, 0], b[None, :, 0])
    high = np.minimum(a[:, None, 1], b[None, :, 1])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    volume_a, volume_b = ((box[:, 1] - box[:, 0]).prod(axis=-1) for box in (a, b))
    union = volume_a[:, None] + volume_b[None, :] - shared
    iou: np.ndarray = np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
    return iou


def centers_inside(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (N, M): whether the center of each box of `a` lies in each box of `b`."""
    middle = a.mean(axis=1)[:, None]
    inside: np.ndarray = ((middle >= b[None, :, 0]) & (middle <= b[None, :, 1])).all(axis=-1)
    return inside


def linked_in_z(slices: Sequence[WorldBox], gap_mm: float) -> list[list[int]]:
    """Return which boxes of single slices form one fracture, each group from head to foot.

    Two belong together when they lie at most `gap_mm` apart along z and share `LINK_IOU` in the plane; and so on.

    Parameters
    ----------
    slices
        Each one slice thick.
    gap_mm
        From the bottom of one to the top of the next; one missing slice is the usual allowance.
    """
    box = corners(slices)
    if not len(box):
        return []
    apart = np.maximum(box[:, None, 0, 2] - box[None, :, 1, 2], box[None, :, 0, 2] - box[:, None, 1, 2])
    same_slice = np.abs(box.mean(axis=1)[:, None, 2] - box.mean(axis=1)[None, :, 2]) < 1e-3
    joined = (apart <= gap_mm) & (overlaps(box[:, :, :2], box[:, :, :2]) > LINK_IOU) & ~same_slice
    np.fill_diagonal(joined, True)
    left, groups = set(range(len(box))), []
    while left:
        group, waiting = set(), [min(left)]
        while waiting:
            one = waiting.pop()
            if one in left:
                left.remove(one)
                group.add(one)
                waiting.extend(np.flatnonzero(joined[one]).tolist())
        groups.append(sorted(group, key=lambda k: -float(box[k, 1, 2])))
    return groups


def around(boxes: Sequence[WorldBox]) -> WorldBox:
    """Return the box round some boxes."""
    box = corners(boxes)
    (a, b, c), (d, e, f) = box[:, 0].min(axis=0).tolist(), box[:, 1].max(axis=0).tolist()
    return WorldBox((a, b, c), (d, e, f))
