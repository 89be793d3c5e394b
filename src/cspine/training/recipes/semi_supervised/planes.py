"""The same studies cut in another plane: what the thesis names as its limit, the axial plane alone, lifted."""

from dataclasses import replace

import numpy as np

from cspine.domain import AxisOrder, Grid, resample, resample_labels
from cspine.training.names import pick
from cspine.training.stacks import Parts, Stack, StackSet, square_grid

# (slice, row, column) of the cut from those of the axial stack; heads stay up.
ORDERS = {
    "axial": AxisOrder((0, 1, 2), (False, False, False)),
    "sagittal": AxisOrder((2, 0, 1), (False, False, False)),
    "coronal": AxisOrder((1, 0, 2), (False, False, False)),
}
LEAST_STEP_MM = 2.0


def in_plane(stacks: StackSet, plane: str) -> StackSet:
    """Return the studies cut in a plane, their slices square and as large as before.

    A slice of another plane knows what the row of the study and its mask say: which levels it shows, and of those which
    are positive (weak). Boxes are of axial slices and are left out.
    """
    order = pick(ORDERS, plane, "plane")
    if plane == "axial":
        return stacks
    return replace(stacks, stacks=tuple(_cut(stack, order) for stack in stacks.stacks))


def parts_in_plane(parts: Parts, stacks: StackSet) -> Parts:
    """Return the same division of the studies for slices of another plane."""
    refs = {
        part: np.array(
            [(n, k) for n in parts.stacks(part) for k in range(len(stacks.stacks[n]))], dtype=np.int32
        ).reshape(-1, 2)
        for part in ("train", "valid", "test")
    }
    return Parts(refs["train"], refs["valid"], refs["test"], parts.kind, parts.mark)


def _cut(stack: Stack, order: AxisOrder) -> Stack:
    size = stack.pixels.shape[-1]
    grid = Grid.from_axes(_shape(stack.pixels), stack.spacing_mm).reordered(order)
    target = square_grid(grid, size)
    step = max(1, round(LEAST_STEP_MM / grid.spacing_mm[0]))
    kept = list(range(step // 2, grid.shape[0], step))
    pixels = np.asarray(order.apply(np.asarray(stack.pixels)), dtype=np.float32)
    gray = np.rint(resample(pixels, grid, target, 0.0, threads=2)).astype(np.uint8)[kept]
    mask, levels = None, len(stack.targets) - 1
    visible = np.full((len(kept), levels), np.nan, dtype=np.float32)
    if stack.mask is not None:
        whole = np.ascontiguousarray(order.apply(np.asarray(stack.mask)))
        mask = resample_labels(whole, grid, target)[kept]
        shown = [[(whole[k] == level + 1).any() for level in range(levels)] for k in kept]
        visible = np.array(shown, dtype=np.float32)
    positive = visible * stack.targets[1:]
    return replace(
        stack,
        pixels=gray,
        mask=mask,
        visible=visible,
        levels=positive,
        fractured=np.where(np.isnan(positive).any(axis=1), stack.targets[0], positive.max(axis=1)),
        weak=np.full(len(kept), bool(stack.targets[0])),
        boxes=np.zeros((0, 6), dtype=np.float32),
        numbers=np.full(len(kept), -1, dtype=np.int32),
        hashes=np.zeros(len(kept), dtype=np.uint64),
        spacing_mm=target.spacing_mm,
        whole_slices=len(kept),
    )


def _shape(pixels: np.ndarray) -> tuple[int, int, int]:
    slices, rows, columns = pixels.shape
    return slices, rows, columns
