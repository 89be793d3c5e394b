"""Every seeded contradiction is found and named; clean data gives none."""

import csv
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cspine.datasets import LabeledStudy, PlacedBox, SliceBox, StudyFiles, StudyLabels, with_level
from cspine.datasets.audit import Kind, Suspicion, audit_set, audit_study
from cspine.datasets.audit.thumbnails import thumbnail
from cspine.domain import Box, ConfigError, LabelMap, Vertebra, Volume
from tests.datasets.coded_trees import StudySpec, block, box_of, middle_slices, neck, write_tree

VOLUME, LABELS = neck()
NUMBERS = tuple(range(1, VOLUME.grid.shape[0] + 1))


def placed(level: Vertebra, labels: np.ndarray = LABELS.labels) -> PlacedBox:
    k = middle_slices(level)[1]
    x, y, width, height, _ = box_of(level, k)
    box = PlacedBox(NUMBERS[k], SliceBox(NUMBERS[k], x, y, width, height).voxels(k))
    return with_level(box, labels)


def study(*boxed: Vertebra, **changes: object) -> LabeledStudy:
    clean = LabeledStudy("2.25.5", VOLUME, NUMBERS, LABELS, tuple(placed(level) for level in boxed))
    return replace(clean, **changes)


def fractured(*levels: Vertebra, overall: bool | None = None) -> StudyLabels:
    return StudyLabels(bool(levels) if overall is None else overall, frozenset(levels))


def only(found: list[Suspicion]) -> Suspicion:
    (suspicion,) = found
    return suspicion


def relabeled(change) -> LabelMap:
    array = LABELS.labels.copy()
    change(array)
    return LabelMap(LABELS.grid, array)


@pytest.mark.parametrize("levels", [(), (Vertebra.C2,), (Vertebra.C3, Vertebra.C7)])
def test_clean_studies_give_nothing(levels: tuple[Vertebra, ...]):
    assert audit_study(study(*levels), fractured(*levels)) == []
    assert audit_study(study(), fractured(*levels)) == []
    assert audit_study(study(*levels, labels=None), fractured(*levels)) == []


def test_a_box_on_a_level_that_is_not_labeled_is_found():
    found = only(audit_study(study(Vertebra.C2, Vertebra.C5), fractured(Vertebra.C2)))
    assert (found.kind, found.level) == (Kind.BOX_UNLABELED, Vertebra.C5)
    assert found.message == "1 of 2 boxes lie on C5, which is not labeled fractured"
    assert found.slice_number == NUMBERS[middle_slices(Vertebra.C5)[1]]


def test_boxes_in_a_study_without_a_fracture_are_found_even_without_a_mask():
    found = only(audit_study(study(Vertebra.C2, labels=None), fractured()))
    assert (found.kind, found.message) == (Kind.BOX_UNLABELED, "1 boxes in a study without a fracture")


def test_a_fractured_level_without_a_box_is_found_among_boxed_studies():
    found = only(audit_study(study(Vertebra.C2), fractured(Vertebra.C2, Vertebra.C6)))
    assert (found.kind, found.level) == (Kind.LABEL_UNBOXED, Vertebra.C6)


def test_a_box_outside_every_vertebra_is_found():
    stray = with_level(PlacedBox(9, Box((8, 1, 1), (9, 4, 4))), LABELS.labels)
    found = only(audit_study(study(boxes=(placed(Vertebra.C2), stray)), fractured(Vertebra.C2)))
    assert (found.kind, found.slice_number, found.slice_index) == (Kind.BOX_OUTSIDE, 9, 8)


def test_a_mask_with_an_island_is_found_with_its_share():
    def island(array: np.ndarray) -> None:
        array[1, 2, 2:5] = Vertebra.C4

    found = only(audit_study(study(labels=relabeled(island)), fractured()))
    assert (found.kind, found.level) == (Kind.ISLANDS, Vertebra.C4)
    assert (found.slice_index, found.slice_number, found.mark) == (1, NUMBERS[1], Box((1, 2, 2), (2, 3, 5)))
    voxels = int((LABELS.labels == Vertebra.C4).sum())
    assert found.message == f"C4: 3 voxels ({3 / (voxels + 3):.1%}) in 1 other piece"


def test_the_picture_of_an_island_frames_it_and_a_wrong_label_has_none():
    def island(array: np.ndarray) -> None:
        array[1, 2, 2:5] = Vertebra.C4

    spoiled = study(labels=relabeled(island))
    found = only(audit_study(spoiled, fractured()))
    shown = Image.open(BytesIO(b64decode(thumbnail(spoiled, found).partition(",")[2]))).convert("L")
    white = np.argwhere(np.asarray(shown)[:210] > 200) - 4  # without caption and rim
    voxel_px = 240 / 15  # a margin of ten voxels round three, cut by the edge of the scan
    assert white.min(axis=0) / voxel_px == pytest.approx([1, 1], abs=0.2)
    assert white.max(axis=0) / voxel_px == pytest.approx([4, 6], abs=0.2)
    labeled = only(audit_study(study(), fractured(Vertebra.C1, overall=False)))
    assert thumbnail(study(), labeled) == ""


def test_levels_out_of_order_are_found():
    def swapped(array: np.ndarray) -> None:
        upper, lower = array == Vertebra.C3, array == Vertebra.C4
        array[upper], array[lower] = Vertebra.C4, Vertebra.C3

    found = only(audit_study(study(labels=relabeled(swapped)), fractured()))
    assert (found.kind, found.level) == (Kind.ORDER, Vertebra.C3)
    below = block(Vertebra.C4).start_zyx[0] - block(Vertebra.C3).start_zyx[0]
    assert found.message == f"C3 lies {3 * below} mm below C4"


@pytest.mark.parametrize("slices", [-2, -1, 1, 2])
def test_a_mask_moved_by_a_slice_is_found_with_its_way_back(slices: int):
    def moved(array: np.ndarray) -> None:
        array[:] = np.roll(array, slices, axis=0)

    found = only(audit_study(study(labels=relabeled(moved)), fractured()))
    assert found.kind is Kind.SHIFT
    assert found.message.startswith(f"moved by {-slices:+d} slices the mask meets bone better (Dice 1.000)")


def test_a_mask_whose_own_frame_is_a_slice_off_is_found():
    found = only(audit_study(study(mask_offset_mm=(0.0, 0.0, -3.0)), fractured()))
    assert found.kind is Kind.SHIFT
    assert found.message == "the mask's own frame lies 1.0, 0.0, 0.0 slices, rows, columns off"


def test_slices_stored_upside_down_are_found():
    turned = Volume(VOLUME.grid, np.ascontiguousarray(VOLUME.hu[::-1]))
    found = only(audit_study(study(volume=turned), fractured()))
    assert found.kind is Kind.DIRECTION
    assert "turned over in z the mask meets bone better (Dice 1.00)" in found.message


def test_a_mask_that_counts_from_the_feet_is_found():
    def upward(array: np.ndarray) -> None:
        levels = array > 0
        array[levels] = 9 - array[levels]

    found = audit_study(study(labels=relabeled(upward)), fractured())
    assert [s.kind for s in found] == [Kind.DIRECTION]
    assert found[0].message == "all 8 levels run from foot to head"


def test_a_study_label_that_contradicts_its_levels_is_found():
    found = only(audit_study(study(), fractured(Vertebra.C1, overall=False)))
    assert (found.kind, found.message) == (Kind.OVERALL, "patient_overall is 0, fractured: C1")


def test_the_worst_kind_comes_first():
    broken = study(Vertebra.C2, notes=("a box on slice 999, which the study does not have",))
    found = audit_study(broken, fractured(Vertebra.C6, overall=False))
    kinds = [s.kind for s in found]
    assert kinds == [Kind.BOX_UNLABELED, Kind.LABEL_UNBOXED, Kind.OVERALL, Kind.UNPLACED]
    assert [s.rank for s in found] == sorted((s.rank for s in found), reverse=True)


def files(root: Path, spec: StudySpec) -> StudyFiles:
    mask = root / "segmentations" / f"{spec.uid}.nii.gz"
    boxes = tuple(SliceBox(int(row[5]), *row[1:5]) for row in spec.box_rows)
    return StudyFiles(spec.uid, root / "train_images" / spec.uid, mask if mask.exists() else None, boxes)


def test_a_set_is_audited_onto_a_ranked_page_and_a_table_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    specs = [
        StudySpec("2.25.1", (Vertebra.C2,), (Vertebra.C2, Vertebra.C4), mask=True),
        StudySpec("2.25.2", (Vertebra.C3,), (Vertebra.C3,), mask=True),
        StudySpec("2.25.3", (Vertebra.C5,), overall=0),
    ]
    root = write_tree(tmp_path / "root", specs)
    labels = {spec.uid: fractured(*spec.fractured, overall=spec.overall != 0) for spec in specs}
    studies = [files(root, spec) for spec in specs] + [
        StudyFiles("2.25.4", tmp_path / "none", boxes=(SliceBox(1, 1, 1, 2, 2),))
    ]
    done = audit_set(studies, labels, tmp_path / "out", 2, lambda stage, share: None)
    rows = list(csv.DictReader(done.table.read_text().splitlines()))
    assert [(r["study"], r["kind"], r["level"]) for r in rows] == [
        ("2.25.1", Kind.BOX_UNLABELED, "C4"),
        ("2.25.3", Kind.OVERALL, ""),
    ]
    page = done.page.read_text()
    assert page.count("<article>") == 2
    assert page.count("data:image/jpeg;base64,") == 1
    assert "2 of 2 studies whose images were read are marked as PHANTOMS" in page
    assert done.errors.keys() == {"2.25.4"}
    assert "2.25.4" in page
    monkeypatch.setattr("cspine.datasets.audit.run.read_study", None)  # whatever is read again fails
    again = audit_set(studies[:3], labels, tmp_path / "out", 2, lambda stage, share: None)
    assert again.suspicions == done.suspicions


def test_an_empty_set_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="no study to audit"):
        audit_set([], {}, tmp_path, 1, lambda stage, share: None)
