"""Patients of the test part slice by slice: what both heads say, how many slices show a level, where the network looks.

Legend: S slices of a study, L levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cspine.domain import Vertebra
from cspine.training.backbones import SliceClassifier, Start
from cspine.training.recipes.charts import bars, colors, drawn
from cspine.training.recipes.experiment_page import Cell, PagePicture, PageSection, PageTable
from cspine.training.recipes.grad_cam import grad_cam
from cspine.training.recipes.semi_supervised.planes import in_plane
from cspine.training.recipes.semi_supervised.run import SemiRun
from cspine.training.recipes.semi_supervised.table import SemiExperiment
from cspine.training.recipes.slice_pictures import Frame, ShownSlice, draw_slices
from cspine.training.stacks import SliceSamples, Stack, StackSet

SHADED = 0.18


@dataclass(frozen=True, eq=False)
class _Patient:
    """One study of the test part: its number in the set, and both heads' answers (S, L)."""

    number: int
    stack: Stack
    finding: np.ndarray
    visible: np.ndarray


def patient_sections(experiment: SemiExperiment) -> Iterator[PageSection]:
    """Yield curves of patients, slices per level, and Grad-CAM, of the first fold of the shown case."""
    run = experiment.runs[experiment.shown][0]
    stacks = in_plane(experiment.stacks, experiment.shown.plane)
    patients = _patients(run, stacks)
    shown = sorted(patients, key=_telling, reverse=True)[: experiment.recipe.shown_patients]
    yield _curves(shown, stacks)
    yield _counts(patients, stacks)
    yield _looks(run, shown, stacks)


def _patients(run: SemiRun, stacks: StackSet) -> list[_Patient]:
    found = []
    for number in np.unique(run.slices.refs[:, 0]).tolist():
        mine = run.slices.refs[:, 0] == number
        found.append(_Patient(number, stacks.stacks[number], run.slices.finding[mine], run.slices.visible[mine]))
    return found


def _telling(patient: _Patient) -> tuple[bool, bool, bool]:
    """Return how much is known of a patient: fractured, with mask, with boxes."""
    stack = patient.stack
    return bool(stack.targets[0]), stack.mask is not None, bool(len(stack.boxes))


def _curves(patients: list[_Patient], stacks: StackSet) -> PageSection:
    names = stacks.label_set.levels
    rows: list[tuple[Cell, ...]] = []
    for patient in patients:
        for k, (finding, visible) in enumerate(zip(patient.finding, patient.visible, strict=True)):
            told = [value for pair in zip(visible, finding, strict=True) for value in map(float, pair)]
            rows.append((patient.stack.uid, k + 1, *told))
    columns = ("study", "slice", *(f"{what}_{name}" for name in names for what in ("visible", "fracture")))
    table = PageTable("slices", "Both heads, slice by slice", columns, tuple(rows), shown=False)
    text = ("Slices from head to foot. Shaded: where the mask shows the level, of segmented studies.",)
    return PageSection("Patients, slice by slice", text, (table,), (_curve_picture(patients, stacks),))


def _curve_picture(patients: list[_Patient], stacks: StackSet) -> PagePicture:
    figure = Figure(figsize=(9.5, 2.5 * len(patients)), layout="constrained")
    places = np.asarray(figure.subplots(len(patients), 2, squeeze=False, sharey=True))
    for (left, right), patient in zip(places, patients, strict=True):
        _draw_head(left, patient.visible, patient.stack, stacks)
        _draw_head(right, patient.finding, patient.stack, stacks)
        fractured = [n for n, t in zip(stacks.label_set.levels, patient.stack.targets[1:], strict=True) if t]
        left.set_title("visible", fontsize=8)
        right.set_title(f"fractured; truth: {', '.join(fractured) or 'none'}", fontsize=8)
    places[0, 0].legend(frameon=False, fontsize=6, ncols=2)
    return drawn(figure, "Visibility and fracture of the levels along the slices of patients", "A row is a patient.")


def _draw_head(place: Axes, values: np.ndarray, stack: Stack, stacks: StackSet) -> None:
    at = np.arange(1, len(values) + 1)
    for k, (color, name) in enumerate(zip(colors(), stacks.label_set.levels, strict=False)):
        place.plot(at, values[:, k], color=color, linewidth=1.2, label=name)
        shown = np.flatnonzero(stack.visible[:, k] == 1)
        if len(shown):
            place.axvspan(shown.min() + 0.5, shown.max() + 1.5, color=color, alpha=SHADED, linewidth=0)
    place.set(ylim=(0, 1.02), xlabel="slice")
    place.spines[["top", "right"]].set_visible(False)


def _counts(patients: list[_Patient], stacks: StackSet) -> PageSection:
    """Return how many slices show each level: by masks, and by the head of visibility in the same studies."""
    masked = [p for p in patients if p.stack.mask is not None]
    rows: list[tuple[Cell, ...]] = []
    series: dict[str, list[float]] = {"masks": [], "network": []}
    for k, name in enumerate(stacks.label_set.levels):
        true = [float((p.stack.visible[:, k] == 1).sum()) for p in masked]
        said = [float((p.visible[:, k] >= 0.5).sum()) for p in masked]
        right = [float(((p.visible[:, k] >= 0.5) == (p.stack.visible[:, k] == 1)).mean()) for p in masked]
        means = [float(np.mean(v)) if v else float("nan") for v in (true, said, right)]
        series["masks"].append(means[0])
        series["network"].append(means[1])
        rows.append((name, len(masked), *means))
    note = "Means over the segmented studies of the first fold's test part; right: share of slices told rightly."
    columns = ("level", "studies", "slices_by_masks", "slices_by_network", "right")
    table = PageTable("slices_per_level", "", columns, tuple(rows), note)
    return PageSection("Slices per vertebra", (), (table,), (bars(stacks.label_set.levels, series, "slices"),))


def _looks(run: SemiRun, patients: list[_Patient], stacks: StackSet) -> PageSection:
    network = run.network()
    start = Start(run.about["start"], tuple(run.about["mean"]), tuple(run.about["std"]))
    tiles = [tile for patient in patients for tile in _tiles(network, patient, stacks, start)]
    text = (
        "Left of each pair: the slice that speaks most for the level, with the mask and the boxes of the data set; "
        "right: where the head of fractures finds its evidence (Grad-CAM). It learned without boxes.",
    )
    picture = draw_slices(tiles, "Slices beside Grad-CAM", columns=2)
    return PageSection("Where the network looks", text, (), (picture,))


def _tiles(
    network: SliceClassifier, patient: _Patient, stacks: StackSet, start: Start
) -> tuple[ShownSlice, ShownSlice]:
    """Return the slice and level with the highest product of both heads, among fractured levels where there are any."""
    stack = patient.stack
    product = patient.finding * patient.visible
    broken = stack.targets[1:] > 0
    k, level = np.unravel_index(int(np.where(broken | ~broken.any(), product, -1.0).argmax()), product.shape)
    name = stacks.label_set.levels[level]
    refs = np.array([[patient.number, k]], dtype=np.int32)
    samples = SliceSamples(stacks, refs, np.zeros((1, 1), np.float32), start)
    heat = grad_cam(network, samples.plain(0), lambda logits: logits[0, level])
    gray = np.asarray(stack.pixels[k])
    frames = tuple(_frames(stack, int(k)))
    truth = "fractured" if broken[level] else "whole"
    silent = "" if heat.any() else "; nothing speaks for it"
    told = f"P(visible) {patient.visible[k, level]:.2f}, P(fracture) {patient.finding[k, level]:.2f}{silent}"
    mask = None if stack.mask is None else np.asarray(stack.mask[k])
    return (
        ShownSlice(gray, mask, frames, f"slice {k + 1}, {name} ({truth})"),
        ShownSlice(gray, None, frames, told, heat),
    )


def _frames(stack: Stack, k: int) -> Iterator[Frame]:
    for row in stack.boxes[stack.boxes[:, 0] == k]:
        level = Vertebra(int(row[5]) + 1) if row[5] >= 0 else None
        yield Frame((float(row[1]), float(row[2]), float(row[3]), float(row[4])), level)
