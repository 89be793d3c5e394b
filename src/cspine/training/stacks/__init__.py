"""Studies as stacks of slices: what recipes train on, from the layout of RSNA 2022 or from phantoms made on the fly.

The contract, for a recipe::

    stacks = stacks_of(root, StackPlan(size=128), cache=out / "stacks", say=say)   # root may be phantom:40:7
    parts = fold_parts(stacks, folds=5, seed=0)[k]                                   # or held_out, parts_of_split
    train = SliceSamples(stacks, parts.train, labels, start, augment)                # Samples of `learning`

- A `Stack` is one study, canonical: slice 0 nearest the head, rows to the back, columns to the left, square, uint8 of
  one window. ``targets`` are study and levels; ``fractured``, ``levels``, ``visible`` are of slices, by the rules of
  ``cspine data images`` (`cspine.datasets.label_slices`), NaN where nothing is known. ``mask`` is there where the
  study is segmented. With a cache, arrays are memory-mapped files, so that a set may be larger than the memory.
- `Parts` name slices by (stack, slice). Studies of one patient, and studies that share a slice with the same pixels,
  are never divided, except by `image_parts`, whose mark must stand above every table. Both answers of the study label
  stand in every part, or the parts are refused; phantoms that only evaluate (family B) may not train.
- ``stacks.origin`` says PHANTOM where the studies are phantoms.
- Which levels there are is data (`LabelSet`): other levels or findings need a JSON file, no code. Level k of the set
  is slot k + 1 of masks and boxes (`slotted`), whatever it is called.
- Where whole studies are needed beside the slices, `reader_of` reads them, or makes the phantom anew.
"""

from cspine.training.stacks.kept import are_stored, kept_name, open_arrays, store_arrays
from cspine.training.stacks.label_set import CERVICAL_FRACTURES, LabelSet, label_set_named
from cspine.training.stacks.parts import Parts, fold_parts, held_out, image_parts, parts_of_split, study_groups
from cspine.training.stacks.phantoms import MadeStudy, each_phantom, phantom_stacks
from cspine.training.stacks.read import phantom_family, read_stacks
from cspine.training.stacks.samples import SliceSamples, level_targets, visible_targets
from cspine.training.stacks.source import phantoms_of, reader_of, stacks_of
from cspine.training.stacks.stack import SLOTS, Stack, StackPlan, StackSet, make_stack, slotted, square_grid

__all__ = [
    "CERVICAL_FRACTURES",
    "SLOTS",
    "LabelSet",
    "MadeStudy",
    "Parts",
    "SliceSamples",
    "Stack",
    "StackPlan",
    "StackSet",
    "are_stored",
    "each_phantom",
    "fold_parts",
    "held_out",
    "image_parts",
    "kept_name",
    "label_set_named",
    "level_targets",
    "make_stack",
    "open_arrays",
    "parts_of_split",
    "phantom_family",
    "phantom_stacks",
    "phantoms_of",
    "read_stacks",
    "reader_of",
    "slotted",
    "square_grid",
    "stacks_of",
    "store_arrays",
    "study_groups",
    "visible_targets",
]
