"""Slices become image files with a look, a place and a label that are each known beforehand."""

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import exposure

from cspine.datasets import LabeledStudy, PlacedBox, SliceBox, StudyFiles, StudyLabels, slice_contrast, with_level
from cspine.datasets.images import (
    ENHANCEMENTS,
    FILTERS,
    ExportLayout,
    ExportSource,
    ImagePlan,
    LabelSource,
    Look,
    export_images,
    hashed_part,
    label_slices,
    look_preview,
)
from cspine.domain import CERVICAL, Box, ConfigError, LabelMap, Rejected, Vertebra
from cspine.report import BONE, Window
from tests.datasets.coded_trees import StudySpec, block, middle_slices, neck, write_tree

VOLUME, LABELS = neck()
COUNT = VOLUME.grid.shape[0]
STUDY = LabeledStudy("2.25.5", VOLUME, tuple(range(1, COUNT + 1)), LABELS)
SLICE = np.asarray(VOLUME.hu[middle_slices(Vertebra.C4)[1]])


def fractured(*levels: Vertebra) -> StudyLabels:
    return StudyLabels(bool(levels), frozenset(levels))


def boxed(*boxes: Box) -> LabeledStudy:
    return replace(STUDY, boxes=tuple(with_level(PlacedBox(b.start_zyx[0] + 1, b), LABELS.labels) for b in boxes))


def test_the_plain_look_is_the_window_alone():
    assert np.array_equal(Look().apply(SLICE), BONE.gray(SLICE))
    assert Look().apply(np.array([[-500.0, 400.0, 1300.0]])).tolist() == [[0, 127, 255]]


@pytest.mark.parametrize("name", [name for name in ENHANCEMENTS if name != "none"])
def test_every_enhancement_keeps_the_range_and_changes_the_picture(name: str):
    plain, changed = Look(Window(200, 3000)).apply(SLICE), Look(Window(200, 3000), enhance=name).apply(SLICE)
    assert changed.dtype == np.uint8
    assert changed.shape == plain.shape
    assert not np.array_equal(changed, plain)


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in ("none", "unsharp")])
def test_every_smoothing_filter_lowers_noise(name: str):
    noisy = np.random.default_rng(0).normal(200, 60, (48, 48))
    assert Look(filtered=name).apply(noisy).std() < 0.8 * Look().apply(noisy).std()


def test_unsharp_steepens_edges():
    soft = np.linspace(0, 400, 40)[None].repeat(8, axis=0)
    soft[:, :18], soft[:, 22:] = 0, 400
    plain, sharp = (np.ptp(Look(filtered=name).apply(soft)) for name in ("none", "unsharp"))
    assert sharp > plain


def test_stretching_reaches_black_and_white():
    look = Look(Window(0, 8000), enhance="stretch")
    assert (look.apply(SLICE).min(), look.apply(SLICE).max()) == (0, 255)


def test_a_flat_slice_survives_every_look():
    flat = np.zeros((16, 16))
    for name in ENHANCEMENTS:
        assert np.ptp(Look(enhance=name).apply(flat)) <= 1


def test_contrast_is_that_of_scikit_image():
    for threshold in (0.1, 0.35, 0.6, 0.9):
        for hu in (SLICE, np.asarray(VOLUME.hu[0])):
            low = exposure.is_low_contrast(BONE.gray(hu), threshold, lower_percentile=1, upper_percentile=99)
            assert (slice_contrast(hu) < threshold) == low


@pytest.mark.parametrize("change", [{"enhance": "magic"}, {"filtered": "magic"}])
def test_an_unknown_look_is_refused_with_those_that_are_known(change: dict):
    with pytest.raises(ConfigError, match=r"unknown \w+ 'magic'; known are none, "):
        Look(**change)


def test_a_slice_is_positive_for_the_level_whose_mask_holds_a_boxs_center():
    k, (top, left) = middle_slices(Vertebra.C4)[1], block(Vertebra.C4).start_zyx[1:]
    study = boxed(Box((k, top, left), (k + 1, top + 4, left + 4)))
    labels = list(label_slices(study, fractured(Vertebra.C4)))
    assert [i for i, label in enumerate(labels) if label.fractured] == [k]
    assert labels[k].levels == tuple(v is Vertebra.C4 for v in CERVICAL)
    assert labels[k].source is LabelSource.BOX
    assert not labels[k].source.weak
    assert labels[k - 1].levels == (False,) * 7


def canal(level: Vertebra, gap_px: int) -> tuple[int, Box]:
    """Return a slice of a level and a box of 4 × 4 pixels there whose center lies so many pixels behind its mask."""
    k, behind, left = middle_slices(level)[1], block(level).stop_zyx[1] - 1 + gap_px, block(level).start_zyx[2]
    return k, Box((k, behind - 2, left), (k + 1, behind + 2, left + 4))


def test_a_box_over_the_canal_counts_for_the_fractured_level_nearby():
    k, box = canal(Vertebra.C4, 5)  # 12.5 mm
    assert boxed(box).boxes[0].center_level is None
    told = list(label_slices(boxed(box), fractured(Vertebra.C4, Vertebra.C6)))[k]
    assert told.levels == tuple(v is Vertebra.C4 for v in CERVICAL)
    assert told.source is LabelSource.BOX


def test_of_two_fractured_levels_near_a_box_the_nearer_one_counts():
    k, box = canal(Vertebra.C4, 4)
    both = LABELS.labels.copy()
    both[k, box.stop_zyx[1] + 2] = Vertebra.C5
    study = replace(boxed(box), labels=LabelMap(LABELS.grid, both))
    for levels, expected in (
        ((Vertebra.C4, Vertebra.C5), Vertebra.C4),
        ((Vertebra.C5,), Vertebra.C5),
    ):
        told = list(label_slices(study, fractured(*levels)))[k]
        assert told.levels == tuple(v is expected for v in CERVICAL)


@pytest.mark.parametrize(("gap_px", "levels"), [(7, (Vertebra.C4,)), (5, (Vertebra.C3,)), (5, ())])
def test_a_box_too_far_from_a_fractured_level_counts_for_none(gap_px: int, levels: tuple[Vertebra, ...]):
    k, box = canal(Vertebra.C4, gap_px)
    assert list(label_slices(boxed(box), fractured(*levels)))[k].levels == (None,) * 7


def test_a_box_with_its_center_outside_the_masks_leaves_the_levels_open():
    k = middle_slices(Vertebra.C4)[1]
    labels = list(label_slices(boxed(Box((k, 1, 1), (k + 1, 4, 4))), fractured(Vertebra.C4)))
    assert labels[k].fractured
    assert labels[k].levels == (None,) * 7


def test_without_boxes_a_visible_fractured_level_is_a_weak_positive():
    labels = list(label_slices(STUDY, fractured(Vertebra.C2, Vertebra.C6)))
    start, stop = (block(Vertebra.C6).start_zyx[0], block(Vertebra.C6).stop_zyx[0])
    assert all(labels[k].fractured and labels[k].source.weak for k in range(start, stop))
    between = block(Vertebra.C4).start_zyx[0]
    assert not labels[between].fractured
    assert labels[between].visible == frozenset({Vertebra.C4})
    assert sum(label.fractured for label in labels) == block(Vertebra.C2).shape[0] + stop - start


def test_of_a_fractured_study_without_mask_and_boxes_nothing_is_known_of_the_slices():
    labels = list(label_slices(replace(STUDY, labels=None), fractured(Vertebra.C2)))
    assert {(label.fractured, label.levels, label.source) for label in labels} == {
        (True, (None,) * 7, LabelSource.STUDY)
    }


def test_a_study_without_a_fracture_is_negative_on_every_slice():
    labels = list(label_slices(STUDY, fractured()))
    assert not any(label.fractured for label in labels)
    assert {label.source for label in labels} == {LabelSource.INTACT}


SPECS = (
    StudySpec("2.25.1", (Vertebra.C2,), (Vertebra.C2,), mask=True),
    StudySpec("2.25.2"),
    StudySpec("2.25.3", (Vertebra.C5,), mask=True),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ExportSource:
    root = write_tree(tmp_path_factory.mktemp("tree"), SPECS)
    studies = [
        StudyFiles(
            spec.uid,
            root / "train_images" / spec.uid,
            root / "segmentations" / f"{spec.uid}.nii.gz" if spec.mask else None,
            tuple(SliceBox(int(row[5]), *row[1:5]) for row in spec.box_rows),
        )
        for spec in SPECS
    ]
    parts = {"2.25.1": "train", "2.25.2": "val", "2.25.3": "train"}
    return ExportSource(studies, {spec.uid: fractured(*spec.fractured) for spec in SPECS}, parts)


def quiet(stage: str, share: float) -> None:
    """Report nothing."""


def files_by_folder(out: Path) -> Counter:
    return Counter(
        path.parent.relative_to(out).as_posix() for path in out.rglob("*") if path.suffix in (".jpg", ".png")
    )


def test_images_are_sorted_by_part_and_label_and_no_study_is_split(tmp_path: Path, source: ExportSource):
    done = export_images(source, ImagePlan(image_format="png"), tmp_path / "out", 2, quiet)
    c5 = block(Vertebra.C5).shape[0]
    assert files_by_folder(tmp_path / "out") == {
        "train/fracture": 3 + c5,
        "train/normal": 2 * COUNT - 3 - c5,
        "val/normal": COUNT,
    }
    table = pd.read_csv(tmp_path / "out" / "labels.csv", dtype={"StudyInstanceUID": str})
    assert len(table) == len(done.table) == 3 * COUNT
    assert table.groupby("StudyInstanceUID")["part"].nunique().max() == 1
    assert table.loc[table["StudyInstanceUID"] == "2.25.1", "C2"].sum() == 3
    assert table.groupby("source")["weak"].sum().to_dict() == {"box": 0, "intact": 0, "visible": c5}
    row = table[(table["StudyInstanceUID"] == "2.25.1") & (table["slice_number"] == 10)].iloc[0]
    with Image.open(tmp_path / "out" / row["file"]) as picture:
        assert np.array_equal(np.asarray(picture), BONE.gray(VOLUME.hu[9]))
    assert "Looks of slices" in (tmp_path / "out" / "preview.html").read_text()


def test_one_folder_per_study_sizes_and_every_nth_slice(tmp_path: Path, source: ExportSource):
    plan = ImagePlan(layout=ExportLayout.STUDIES, size_px=32, every=10)
    export_images(source, plan, tmp_path / "out", 1, quiet)
    assert files_by_folder(tmp_path / "out") == dict.fromkeys((spec.uid for spec in SPECS), -(-COUNT // 10))
    with Image.open(tmp_path / "out" / "2.25.2" / "11.jpg") as picture:
        assert picture.size == (32, 32)


def test_weak_positives_and_slices_of_low_contrast_can_be_left_out(tmp_path: Path, source: ExportSource):
    plan = ImagePlan(weak=False, least_contrast=0.3, every=2)
    done = export_images(source, plan, tmp_path / "out", 1, quiet)
    shown = range(0, COUNT, 2)
    low = sum(slice_contrast(VOLUME.hu[k]) < 0.3 for k in shown)
    c5 = sum(k in shown for k in range(block(Vertebra.C5).start_zyx[0], block(Vertebra.C5).stop_zyx[0]))
    assert 0 < low < len(shown)
    assert done.left_out_weak == c5
    assert len(done.table) == 3 * len(shown) - done.low_contrast - c5
    assert done.table["weak"].sum() == 0


def test_a_second_run_goes_on_and_another_plan_is_refused(
    tmp_path: Path, source: ExportSource, monkeypatch: pytest.MonkeyPatch
):
    first = export_images(source, ImagePlan(every=20), tmp_path / "out", 1, quiet)
    with pytest.raises(ConfigError, match="holds images of another plan"):
        export_images(source, ImagePlan(every=21), tmp_path / "out", 1, quiet)
    monkeypatch.setattr("cspine.datasets.images.export._write_study", None)  # whatever is written again fails
    again = export_images(source, ImagePlan(every=20), tmp_path / "out", 1, quiet)
    assert again.table.astype(object).equals(first.table.astype(object))


def test_a_study_without_labels_is_named_and_a_broken_one_does_not_stop_the_rest(tmp_path: Path, source: ExportSource):
    more = [*source.studies[:1], StudyFiles("2.25.8", tmp_path / "none"), StudyFiles("2.25.9", tmp_path / "none")]
    known = {**source.labels, "2.25.9": fractured()}
    done = export_images(ExportSource(more, known), ImagePlan(every=30), tmp_path / "out", 1, quiet)
    assert done.errors["2.25.8"] == "no row in train.csv"
    assert "no readable image" in done.errors["2.25.9"]
    assert set(done.table["StudyInstanceUID"]) == {"2.25.1"}


def test_a_full_disk_ends_the_run(tmp_path: Path, source: ExportSource, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, content: bytes) -> None:
        raise Rejected(f"{path}: no space left on the disk", "ENOSPC")

    export_images(source, ImagePlan(every=30), tmp_path / "out", 1, quiet)
    for kept in (tmp_path / "out" / ".rows").iterdir():
        kept.unlink()
    monkeypatch.setattr("cspine.datasets.images.export.write_atomically", full)
    with pytest.raises(Rejected, match="no space left"):
        export_images(source, ImagePlan(every=30), tmp_path / "out", 1, quiet)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_format": "bmp"}, "unknown format 'bmp'; known are jpeg, png"),
        ({"quality": 0}, "quality is 0"),
        ({"size_px": 4}, "size is 4 pixels"),
        ({"every": 0}, "every is 0"),
        ({"least_contrast": 1.5}, "least contrast is 1.5"),
    ],
)
def test_an_impossible_plan_is_refused(change: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        ImagePlan(**change)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, source: ExportSource):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="is not empty"):
        export_images(source, ImagePlan(), tmp_path, 1, quiet)


def test_four_of_five_studies_train_where_no_split_is_given():
    parts = Counter(hashed_part(f"1.2.{k}") for k in range(2000))
    assert parts["train"] / 2000 == pytest.approx(0.8, abs=0.03)
    assert hashed_part("1.2.3") == hashed_part("1.2.3")


def test_the_preview_shows_every_named_option():
    page = look_preview([("slice 1", SLICE)], Look(enhance="clahe")).decode()
    assert page.count("data:image/png;base64,") == 3
    assert all(f"{name}: " in page for name in (*ENHANCEMENTS, *FILTERS))


def test_jpeg_files_are_gray_and_close_to_the_slice(tmp_path: Path, source: ExportSource):
    export_images(source, ImagePlan(quality=95, every=30), tmp_path / "out", 1, quiet)
    path = next((tmp_path / "out").rglob("2.25.2_31.jpg"))
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        assert picture.mode == "L"
        difference = np.abs(np.asarray(picture, float) - BONE.gray(VOLUME.hu[30]))
    assert np.median(difference) <= 2
