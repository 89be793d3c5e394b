"""A change is drawn once and applied without chance; each parameter does what its name says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cspine.datasets.augment import FILLS, Augmentation, AugmentRange, sample_augmentation
from cspine.datasets.augment_preview import write_augmentation_preview
from cspine.domain import ConfigError, NoImages

SIZE = 41
MIDDLE = SIZE // 2


def dot(row: int, column: int) -> np.ndarray:
    image = np.zeros((SIZE, SIZE), np.float32)
    image[row - 1 : row + 2, column - 1 : column + 2] = 1
    return image


def center(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    total = image.sum()
    return float((rows * image).sum() / total), float((columns * image).sum() / total)


def test_no_change_gives_the_same_values():
    image = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)
    assert np.array_equal(Augmentation().apply(image), image / np.float32(255))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"shift_rc": (5 / SIZE, -3 / SIZE)}, (15, 27)),
        ({"flip_horizontal": True}, (10, 10)),
        ({"flip_vertical": True}, (30, 30)),
        ({"rotation_deg": 90.0}, (10, 10)),
        ({"rotation_deg": 180.0}, (30, 10)),
        ({"zoom": 1.5}, (5, 35)),
        ({"shear": 0.5}, (10, 25)),
    ],
)
def test_a_point_goes_where_the_parameters_say(change: dict, expected: tuple[int, int]):
    moved = Augmentation(**change, fill="black").apply(dot(10, 30))
    assert center(moved) == pytest.approx(expected, abs=0.2)


def test_equal_generators_draw_equal_changes_within_the_range():
    limits = AugmentRange(shift=0.2, rotation_deg=10, shear=0.1, zoom=0.3)
    drawn = [sample_augmentation(limits, np.random.default_rng(seed)) for seed in range(200)]
    assert drawn == [sample_augmentation(limits, np.random.default_rng(seed)) for seed in range(200)]
    assert max(abs(d.rotation_deg) for d in drawn) <= 10
    assert max(abs(part) for d in drawn for part in d.shift_rc) <= 0.2
    assert max(abs(d.shear) for d in drawn) <= 0.1
    assert 0.7 <= min(d.zoom for d in drawn) < 0.8 < 1.2 < max(d.zoom for d in drawn) <= 1.3
    assert np.mean([d.flip_horizontal for d in drawn]) == pytest.approx(0.5, abs=0.12)


def test_a_range_of_nothing_changes_nothing():
    nothing = AugmentRange(shift=0, flip_horizontal=0, flip_vertical=0, rotation_deg=0, shear=0, zoom=0)
    drawn = sample_augmentation(nothing, np.random.default_rng(3))
    assert np.allclose(drawn.apply(dot(4, 4)), dot(4, 4))


def test_applying_leaves_the_image_alone_and_has_no_chance():
    image = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
    before, drawn = image.copy(), sample_augmentation(AugmentRange(), np.random.default_rng(2))
    assert np.array_equal(drawn.apply(image), drawn.apply(image))
    assert np.array_equal(image, before)


@pytest.mark.parametrize(("fill", "corner"), [("black", 0.0), ("nearest", 1.0), ("wrap", 1.0), ("reflect", 1.0)])
def test_what_moves_in_is_filled_as_asked(fill: str, corner: float):
    moved = Augmentation(shift_rc=(0.3, 0.0), fill=fill).apply(np.ones((SIZE, SIZE), np.float32))
    assert moved[0, MIDDLE] == pytest.approx(corner, abs=1e-3)


@pytest.mark.parametrize("change", [{"shift": 0.6}, {"flip_vertical": 2}, {"zoom": -0.1}, {"rotation_deg": 200}])
def test_an_impossible_range_is_refused(change: dict):
    (name,) = change
    with pytest.raises(ConfigError, match=f"{name} is "):
        AugmentRange(**change)


def test_a_crop_stretches_what_is_left_over_the_whole_image():
    image = np.zeros((40, 40), np.float32)
    image[10:30, 20:40] = 1
    cropped = Augmentation(crop_tlbr=(0.25, 0.5, 0.25, 0.0)).apply(image)
    assert cropped[1:-1, 1:-1].min() == pytest.approx(1, abs=1e-5)
    drawn = sample_augmentation(AugmentRange(crop=0.2), np.random.default_rng(1))
    plain = sample_augmentation(AugmentRange(), np.random.default_rng(1))
    assert 0 < max(drawn.crop_tlbr) <= 0.2
    assert drawn.rotation_deg == plain.rotation_deg
    assert "crop" in drawn.text


def test_an_unknown_fill_is_refused_with_those_that_are_known():
    with pytest.raises(ConfigError, match=f"unknown fill 'mirror'; known are {', '.join(FILLS)}"):
        AugmentRange(fill="mirror")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("train/fracture", "train/normal", "val/fracture"):
        (tmp_path / part).mkdir(parents=True)
        for k in range(3):
            Image.fromarray(rng.integers(0, 255, (24, 24)).astype(np.uint8)).save(tmp_path / part / f"{k}.jpg")
    return tmp_path


def test_the_preview_has_a_sheet_for_each_folder_and_repeats(folder: Path, tmp_path: Path):
    page = write_augmentation_preview(folder, tmp_path / "out", AugmentRange(), images=2, draws=4)
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 3
    for part in ("train/fracture", "train/normal", "val/fracture"):
        assert f"<h2>{part}</h2>" in text
    assert "3 images; 2 of them, each followed by 4 draws" in text
    write_augmentation_preview(folder, tmp_path / "again", AugmentRange(), images=2, draws=4)
    assert (tmp_path / "again" / page.name).read_text() == text


def test_a_folder_without_images_is_refused(tmp_path: Path):
    with pytest.raises(NoImages, match="no JPEG or PNG below it"):
        write_augmentation_preview(tmp_path, tmp_path, AugmentRange())


def test_a_damaged_image_is_named(folder: Path):
    for path in (folder / "train" / "fracture").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(NoImages, match=r"\d\.jpg: cannot be read as an image"):
        write_augmentation_preview(folder, folder / "out", AugmentRange())
