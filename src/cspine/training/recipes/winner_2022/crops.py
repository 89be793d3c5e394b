"""Crops of the vertebrae of a study: evenly spread slices, each between its neighbors, with the vertebra's mask.

Legend: V vertebrae, Z slices of a vertebra, C gray channels of a slice, R rows = columns.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cspine.datasets import (
    LabeledStudy,
    PhantomPlan,
    StudyFiles,
    VertebraFinder,
    Work,
    from_mask_of,
    from_mask_or_network,
    from_network,
    open_or_make_index,
    over_studies,
    read_study,
    studies_of,
    window_named,
)
from cspine.domain import NoImages, resample, resample_labels
from cspine.models import default_bundle_path, load_bundle
from cspine.pipeline import Analyzer, SliceSpec, slice_grid
from cspine.training.recipes.system import Order
from cspine.training.recipes.winner_2022.config import CropPlan, Winner2022
from cspine.training.stacks import (
    CERVICAL_FRACTURES,
    SLOTS,
    LabelSet,
    StackPlan,
    StackSet,
    are_stored,
    each_phantom,
    kept_name,
    label_set_named,
    open_arrays,
    phantoms_of,
    slotted,
    stacks_of,
    store_arrays,
)

CROPS_VERSION = 2
PADDING_HU = -1024.0
ARRAYS = ("levels", "pixels", "mask")
# Of the axial slices that tell which studies share one; nothing is learned from them.
GROUPED_BY = StackPlan(size=64)


@dataclass(frozen=True, eq=False)
class StudyCrops:
    """The vertebrae of one study.

    Attributes
    ----------
    levels
        (V,) uint8: places in the label set, 0 for its first; only those that were found.
    pixels
        (V, Z, C, R, R) uint8 of one window; a slice stands in the middle of its channels.
    mask
        (V, Z, R, R) uint8: 1 where the vertebra is.
    """

    uid: str
    levels: np.ndarray
    pixels: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class CropSet:
    """Studies with their crops, in the same order; the stacks say labels and who stays together."""

    stacks: StackSet
    crops: tuple[StudyCrops, ...]

    @property
    def levels(self) -> int:
        """How many levels the label set has (L)."""
        return len(self.stacks.label_set.levels)

    @property
    def digest(self) -> str:
        """A hash of what a training sees of the studies."""
        found = sum(len(one.levels) for one in self.crops)
        return f"{self.stacks.digest} {found} vertebrae"


def read_crops(recipe: Winner2022, order: Order) -> CropSet:
    """Read the labeled studies of a set and cut out their vertebrae; studies without any are left out.

    Raises
    ------
    NoImages
        There is no such set, or no vertebra in it.
    BundleError
        The bundle that should find vertebrae cannot be used.
    StoreError
        The cache cannot be written, or the disk is full.
    """
    labels = label_set_named(recipe.labels)
    finder, found_by = vertebra_finder(recipe, labels)
    if (phantoms := phantoms_of(order.data, labels)) is not None:
        return _phantom_crops(phantoms, finder, recipe.crops, order)
    stacks = stacks_of(order.data, GROUPED_BY, labels, cache=order.cache, say=order.say)
    wanted = {stack.uid for stack in stacks.stacks}
    about = {"version": CROPS_VERSION, "crops": asdict(recipe.crops), "found_by": found_by, "labels": asdict(labels)}
    kept_in = None if order.cache is None else order.cache / kept_name(about, recipe.crops.size)
    made: dict[str, StudyCrops] = {}

    def do(files: StudyFiles) -> dict[str, Any]:
        study = read_study(files, workers=1, highest_label=max(*labels.values, *SLOTS))
        crops = crop_study(study, finder, recipe.crops, labels)
        if kept_in is None:
            made[files.uid] = crops
            return {}
        return store_arrays(kept_in, files.uid, {name: getattr(crops, name) for name in ARRAYS}, {"uid": files.uid})

    index = open_or_make_index(order.data, None, 1, lambda text, share: None)
    chosen = [files for files in studies_of(index) if files.uid in wanted]
    answers = None if kept_in is None else kept_in / "answers"
    work = Work(do, lambda files: about, answers, lambda values: are_stored(kept_in, values))
    for answer in over_studies(chosen, work, 1, lambda uid, share: None):
        if answer.error:
            order.say(f"{answer.files.uid}: left out, {answer.error}")
        elif kept_in is not None:
            _, arrays = open_arrays(kept_in, answer.values, ARRAYS, ("pixels", "mask"))
            made[answer.files.uid] = StudyCrops(answer.files.uid, **arrays)
    return crop_set(stacks, made, order.say)


def _phantom_crops(phantoms: PhantomPlan, finder: VertebraFinder, plan: CropPlan, order: Order) -> CropSet:
    """Make phantoms one after the other and keep their crops alone."""
    stacks, made = [], {}
    for one in each_phantom(phantoms, order.hardware.threads, order.say):
        stacks.append(one.stack(GROUPED_BY))
        made[one.study.uid] = crop_study(one.study, finder, plan)
    return crop_set(StackSet(tuple(stacks)), made, order.say)


def vertebra_finder(recipe: Winner2022, labels: LabelSet = CERVICAL_FRACTURES) -> tuple[VertebraFinder, str]:
    """Return what finds vertebrae in a study whose mask has k + 1 for level k, and its name.

    Raises
    ------
    BundleError
        The bundle cannot be used.
    """
    if recipe.vertebrae == "mask":
        return from_mask_of(SLOTS[: len(labels.levels)]), "mask"
    bundle = load_bundle(Path(recipe.bundle) if recipe.bundle else default_bundle_path())
    analyzer = Analyzer(bundle, threads=1)
    make = {"bundle": from_network, "both": from_mask_or_network}[recipe.vertebrae]
    return make(analyzer), f"{recipe.vertebrae} {bundle.id}"


def crop_set(stacks: StackSet, made: dict[str, StudyCrops], say: Callable[[str], None]) -> CropSet:
    """Return the studies that have at least one vertebra.

    Raises
    ------
    NoImages
        None has.
    """
    kept = tuple(s for s in stacks.stacks if s.uid in made and len(made[s.uid].levels))
    if not kept:
        raise NoImages(
            f"no vertebra was found in {len(stacks.stacks)} studies; use vertebrae=both, or a set with masks"
        )
    crops = tuple(made[stack.uid] for stack in kept)
    say(f"{len(kept)} of {len(stacks.stacks)} studies with {sum(len(one.levels) for one in crops)} vertebrae")
    return CropSet(replace(stacks, stacks=kept), crops)


def crop_study(
    study: LabeledStudy, finder: VertebraFinder, plan: CropPlan, label_set: LabelSet = CERVICAL_FRACTURES
) -> StudyCrops:
    """Cut the vertebrae out of a study on a canonical grid."""
    found, labels = finder(slotted(study, label_set))
    window, spec = window_named(plan.window), SliceSpec(plan.slices, plan.size, plan.pixel_mm)
    pixels = np.zeros((len(found), plan.slices, plan.channels, plan.size, plan.size), np.uint8)
    mask = np.zeros((len(found), plan.slices, plan.size, plan.size), np.uint8)
    for number, one in enumerate(found):
        center, (top, bottom) = np.array(one.center_lps_mm), one.heights_mm
        for channel in range(plan.channels):
            down = (channel - plan.neighbors) * plan.neighbor_mm
            grid = slice_grid(center, (top - down, bottom - down), study.volume.grid, spec)
            hu = resample(study.volume.hu, study.volume.grid, grid, PADDING_HU, threads=1)
            pixels[number, :, channel] = window.gray(hu)
        if labels is not None:
            grid = slice_grid(center, (top, bottom), study.volume.grid, spec)
            mask[number] = resample_labels(labels.labels, labels.grid, grid) == one.vertebra
    levels = np.array([SLOTS.index(one.vertebra) for one in found], np.uint8)
    return StudyCrops(study.uid, levels, pixels, mask)
