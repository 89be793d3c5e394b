"""Folders of pictures: parts and labels by their folders, patients by their names, and what is no picture named."""

import pytest
from PIL import Image

from cspine.datasets import guess_patients, index_image_folder
from cspine.domain import NoImages


def save(root, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 20), 9).save(path)


def test_parts_labels_and_sizes_are_read_from_folders_and_heads(tmp_path):
    save(tmp_path, "Train/Fracture/a_1.png", "train/normal/b_1.jpg", "VAL/normal/c_1.png", "test/fractured/d_1.png")
    table = index_image_folder(tmp_path).pictures
    rows = [(r.file, r.part, r.label, r.rows, r.columns, r.mode) for r in table.itertuples(index=False)]
    assert rows == [
        ("Train/Fracture/a_1.png", "train", 1, 20, 30, "L"),
        ("VAL/normal/c_1.png", "validation", 0, 20, 30, "L"),
        ("test/fractured/d_1.png", "test", 1, 20, 30, "L"),
        ("train/normal/b_1.jpg", "train", 0, 20, 30, "L"),
    ]


@pytest.mark.parametrize(
    ("files", "patients"),
    [
        (["x/p1_01.png", "x/p1_02.png", "y/p2-7.png"], ["p1", "p1", "y/p2-7.png"]),
        (["1.2.826.10-12.jpg", "1.2.826.10-13.jpg", "1.2.826.11-1.jpg", "1.2.826.11-2.jpg"],
         ["1.2.826.10", "1.2.826.10", "1.2.826.11", "1.2.826.11"]),
        (["case3 slice (1).png", "case3 slice (2).png", "b slice (1).png"], ["case3", "case3", "b slice (1).png"]),
        (["fracture_1.png", "fracture_2.png", "normal_1.png"], ["fracture_1.png", "fracture_2.png", "normal_1.png"]),
        (["17.png", "18.png"], ["17.png", "18.png"]),
    ],
    ids=["prefix", "UID", "bracket", "label only", "number only"],
)  # fmt: skip
def test_a_patient_is_the_beginning_that_names_share(files, patients):
    assert guess_patients(files) == patients


def test_what_is_no_picture_or_has_no_label_is_named(tmp_path):
    save(tmp_path, "train/normal/a.png", "train/unsorted/b.png")
    (tmp_path / "train/normal/broken.png").write_bytes(b"no picture")
    found = index_image_folder(tmp_path)
    assert list(found.pictures["file"]) == ["train/normal/a.png"]
    assert [(p.file, p.message.split(":")[0].split(" called")[0]) for p in found.problems] == [
        ("train/normal/broken.png", "is no picture"),
        ("train/unsorted/b.png", "lies in no folder"),
    ]


def test_a_folder_without_labeled_pictures_is_refused(tmp_path):
    save(tmp_path, "some/where/a.png")
    with pytest.raises(NoImages, match="no picture in a folder called fracture"):
        index_image_folder(tmp_path)
