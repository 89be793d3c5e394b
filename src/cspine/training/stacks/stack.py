"""One study as training sees it: square uint8 slices with everything that is known of each.

Legend: S slices, R rows = C columns, L levels of the label set, B boxes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cspine.datasets import LabeledStudy, StudyLabels, label_slices, window_named, with_level
from cspine.domain import Box, ConfigError, Grid, LabelMap, Vertebra, resample, resample_labels
from cspine.training.stacks.label_set import CERVICAL_FRACTURES, LabelSet

PADDING_HU = -1024.0
SMALLEST, LARGEST = 16, 1024
SLOTS = tuple(Vertebra)


@dataclass(frozen=True)
class StackPlan:
    """How slices are stored for training."""

    size: int = 384
    """Rows and columns; the longer side of an image fits, the shorter one is padded."""
    window: str = "bone"
    """Gray scale: a name of `cspine.datasets.WINDOWS`, or CENTER,WIDTH in HU."""
    step_mm: float = 0.0
    """Least distance of slices; 0 keeps every slice."""

    def __post_init__(self) -> None:
        window_named(self.window)
        if not SMALLEST <= self.size <= LARGEST or not 0 <= self.step_mm <= 20:
            raise ConfigError(
                f"size is {self.size}, must be {SMALLEST} … {LARGEST}; step_mm is {self.step_mm:g}, must be 0 … 20"
            )


@dataclass(frozen=True, eq=False)
class Stack:
    """One study.

    Attributes
    ----------
    targets
        (1 + L,) float32: the study, then each level.
    pixels
        (S, R, C) uint8, slice 0 nearest the head.
    fractured
        (S,) float32: whether the slice counts as positive.
    levels
        (S, L) float32: the same of each level; NaN where it is not known.
    visible
        (S, L) float32: whether the slice cuts the level's mask; NaN without a mask.
    weak
        (S,) bool: positive only because the study, or a visible level, is.
    mask
        (S, R, C) uint8: k + 1 where level k is; ``None`` without.
    boxes
        (B, 6) float32: slice, first row, first column, last row, last column (edges, in pixels), level or −1.
    numbers
        (S,) int32: ``slice_number`` of the set; −1 where there is none.
    hashes
        (S,) uint64 of the pixels; 0 for a slice of one gray value.
    spacing_mm
        Along (slice, row, column).
    whole_slices
        Slices of the study before any were left out.
    family
        Of a phantom: A trains, B only evaluates; empty for anything else.
    """

    uid: str
    patient: str
    targets: np.ndarray
    pixels: np.ndarray
    fractured: np.ndarray
    levels: np.ndarray
    visible: np.ndarray
    weak: np.ndarray
    mask: np.ndarray | None
    boxes: np.ndarray
    numbers: np.ndarray
    hashes: np.ndarray
    spacing_mm: tuple[float, float, float]
    whole_slices: int
    phantom: bool = False
    family: str = ""

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, eq=False)
class StackSet:
    """Studies with one label set.

    Attributes
    ----------
    errors
        Studies that could not be used: UID → reason.
    """

    stacks: tuple[Stack, ...]
    label_set: LabelSet = CERVICAL_FRACTURES
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Where the studies come from, for the head of every page."""
        phantoms = sum(stack.phantom for stack in self.stacks)
        if phantoms == len(self.stacks):
            return f"PHANTOM: all {phantoms} studies are computed, no patient"
        return f"{len(self.stacks)} studies" + (f", {phantoms} of them PHANTOM" if phantoms else "")

    @property
    def targets(self) -> np.ndarray:
        """(studies, 1 + L) float32."""
        return np.stack([stack.targets for stack in self.stacks])

    @property
    def digest(self) -> str:
        """A hash of what a training sees: studies, labels, slices."""
        digest = hashlib.sha256(repr(self.label_set).encode())
        for stack in self.stacks:
            digest.update(stack.uid.encode())
            for array in (stack.targets, stack.hashes, stack.levels, stack.visible, stack.fractured):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def refs(self) -> Iterator[tuple[int, int]]:
        """Yield (stack, slice) of every slice."""
        for number, stack in enumerate(self.stacks):
            yield from ((number, k) for k in range(len(stack)))


def make_stack(
    study: LabeledStudy, targets: np.ndarray, plan: StackPlan, labels: LabelSet = CERVICAL_FRACTURES, **about: Any
) -> Stack:
    """Return a study as a stack.

    Parameters
    ----------
    targets
        (1 + L,) 0 and 1.
    about
        ``patient``, ``phantom`` and ``family`` of `Stack`.
    """
    study = slotted(study, labels)
    fractured = frozenset(slot for slot, positive in zip(SLOTS, targets[1:], strict=False) if positive)
    slots = SLOTS[: len(labels.levels)]
    told = list(label_slices(study, StudyLabels(bool(targets[0]), fractured), slots))
    kept = _kept(study.volume.grid, plan.step_mm)
    source, target = study.volume.grid, square_grid(study.volume.grid, plan.size)
    gray = window_named(plan.window).gray(resample(study.volume.hu, source, target, PADDING_HU, threads=2))[kept]
    mask = None if study.labels is None else resample_labels(study.labels.labels, source, target)[kept]
    unknown = (float("nan"),) * len(slots)
    numbers = study.numbers or (-1,) * source.shape[0]
    return Stack(
        uid=study.uid,
        patient=about.pop("patient", "") or study.uid,
        targets=np.asarray(targets, dtype=np.float32),
        pixels=gray,
        fractured=np.array([told[k].fractured for k in kept], dtype=np.float32),
        levels=np.array([[np.nan if v is None else v for v in told[k].levels] for k in kept], dtype=np.float32),
        visible=np.array([_shown(told[k].visible, slots) or unknown for k in kept], dtype=np.float32),
        weak=np.array([told[k].source.weak and told[k].fractured for k in kept], dtype=bool),
        mask=mask,
        boxes=_boxes(study, target, kept),
        numbers=np.array([numbers[k] for k in kept], dtype=np.int32),
        hashes=np.array([_hash(plane) for plane in gray], dtype=np.uint64),
        spacing_mm=target.spacing_mm,
        whole_slices=source.shape[0],
        **about,
    )


def slotted(study: LabeledStudy, labels: LabelSet) -> LabeledStudy:
    """Return a study whose mask has k + 1 for level k and nothing else; boxes take their level from it."""
    if study.labels is None:
        return study
    table = np.zeros(256, dtype=np.uint8)
    table[list(labels.values)] = np.arange(1, len(labels.values) + 1)
    mask = table[study.labels.labels]
    return replace(
        study,
        labels=LabelMap(study.labels.grid, mask),
        boxes=tuple(with_level(replace(box, center_level=None, level=None), mask) for box in study.boxes),
    )


def _shown(visible: frozenset[Vertebra] | None, slots: tuple[Vertebra, ...]) -> tuple[float, ...] | None:
    return None if visible is None else tuple(float(slot in visible) for slot in slots)


def _kept(grid: Grid, step_mm: float) -> list[int]:
    step = max(1.0, step_mm / grid.spacing_mm[0])
    return sorted({round(i * step) for i in range(int((grid.shape[0] - 1) / step) + 1)})


def square_grid(grid: Grid, size: int) -> Grid:
    """Return a grid with the same slices and size × size pixels round the same middle."""
    pixel = max(grid.extent_mm[1:]) / size
    close = grid.at_spacing((grid.spacing_mm[0], pixel, pixel))
    top, left = ((size - n) // 2 for n in close.shape[1:])
    return close.crop(Box((0, -top, -left), (close.shape[0], size - top, size - left)))


def _boxes(study: LabeledStudy, target: Grid, kept: list[int]) -> np.ndarray:
    place = {k: number for number, k in enumerate(kept)}
    found = []
    for placed in study.boxes:
        if placed.box.start_zyx[0] not in place:
            continue
        corners = np.array([placed.box.start_zyx, placed.box.stop_zyx], dtype=float) - 0.5
        first, last = target.to_index(study.volume.grid.to_world(corners)) + 0.5
        level = -1 if placed.level is None else int(placed.level) - 1
        found.append([place[placed.box.start_zyx[0]], first[1], first[2], last[1], last[2], level])
    return np.array(found, dtype=np.float32).reshape(-1, 6)


def _hash(plane: np.ndarray) -> int:
    if plane.min() == plane.max():
        return 0
    return int.from_bytes(hashlib.blake2b(plane.tobytes(), digest_size=8).digest(), "little")
