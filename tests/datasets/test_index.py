"""An index says what the headers say, whatever the quirks, reads only what changed, and names what it could not use."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from cspine.datasets import RsnaIndex, index_rsna, read_index
from cspine.datasets.index import header_pass
from cspine.dicom import SliceHeaderReader
from cspine.domain import NoImages, Unreachable
from tests.datasets.rsna_builders import PREFIX, TARGETS, TinyBox, TinyStudy, write_csv, write_mask, write_tree

BAD = f"{PREFIX}20574", f"{PREFIX}29952"
PLAIN = TinyStudy(1, boxes=(TinyBox(5, 6, 7, 8, 2),), fractured=("C2", "C5"), mask=True)
RISING = TinyStudy(2, z_rises=True, first_number=17, patient="A^B")
MIXED = TinyStudy(3, odd_shapes={4: (33, 32), 5: (33, 32)}, jpeg=True)
INVERTED = TinyStudy(4, photometric="MONOCHROME1", signed=False, bits_stored=12, first_number=0)
GAPPY = TinyStudy(5, missing=(4, 5))
STUDIES = (PLAIN, RISING, MIXED, INVERTED, GAPPY, TinyStudy(20574), TinyStudy(29952))


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return write_tree(tmp_path_factory.mktemp("rsna") / "tree", STUDIES, [TinyStudy(9)])


@pytest.fixture(scope="module")
def index(tree, tmp_path_factory) -> RsnaIndex:
    return index_rsna(tree, tmp_path_factory.mktemp("index")).index


@pytest.fixture(scope="module")
def studies(index) -> pd.DataFrame:
    return index.studies.set_index("StudyInstanceUID")


def messages(index: RsnaIndex, **equal: object) -> list[str]:
    """Return the messages of the problems whose columns have these values."""
    table = index.problems
    for column, value in equal.items():
        table = table[table[column] == value]
    return list(table["message"])


def test_every_slice_and_study_has_a_row(index):
    assert len(index.slices) == sum(s.slices - len(s.missing) for s in STUDIES) + 12
    assert list(index.studies["part"]) == ["train"] * 7 + ["test"]
    assert index.slices["SOPInstanceUID"].is_unique


def test_a_slice_has_the_values_of_its_header(index):
    row = index.slices_of(PLAIN.study_uid).iloc[3]
    assert row["file"] == f"train_images/{PLAIN.study_uid}/4.dcm"
    assert (row["slice_number"], row["InstanceNumber"], row["place"]) == (4, 4, 3)
    assert (row["TransferSyntaxUID"], row["PhotometricInterpretation"]) == ("1.2.840.10008.1.2.1", "MONOCHROME2")
    assert (row["BitsAllocated"], row["BitsStored"], row["PixelRepresentation"]) == (16, 16, 1)
    assert (row["Rows"], row["Columns"]) == (32, 32)
    assert (row["pixel_spacing_row_mm"], row["pixel_spacing_column_mm"]) == (4.0, 4.0)
    assert (row["WindowCenter"], row["WindowWidth"]) == (400.0, 1800.0)  # the first of two
    assert (row["x_mm"], row["y_mm"], row["z_mm"], row["gap_mm"]) == (-62.0, -62.0, 91.0, 3.0)
    assert row["PatientID"] == "patient-1"
    assert row["pixels"] == "whole"


def test_size_and_hash_are_those_of_the_file(index, tree):
    row = index.slices.iloc[0]
    content = (tree / row["file"]).read_bytes()
    pixels = content.index(b"\xe0\x7f\x10\x00OW") + 12
    assert row["file_bytes"] == len(content)
    assert row["header_hash"] == hashlib.blake2b(content[:pixels], digest_size=16).hexdigest()


def test_labels_boxes_and_masks_are_joined(index, studies):
    row = studies.loc[PLAIN.study_uid]
    assert [row[name] for name in TARGETS] == [1, 0, 1, 0, 0, 1, 0, 0]
    assert (row["boxes"], row["mask"], row["mask_fits"]) == (1, f"segmentations/{PLAIN.study_uid}.nii", True)
    assert studies.loc[RISING.study_uid, "boxes"] == 0
    assert studies.loc[f"{PREFIX}9", list(TARGETS)].isna().all()
    (box,) = index.boxes.to_dict("records")
    assert (box["x"], box["y"], box["width"], box["height"], box["slice_number"]) == (5, 6, 7, 8, 2)


@pytest.mark.parametrize(
    ("study", "direction", "numbers"),
    [(PLAIN, "falls", (1, 12)), (RISING, "rises", (17, 28)), (INVERTED, "falls", (0, 11))],
    ids=["falls", "rises", "from zero"],
)
def test_z_may_fall_or_rise_with_numbers_that_begin_anywhere(studies, index, study, direction, numbers):
    row = studies.loc[study.study_uid]
    assert (row["z_direction"], row["first_number"], row["last_number"]) == (direction, *numbers)
    ordered = index.slices_of(study.study_uid)
    assert list(ordered["z_mm"]) == [100.0 - 3.0 * k for k in range(12)]  # head to foot in every case
    assert list(ordered["slice_number"]) == [study.slice_number(k) for k in range(12)]


def test_mixed_shapes_are_counted_and_most_slices_decide(studies, index):
    row = studies.loc[MIXED.study_uid]
    assert (row["shapes"], row["Rows"], row["Columns"]) == (2, 32, 32)
    assert sorted(index.slices_of(MIXED.study_uid)["Rows"].unique()) == [32, 33]
    assert row["TransferSyntaxUID"] == "1.2.840.10008.1.2.4.70"


def test_monochrome1_is_told(studies):
    row = studies.loc[INVERTED.study_uid]
    assert (row["PhotometricInterpretation"], row["BitsStored"], row["PixelRepresentation"]) == ("MONOCHROME1", 12, 0)


def test_a_gap_is_measured_and_named(studies, index):
    row = studies.loc[GAPPY.study_uid]
    assert (row["slices"], row["gaps"], row["largest_gap_mm"], row["spacing_mm"]) == (10, 1, 9.0, 3.0)
    assert messages(index, study=GAPPY.study_uid) == ["1 gaps between slices, the largest 9.00 mm at 3.00 mm"]


def test_the_two_bad_studies_are_listed_and_not_fatal(studies, index):
    assert not studies.loc[list(BAD), "usable"].any()
    assert studies.drop(index=list(BAD))["usable"].all()
    assert sorted(index.problems[index.problems["kind"] == "bad-study"]["study"]) == sorted(BAD)


def test_a_second_run_reads_nothing_and_says_the_same(tree, tmp_path, monkeypatch):
    first = index_rsna(tree, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr(SliceHeaderReader, "read", None)  # a read would fail
    again = index_rsna(tree, tmp_path)
    assert (first.read, first.kept) == (94, 0)
    assert (again.read, again.kept, again.gone) == (0, 94, 0)
    pd.testing.assert_frame_equal(again.index.slices, first.index.slices)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_only_what_changed_is_read_again(tmp_path):
    root = write_tree(tmp_path / "tree", [PLAIN, RISING])
    index_rsna(root)
    images = root / "train_images"
    os.utime(images / PLAIN.study_uid / "3.dcm", ns=(1, 1))
    (images / PLAIN.study_uid / "4.dcm").unlink()
    run = index_rsna(root)
    assert (run.read, run.kept, run.gone) == (1, 22, 2)  # the touched one left the old rows, too
    assert list(run.index.slices_of(PLAIN.study_uid)["slice_number"]) == [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]
    assert run.index.studies.iloc[0]["gaps"] == 1


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    root = write_tree(tmp_path / "tree", [PLAIN, RISING, MIXED])
    whole = index_rsna(root, tmp_path / "whole")
    monkeypatch.setattr("cspine.datasets.index.build.ROWS_PER_SHARD", 12)

    def stop(uid: str, share: float, slices: int) -> None:
        if slices > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_rsna(root, tmp_path / "stopped", report=stop)
    with pytest.raises(NoImages, match="holds no index"):
        read_index(tmp_path / "stopped")
    again = index_rsna(root, tmp_path / "stopped")
    assert (again.read, again.kept) == (12, 24)
    pd.testing.assert_frame_equal(again.index.slices, whole.index.slices)
    assert not list((tmp_path / "stopped").glob(".*"))


@pytest.mark.slow
def test_two_workers_write_the_tables_of_one(tree, tmp_path, monkeypatch):
    for name in ("FILES_FOR_WORKERS", "FILES_PER_TASK"):
        monkeypatch.setattr(header_pass, name, 1)
    monkeypatch.setattr(header_pass, "ThreadPoolExecutor", _WaitingExecutor)
    monkeypatch.setattr(header_pass, "_read_here", None)
    two = index_rsna(tree, tmp_path / "two", 2)
    monkeypatch.undo()
    one = index_rsna(tree, tmp_path / "one", 1)
    pd.testing.assert_frame_equal(two.index.slices, one.index.slices)
    pd.testing.assert_frame_equal(two.index.studies, one.index.studies)


class _WaitingExecutor(ThreadPoolExecutor):
    """Waits for each call, so that nothing is read while the workers start."""

    def submit(self, call, /, *args, **kwargs):
        future = super().submit(call, *args, **kwargs)
        future.exception()
        return future


def test_broken_files_are_listed_and_the_rest_is_there(tmp_path):
    root = write_tree(tmp_path / "tree", [PLAIN, RISING])
    folder = root / "train_images" / PLAIN.study_uid
    (folder / "2.dcm").write_bytes(b"")
    (folder / "3.dcm").write_bytes(b"no image" * 100)
    whole = (folder / "4.dcm").read_bytes()
    (folder / "4.dcm").write_bytes(whole[:-100])
    for _ in range(2):  # kept rows tell the same as fresh ones
        index = index_rsna(root).index
        broken = index.problems[index.problems["kind"] == "broken-file"].set_index("file")["message"]
        assert broken.to_dict() == {
            f"train_images/{PLAIN.study_uid}/2.dcm": "empty file (0 bytes)",
            f"train_images/{PLAIN.study_uid}/3.dcm": "not a DICOM file",
            f"train_images/{PLAIN.study_uid}/4.dcm": "pixel data is truncated",
        }
        row = index.studies.set_index("StudyInstanceUID").loc[PLAIN.study_uid]
        assert (row["slices"], row["broken_files"], row["usable"]) == (10, 2, True)


def test_missing_test_folders_and_tables_are_notes(tmp_path):
    root = write_tree(tmp_path / "tree", [PLAIN], test_folder=False)
    for name in ("test.csv", "train_bounding_boxes.csv"):
        (root / name).unlink()
    index = index_rsna(root).index
    assert sorted(index.problems["file"]) == ["test_images", "train_bounding_boxes.csv"]
    assert len(index.studies) == 1


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(NoImages, match="neither train_images nor test_images"):
        index_rsna(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tree, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match=r"file.*--index"):
        index_rsna(tree, tmp_path / "file" / "below")


def test_an_index_of_another_version_is_refused(tmp_path, monkeypatch):
    root = write_tree(tmp_path / "tree", [PLAIN])
    monkeypatch.setattr("cspine.datasets.index.build.SCHEMA", "0.1")
    with pytest.raises(Unreachable, match=r"version 0\.1, this is 1\.0"):
        index_rsna(root)


HEAD = ["StudyInstanceUID", *TARGETS]


@pytest.mark.parametrize(
    ("rows", "row", "value", "message"),
    [
        ([[PLAIN.study_uid, 1, 0, "yes", 0, 0, 1, 0, 0]], 2, "yes", "C2 is 'yes', not 0 or 1; taken as unknown"),
        ([[PLAIN.study_uid, 1, 0, 2, 0, 0, 1, 0, 0]], 2, "2", "C2 is '2', not 0 or 1"),
        ([[PLAIN.study_uid, 0, 0, 1, 0, 0, 0, 0, 0]], 2, "0", "patient_overall is 0, fractured levels are C2"),
        ([[PLAIN.study_uid, *[0] * 8], [PLAIN.study_uid, *[1] * 8]], 3, PLAIN.study_uid, "a second row"),
        ([["1.2.3", *[0] * 8]], 2, "1.2.3", "study 1.2.3 has no images"),
        ([[PLAIN.study_uid, 0, 0]], 2, "", "has not the 9 cells"),
        ([["", *[0] * 8]], 2, "", "StudyInstanceUID is empty"),
    ],
    ids=["word", "two", "contradiction", "twice", "unknown study", "short row", "no UID"],
)
def test_a_wrong_label_is_named_by_file_row_and_value(tmp_path, rows, row, value, message):
    root = write_tree(tmp_path / "tree", [PLAIN])
    write_csv(root / "train.csv", HEAD, rows)
    problems = index_rsna(root).index.problems
    said = problems[problems["file"] == "train.csv"].iloc[0]
    assert (said["row"], said["value"]) == (row, value)
    assert message in said["message"]


def test_a_missing_column_is_named_and_the_others_are_read(tmp_path):
    root = write_tree(tmp_path / "tree", [PLAIN])
    write_csv(root / "train.csv", [c for c in HEAD if c != "C3"], [[PLAIN.study_uid, 1, 0, 1, 0, 1, 0, 0]])
    index = index_rsna(root).index
    assert messages(index, file="train.csv", value="C3", row=1) == ["has no column C3"]
    row = index.studies.iloc[0]
    assert pd.isna(row["C3"])
    assert (row["C2"], row["C5"]) == (1, 1)


def test_a_table_without_uids_or_that_is_no_text_is_named(tmp_path):
    root = write_tree(tmp_path / "tree", [PLAIN])
    write_csv(root / "train.csv", ["id", "C1"], [["x", 1]])
    (root / "train_bounding_boxes.csv").write_bytes(b"StudyInstanceUID,x\n\xff\xfe\x00,1\n")
    index = index_rsna(root).index
    assert "has no column StudyInstanceUID" in messages(index, file="train.csv")
    assert any("cannot be read on" in said for said in messages(index, file="train_bounding_boxes.csv"))
    assert pd.isna(index.studies.iloc[0]["patient_overall"])


@pytest.mark.parametrize(
    ("cells", "message", "kept"),
    [
        ([30, 5, 4, 4, 2], "reaches outside the image of 32 × 32 pixels; it is cut there", (30, 5, 2, 4)),
        ([-2, 5, 4, 4, 2], "reaches outside", (0, 5, 2, 4)),
        ([40, 5, 4, 4, 2], "lies outside the image", None),
        ([4, 5, 0, 4, 2], "is empty", None),
        ([4, 5, 4, 4, 99], "slice 99 is not there", None),
        ([4, "wide", 4, 4, 2], "y is 'wide', not a number", None),
        ([4, 5, 4, "nan", 2], "height is 'nan', not a number", None),
        ([4, 5, 4, 4, 2.5], "slice_number is 2.5, not a whole number", None),
    ],
)
def test_a_wrong_box_is_named_and_cut_or_left_out(tmp_path, cells, message, kept):
    root = write_tree(tmp_path / "tree", [PLAIN])
    head = ["StudyInstanceUID", "x", "y", "width", "height", "slice_number"]
    write_csv(root / "train_bounding_boxes.csv", head, [[PLAIN.study_uid, 1, 1, 2, 2, 1], [PLAIN.study_uid, *cells]])
    index = index_rsna(root).index
    (said,) = index.problems[index.problems["file"] == "train_bounding_boxes.csv"].to_dict("records")
    assert (said["row"], said["study"]) == (3, PLAIN.study_uid)
    assert message in said["message"]
    boxes = [(b.x, b.y, b.width, b.height) for b in index.boxes.itertuples()]
    assert boxes == [(1, 1, 2, 2), *([kept] if kept else [])]


def test_boxes_and_masks_of_unknown_studies_are_named(tmp_path):
    root = write_tree(tmp_path / "tree", [PLAIN])
    head = ["StudyInstanceUID", "x", "y", "width", "height", "slice_number"]
    write_csv(root / "train_bounding_boxes.csv", head, [["1.2.9", 1, 1, 2, 2, 1]] * 2)
    write_mask(root, TinyStudy(77))
    index = index_rsna(root).index
    assert messages(index, kind="unknown-study", row=2) == ["2 boxes of study 1.2.9, which has no images"]
    assert messages(index, file=f"segmentations/{PREFIX}77.nii") == [f"study {PREFIX}77 has no images"]


@pytest.mark.parametrize(
    ("of", "shift", "message"),
    [
        (TinyStudy(1, slices=11), 0, "has (11, 32, 32) voxels, the study (12, 32, 32)"),
        (
            TinyStudy(1, spacing_mm=(3.0, 5.0, 4.0)),
            0,
            "has voxels of 3.000 × 5.000 × 4.000 mm, the study of 3.000 × 4.000",
        ),
        (TinyStudy(1), 2, "mm (x, y, z) away from the study"),
    ],
    ids=["shape", "spacing", "place"],
)
def test_a_mask_on_another_grid_than_its_study_is_named(tmp_path, of, shift, message):
    root = write_tree(tmp_path / "tree", [TinyStudy(1)])
    path = write_mask(root, of, shift_voxels=shift)
    index = index_rsna(root).index
    assert [m for m in messages(index, file=f"segmentations/{path.name}") if message in m]
    assert not index.studies.iloc[0]["mask_fits"]


def test_a_damaged_mask_is_named(tmp_path):
    root = write_tree(tmp_path / "tree", [TinyStudy(1)])
    (root / "segmentations").mkdir()
    (root / "segmentations" / f"{PREFIX}1.nii").write_bytes(b"no mask")
    index = index_rsna(root).index
    assert [m for m in messages(index, kind="mask") if m.startswith("cannot be read")]


def test_the_sagittal_mask_of_the_builder_is_that_of_the_data_set(tmp_path):
    """What nibabel reads becomes the slices from head to foot by the flips that the data set needs."""
    study = TinyStudy(1, islands=3)
    seg = np.asarray(nib.load(write_mask(tmp_path, study)).dataobj)
    found = seg[:, ::-1, ::-1].transpose(2, 1, 0)
    assert found.shape == study.coded().shape
    assert 1 <= (found != study.coded()).sum() <= 3


def test_an_index_is_found_in_its_folder_and_in_the_root(tmp_path):
    root = write_tree(tmp_path / "tree", [PLAIN])
    index_rsna(root)
    moved = tmp_path / "moved"
    root.rename(moved)
    assert read_index(moved).root == moved
    assert read_index(moved / "cspine-index").root == moved
