"""Slices of one test patient with fracture box, vertebra mask, and where the network looks (Figures 13 and 14)."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from cspine.domain import Box, Vertebra
from cspine.training.backbones import SliceClassifier
from cspine.training.recipes.answers import Answered
from cspine.training.recipes.classifier_run import ClassifierRun
from cspine.training.recipes.experiment_page import Cell, PagePicture, PageTable
from cspine.training.recipes.grad_cam import grad_cam
from cspine.training.recipes.slice_pictures import Frame, ShownSlice, draw_slices
from cspine.training.stacks import SliceSamples, Stack, StackSet

LOOKED_AT = 0.5


@dataclass(frozen=True)
class ShownPatient:
    """What is shown of a patient; without one that can be shown, the text says so."""

    text: str
    table: PageTable | None = None
    pictures: tuple[PagePicture, ...] = ()


def patient_pictures(stacks: StackSet, run: ClassifierRun, count: int, place: int = 0) -> ShownPatient:
    """Draw slices of the test patient with the most known of a level: fractured, with mask, with boxes.

    Parameters
    ----------
    stacks
        Those that the run was trained on.
    place
        Of the level in the label set, 0 for the first.
    """
    in_test = set(run.test.studies)
    candidates = [(n, stack) for n, stack in enumerate(stacks.stacks) if stack.uid in in_test]
    if not candidates:
        return ShownPatient("No study of the test part can be shown.")
    number, stack = max(candidates, key=lambda entry: _known(entry[1], place))
    chosen, level = _chosen(stack, run.test, count, place), stacks.label_set.levels[place]
    probability = _probabilities(run.test, stack.uid)
    network = run.network()
    looked = [_looked_at(network, run, stacks, (number, k)) for k in chosen]
    shown = [
        ShownSlice(
            stack.pixels[k],
            None if stack.mask is None else stack.mask[k],
            (*_frames(stack, k), *_attention(box, stack.pixels.shape[1])),
            f"slice {k + 1}: P({level}) = {probability[k]:.2f}" if k in probability else f"slice {k + 1}",
        )
        for k, box in zip(chosen, looked, strict=True)
    ]
    rows: list[tuple[Cell, ...]] = [
        (stack.uid, k + 1, int(bool(t)), float(probability[k]))
        for k, t in zip(_slices(run.test, stack.uid), _truths(run.test, stack.uid), strict=True)
    ]
    table = PageTable(
        "patient", "Every slice of the patient", ("study", "slice", "truth", "probability"), tuple(rows), shown=False
    )
    text = (
        f"{stack.uid}: {level} is {'fractured' if stack.targets[1 + place] else 'whole'}. Colored: vertebra mask; "
        "solid frame: fracture box of the data set; dashed white frame: where half of the network's evidence for its "
        "answer lies (Grad-CAM), which it learned without boxes."
    )
    return ShownPatient(text, table, (draw_slices(shown, "Slices of one test patient with boxes and masks"),))


def _known(stack: Stack, place: int) -> tuple[bool, bool, bool]:
    return bool(stack.targets[1 + place]), stack.mask is not None, bool(len(stack.boxes))


def _chosen(stack: Stack, test: Answered, count: int, place: int) -> list[int]:
    """Return evenly spread slices that show the level, or where that is not known, those with the highest answers."""
    boxed = sorted({int(row[0]) for row in stack.boxes if int(row[5]) == place})
    showing = [k for k in range(len(stack)) if stack.visible[k, place] == 1]
    answered = _probabilities(test, stack.uid)
    pool = boxed or showing or sorted(sorted(answered, key=lambda k: -answered[k])[:count])
    places = np.unique(np.linspace(0, len(pool) - 1, min(count, len(pool))).round().astype(int))
    return [pool[int(spread)] for spread in places]


def _slices(test: Answered, uid: str) -> list[int]:
    return [k for study, k in zip(test.studies, test.slices, strict=True) if study == uid]


def _truths(test: Answered, uid: str) -> list[float]:
    return [float(t) for study, t in zip(test.studies, test.truth[:, 0], strict=True) if study == uid]


def _probabilities(test: Answered, uid: str) -> dict[int, float]:
    rows = zip(test.studies, test.slices, test.probability[:, 0], strict=True)
    return {k: float(p) for study, k, p in rows if study == uid}


def _frames(stack: Stack, k: int) -> tuple[Frame, ...]:
    rows = [row for row in stack.boxes if int(row[0]) == k]
    return tuple(Frame((r[1], r[2], r[3], r[4]), Vertebra(int(r[5]) + 1) if r[5] >= 0 else None) for r in rows)


def _attention(box: Box | None, size: int) -> tuple[Frame, ...]:
    if box is None:
        return ()
    (_, top, left), (_, bottom, right) = box.start_zyx, box.stop_zyx
    return (Frame((float(top), float(left), float(bottom), float(right)), None, dashed=True),)


def _looked_at(network: SliceClassifier, run: ClassifierRun, stacks: StackSet, ref: tuple[int, int]) -> Box | None:
    """Return the box, in pixels of the stack, round the half of the evidence for a fracture."""
    refs = np.array([ref], dtype=np.int32)
    samples = SliceSamples(stacks, refs, np.zeros((1, 1), np.float32), run.start, size=run.trainee.size)
    heat = grad_cam(network, samples.plain(0), _for_fracture)
    side = stacks.stacks[ref[0]].pixels.shape[1]
    grown = np.asarray(Image.fromarray(heat).resize((side, side), Image.Resampling.BILINEAR))
    return Box.of_mask((grown >= LOOKED_AT)[None]) if grown.max() >= LOOKED_AT else None


def _for_fracture(logits: torch.Tensor) -> torch.Tensor:
    """Return the logit of a fracture; of two softmax outputs their difference."""
    return logits[0, -1] - (logits[0, 0] if logits.shape[1] == 2 else 0.0)
