"""A study of an RSNA set comes back on one grid, whatever the files are called."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import PlacedBox, SliceBox, StudyFiles, read_study, with_level
from cspine.dicom import Numbering
from cspine.domain import AxisOrder, Box, Grid, LabelMap, NoImages, NotAVolume, UnsupportedSeries, Vertebra, Volume
from tests.datasets.coded_trees import StudySpec, block, box_of, neck, write_mask, write_tree

UID = "2.25.77"
FEET_FIRST = AxisOrder((0, 1, 2), (True, False, False))
SAGITTAL_SLICES = AxisOrder((2, 0, 1), (False, False, False))


def files(root: Path, spec: StudySpec) -> StudyFiles:
    boxes = tuple(SliceBox(int(row[5]), *row[1:5]) for row in spec.box_rows)
    mask = root / "segmentations" / f"{spec.uid}.nii.gz"
    return StudyFiles(spec.uid, root / "train_images" / spec.uid, mask if mask.exists() else None, boxes)


@pytest.mark.parametrize("numbering", [Numbering(), Numbering(first=7), Numbering(first=0, backward=True)])
def test_slices_stand_head_first_and_keep_their_numbers(tmp_path: Path, numbering: Numbering):
    spec = StudySpec(UID, (Vertebra.C4,), (Vertebra.C4,), mask=True, numbering=numbering)
    study = read_study(files(write_tree(tmp_path, [spec]), spec))
    volume, labels = neck()
    assert np.array_equal(study.volume.hu, volume.hu)
    assert study.numbers == tuple(numbering.of(volume.grid.shape[0]))
    assert study.labels is not None
    assert np.array_equal(study.labels.labels, labels.labels)
    assert study.mask_offset_mm == pytest.approx((0, 0, 0), abs=1e-3)
    assert study.notes == ()
    assert study.phantom  # as its headers say


def test_a_stack_written_from_foot_to_head_is_turned_with_its_boxes(tmp_path: Path):
    volume, _ = neck()
    upward = Volume(volume.grid.reordered(FEET_FIRST), FEET_FIRST.apply(volume.hu))
    last = volume.grid.shape[0] - 1
    x, y, width, height, k = box_of(Vertebra.C6, block(Vertebra.C6).start_zyx[0] + 1)
    spec = StudySpec(UID, mask=True, volume=upward)
    spec = replace(spec, extra_boxes=((x, y, width, height, spec.number(last - k)),))
    study = read_study(files(write_tree(tmp_path, [spec]), spec))
    assert np.array_equal(study.volume.hu, volume.hu)
    (box,) = study.boxes
    assert box.box.start_zyx == (k, y, x)
    assert box.level is Vertebra.C6


def test_boxes_start_at_their_top_left_corner(tmp_path: Path):
    spec = StudySpec(UID, (Vertebra.C2,), (Vertebra.C2,), mask=True)
    study = read_study(files(write_tree(tmp_path, [spec]), spec))
    for row, placed in zip(spec.box_rows, study.boxes, strict=True):
        _, x, y, width, height, number = row
        assert placed.box.slices[1:] == (slice(y, y + height), slice(x, x + width))
        assert study.numbers[placed.box.start_zyx[0]] == number == placed.slice_number
        assert placed.center_level is placed.level is Vertebra.C2


def test_a_box_whose_center_lies_in_a_canal_takes_the_level_round_it():
    labels = np.zeros((1, 10, 10), np.uint8)
    labels[0, 2:8, 2:4] = 5
    placed = PlacedBox(1, Box((0, 2, 2), (1, 8, 8)))
    found = with_level(placed, labels)
    assert (found.center_level, found.level) == (None, Vertebra.C5)
    assert with_level(PlacedBox(1, Box((0, 0, 5), (1, 2, 9))), labels).level is None


def test_boxes_that_cannot_be_placed_are_named(tmp_path: Path):
    spec = StudySpec(UID, extra_boxes=((1, 1, 4, 4, 999), (48, 1, 40, 4, 3)))
    study = read_study(files(write_tree(tmp_path, [spec]), spec))
    assert study.notes == (
        "a box on slice 999, which the study does not have",
        "a box on slice 3 reaches outside the image",
    )
    assert [box.box.stop_zyx[2] for box in study.boxes] == [study.volume.grid.shape[2]]


def test_a_mask_of_another_grid_is_refused_with_both_shapes(tmp_path: Path):
    spec = StudySpec(UID, mask=True)
    root = write_tree(tmp_path, [spec])
    grid = Grid.from_axes((9, 8, 7), (3.0, 2.5, 2.5))
    write_mask(root, UID, LabelMap(grid, np.ones(grid.shape, np.uint8)))
    with pytest.raises(NotAVolume, match=r"mask of \(9, 8, 7\) voxels on a study of \(\d+, 52, 52\)"):
        read_study(files(root, spec))


def test_the_distance_of_a_mask_that_was_written_elsewhere_is_told(tmp_path: Path):
    labels = neck()[1]
    moved = LabelMap(
        labels.grid.crop(Box((1, 0, 0), tuple(n + (i == 0) for i, n in enumerate(labels.grid.shape)))), labels.labels
    )
    spec = StudySpec(UID, mask=moved)
    study = read_study(files(write_tree(tmp_path, [spec]), spec))
    assert study.mask_offset_mm == pytest.approx((0, 0, -3.0), abs=1e-3)


def test_an_empty_folder_is_refused_by_name(tmp_path: Path):
    with pytest.raises(NoImages, match="no readable image"):
        read_study(StudyFiles(UID, tmp_path))


def test_sagittal_slices_are_refused(tmp_path: Path):
    volume, _ = neck()
    turned = Volume(volume.grid.reordered(SAGITTAL_SLICES), SAGITTAL_SLICES.apply(volume.hu))
    spec = StudySpec(UID, volume=turned)
    with pytest.raises(UnsupportedSeries, match="slices are not axial"):
        read_study(files(write_tree(tmp_path, [spec]), spec))
