"""Leaks: what was seeded is found, whatever was done to it, and clean data raises no alarm."""

import io
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from scipy import ndimage

from cspine.datasets import (
    LeakKind,
    LeakReport,
    Split,
    check_leaks,
    folder_gallery,
    index_gallery,
    index_image_folder,
    index_rsna,
)
from cspine.datasets.alignment import align, grain_agreement, texture
from cspine.datasets.fingerprints import COUNT, Fingerprint, Mirror, fingerprint, mirror_signs
from cspine.datasets.leaks import SAME, SAME_GRAIN, _agreement
from tests.datasets.rsna_builders import TinyStudy, write_study, write_tree
from tools.seed_leaks import TWIN, WAYS, seed_leaks

SHAPE, SPACING = (96, 96), (3.0, 2.0, 2.0)


def study(number: int, slices: int = 8) -> TinyStudy:
    """Return a study with enough pixels to have a texture."""
    return TinyStudy(number, slices=slices, shape=SHAPE, spacing_mm=SPACING)


def split_in_two(uids: list[str]) -> Split:
    """Return a split with every other study on the test side."""
    return Split("by hand", "study", 0, {"train": tuple(uids[::2]), "test": tuple(uids[1::2])}, {})


def checked(root: Path, split: Split | None = None, per_study: int | None = None) -> LeakReport:
    index = index_rsna(root).index
    split = split or split_in_two(sorted(index.studies["StudyInstanceUID"]))
    return check_leaks(index_gallery(index, split, per_study), split.hash, workers=1)


def change(path: Path, of, uid: str, number: int) -> None:
    """Write a copy of a slice into another study: of other pixels, with UIDs and number of its own."""
    dataset = pydicom.dcmread(path)
    pixels = of(dataset.pixel_array.astype(float))
    dataset.PixelData = np.clip(np.rint(pixels), -1024, 3000).astype(np.int16).tobytes()
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, f"{uid}.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{uid}.77.{number}"
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [-62.0, -62.0, 400.0 + number]
    dataset.save_as(path.parents[1] / uid / f"{number}.dcm")


def jpeg(pixels: np.ndarray) -> np.ndarray:
    """Return a slice after a lossy round trip over eight bits."""
    gray = np.clip((pixels + 1000) / 8, 0, 255).astype(np.uint8)
    return imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(gray, level=75)).astype(float) * 8 - 1000


SEEDS = {
    "re-encoded": jpeg,
    "cropped": lambda p: p[10:-12, 8:-14],
    "mirrored": lambda p: p[:, ::-1],
    "upside down": lambda p: p[::-1],
    "turned": lambda p: p[::-1, ::-1],
    "moved": lambda p: np.roll(p, (4, -3), axis=(0, 1)),
    "moved by half a pixel": lambda p: ndimage.shift(p, (2.5, 1.5), order=1, mode="nearest"),
    "cropped and mirrored": lambda p: p[6:-6, 12:-4][:, ::-1],
    "noisy": lambda p: p + np.random.default_rng(1).normal(0, 20, p.shape),
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_tree(tmp_path_factory.mktemp("leaks") / "clean", [study(k) for k in range(1, 7)])


@pytest.mark.parametrize("name", SEEDS)
def test_a_seeded_copy_of_a_slice_is_found(clean, tmp_path, name):
    root = shutil.copytree(clean, tmp_path / "tree")
    one, other = study(1).study_uid, study(2).study_uid
    change(root / "train_images" / one / "4.dcm", SEEDS[name], other, 90)
    (leak,) = checked(root).leaks
    assert {leak.one, leak.other} == {one, other}
    assert {leak.file_one, leak.file_other} == {f"train_images/{one}/4.dcm", f"train_images/{other}/90.dcm"}
    assert (leak.kind, leak.slices) == (LeakKind.SLICES, 1)
    assert leak.similarity > 0.6


@pytest.mark.parametrize("reverse", [False, True], ids=["same order", "reversed"])
def test_the_same_study_under_another_uid_is_found(clean, tmp_path, reverse):
    root = shutil.copytree(clean, tmp_path / "tree")
    twin = TinyStudy(
        1, slices=8, shape=SHAPE, spacing_mm=SPACING, uid="1.2.826.0.1.3680043.2.1", z_rises=reverse, jpeg=True
    )
    write_study(root / "train_images", twin)
    uids = sorted([study(1).study_uid, twin.study_uid])
    split = Split("by hand", "study", 0, {"train": (uids[0],), "test": (uids[1],)}, {})
    (leak,) = checked(root, split, per_study=4).leaks
    assert (leak.kind, leak.slices, leak.similarity) == (LeakKind.SAME_STUDY, 4, 1.0)


def test_every_way_of_seeding_a_set_is_found_and_nothing_else(clean, tmp_path):
    index_rsna(clean)
    seeded = seed_leaks(clean, tmp_path / "tree", np.random.default_rng(0), each=1, twins=1)
    assert [one.how for one in seeded] == [*WAYS, TWIN]
    index = index_rsna(tmp_path / "tree").index
    assert len(index.studies) == 7
    leaks = check_leaks(index_gallery(index, None)).leaks
    known = {frozenset((one.one, one.other)) for one in seeded}
    found = {frozenset((leak.one, leak.other)) for leak in leaks}
    assert known <= found
    # What was copied into the study that has a twin, or out of it, is in the twin too.
    twin = seeded[-1]
    assert all(pair & {twin.one, twin.other} for pair in found - known)


def test_clean_data_raise_no_alarm(clean):
    report = checked(clean)
    assert report.leaks == ()
    assert report.slices == 48


@pytest.mark.slow
def test_among_three_hundred_clean_studies_only_the_seeded_copy_raises_an_alarm(tmp_path):
    root = write_tree(tmp_path / "tree", [study(k, slices=4) for k in range(1, 301)])
    change(root / "train_images" / study(7).study_uid / "2.dcm", SEEDS["mirrored"], study(8).study_uid, 90)
    report = checked(root, split_in_two([study(k).study_uid for k in range(1, 301)]))
    assert [{leak.one, leak.other} for leak in report.leaks] == [{study(7).study_uid, study(8).study_uid}]
    assert report.slices == 1201


def test_a_split_by_image_has_every_study_on_both_sides(clean):
    index = index_rsna(clean).index
    files = sorted(index.slices["file"])
    report = checked(clean, Split("by hand", "image", 0, {"train": tuple(files[::2]), "test": tuple(files[1::2])}, {}))
    assert {leak.kind for leak in report.leaks} == {LeakKind.BOTH_SIDES}
    assert len(report.leaks) == 6


def test_without_a_split_all_studies_are_compared(clean, tmp_path):
    root = shutil.copytree(clean, tmp_path / "tree")
    change(root / "train_images" / study(1).study_uid / "4.dcm", SEEDS["moved"], study(3).study_uid, 90)
    index = index_rsna(root).index
    (leak,) = check_leaks(index_gallery(index, None)).leaks
    assert {leak.one, leak.other} == {study(1).study_uid, study(3).study_uid}


def test_fingerprints_are_kept_and_made_again_only_for_what_changed(clean, tmp_path, monkeypatch):
    root = shutil.copytree(clean, tmp_path / "tree")
    first = checked(root)
    described: list[tuple[int, ...]] = []

    def watched(pixels: np.ndarray, *rest: object) -> Fingerprint:
        described.append(pixels.shape)
        return fingerprint(pixels, *rest)

    monkeypatch.setattr("cspine.datasets.leak_pass.fingerprint", watched)
    assert checked(root) == first
    assert described == []
    change(root / "train_images" / study(1).study_uid / "4.dcm", lambda p: p[:-9], study(3).study_uid, 91)
    checked(root)
    assert described == [(87, 96)]


def test_a_file_that_cannot_be_decoded_is_named_and_the_rest_is_compared(clean, tmp_path):
    root = shutil.copytree(clean, tmp_path / "tree")
    path = root / "train_images" / study(1).study_uid / "4.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    report = checked(root)
    assert report.slices == 47
    (said,) = report.unread
    assert "4.dcm" in said
    assert "truncated" in said


def test_empty_slices_are_no_copies_of_one_another(clean, tmp_path):
    root = shutil.copytree(clean, tmp_path / "tree")
    for number in (1, 2):
        change(
            root / "train_images" / study(number).study_uid / "4.dcm",
            lambda p: p * 0 - 1000,
            study(number).study_uid,
            90,
        )
    assert checked(root).leaks == ()


@pytest.mark.parametrize("mirror", list(Mirror))
def test_signs_mirror_a_descriptor(mirror):
    pixels = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 400, SHAPE), 2)
    flipped = pixels[:: -1 if mirror in (Mirror.ROWS, Mirror.BOTH) else 1]
    flipped = flipped[:, :: -1 if mirror in (Mirror.COLUMNS, Mirror.BOTH) else 1]
    one, other = fingerprint(pixels, (2.0, 2.0)), fingerprint(flipped, (2.0, 2.0))
    np.testing.assert_allclose(one.frame * mirror_signs(mirror), other.frame, atol=1e-4)


def test_alignment_finds_shift_and_mirror():
    pixels = np.random.default_rng(0).normal(0, 200, (80, 90))
    one, other = texture(pixels[:70, :80], (1.0, 1.0)), texture(pixels[6:, 9:][::-1], (1.0, 1.0))
    found = align(one, other)
    assert found.similarity > 0.9
    assert (found.mirror, found.shift_rc) == (Mirror.ROWS, (6, 9))


def test_the_best_of_the_mirrored_ways_is_that_of_trying_all_four():
    rng = np.random.default_rng(3)
    rows, columns = rng.normal(size=(5, COUNT)).astype(np.float32), rng.normal(size=(7, COUNT)).astype(np.float32)
    tried = np.max([(rows * mirror_signs(mirror)) @ columns.T for mirror in Mirror], axis=0)
    np.testing.assert_allclose(_agreement(rows, columns), tried, rtol=1e-5)


def test_a_copy_that_lost_its_densest_bone_still_shares_a_window():
    pixels = np.random.default_rng(0).normal(0, 30, (120, 160))
    pixels[20:40, 5:35] += 1500
    pixels[70:90, 90:120] += np.hypot(*np.mgrid[-10:10, -15:15]) * 60
    whole, cropped = fingerprint(pixels, (2.0, 2.0)), fingerprint(pixels[:, 40:], (2.0, 2.0))
    agreements = whole.anchored @ cropped.anchored.T
    assert agreements[0].max() < 0.6
    assert agreements.max() > 0.95


@pytest.mark.parametrize("noise_seed", [1, 2])
def test_only_a_picture_with_the_same_noise_is_the_same(noise_seed):
    anatomy = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1440, (90, 90)), 4.0)
    one = anatomy + np.random.default_rng(1).normal(0, 20, anatomy.shape)
    other = ndimage.shift(
        anatomy + np.random.default_rng(noise_seed).normal(0, 20, anatomy.shape), (4.5, -3.5), order=1, mode="nearest"
    )
    pixel_mm = (1.0, 1.0)
    alignment = align(texture(one, pixel_mm), texture(other, pixel_mm), (Mirror.NONE,))
    assert alignment.similarity > SAME  # by texture alone both would pass
    agreement = grain_agreement(one, pixel_mm, other, pixel_mm, alignment)
    assert agreement > 0.9 if noise_seed == 1 else agreement < SAME_GRAIN


# Folders of pictures: no pixel size, and copies that were cropped and enlarged again.


def picture(number: int) -> Image.Image:
    """Return an eight-bit slice, three times enlarged, as pictures on the web are."""
    hu = ndimage.zoom(study(number, slices=3).hu()[1].astype(float), 3, order=1)
    return Image.fromarray(np.clip((hu + 400) / 8, 0, 255).astype(np.uint8))


def enlarged(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 10, height // 12, width - width // 12, height - height // 10)).resize(image.size)


def encoded(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(io.BytesIO(buffer.getvalue()))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures") / "set"
    for number in range(1, 9):
        part, label = ("train", "val")[number % 2], ("fracture", "normal")[number % 3 == 0]
        folder = root / part / label
        folder.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"patient{number}_slice_001.png")
    return root


COPIES = {
    "as it is": lambda p: p,
    "JPEG": encoded,
    "cropped and enlarged": enlarged,
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "smaller": lambda p: p.resize((200, 200)),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copied_picture_is_found(pictures, tmp_path, name):
    root = shutil.copytree(pictures, tmp_path / "set")
    suffix = "jpg" if name == "JPEG" else "png"
    COPIES[name](picture(2)).save(root / "val" / "normal" / f"case_x_77.{suffix}")  # the second one is in train
    (leak,) = check_leaks(folder_gallery(index_image_folder(root), tmp_path)).leaks
    assert {Path(leak.file_one).name, Path(leak.file_other).name} == {"patient2_slice_001.png", f"case_x_77.{suffix}"}


def test_clean_pictures_raise_no_alarm(pictures, tmp_path):
    assert check_leaks(folder_gallery(index_image_folder(pictures), tmp_path)).leaks == ()
