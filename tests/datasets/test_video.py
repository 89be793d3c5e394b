"""Films show every slice once, in true proportions, with mask and boxes where the study has them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pytest

from cspine.datasets import LabeledStudy, PlacedBox
from cspine.datasets.video import Overlay, VideoPlan, encode, frames, write_videos
from cspine.domain import Box, ConfigError, StoreError, Vertebra
from tests.datasets.coded_trees import block, neck

VOLUME, LABELS = neck()
C4 = block(Vertebra.C4)
MIDDLE = (C4.start_zyx[0] + C4.stop_zyx[0]) // 2
BOX = PlacedBox(7, Box((MIDDLE, 20, 15), (MIDDLE + 1, 30, 35)), Vertebra.C4, Vertebra.C4)
STUDY = LabeledStudy("2.25.9", VOLUME, tuple(range(1, VOLUME.grid.shape[0] + 1)), LABELS, (BOX,))
AXES = {"axial": 0, "coronal": 1, "sagittal": 2}
PLAIN = LabeledStudy("2.25.9", VOLUME, STUDY.numbers)


def quiet(stage: str, share: float) -> None:
    """Report nothing."""


@pytest.mark.parametrize(("plane", "axis"), [("axial", 0), ("coronal", 1), ("sagittal", 2)])
def test_a_plane_has_one_frame_per_slice_in_true_proportions(plane: str, axis: int):
    made = list(frames(PLAIN, plane, Overlay(), 128))
    assert len(made) == VOLUME.grid.shape[axis]
    height_mm, width_mm = (mm for a, mm in enumerate(VOLUME.grid.extent_mm) if a != axis)
    rows, columns, channels = made[0].shape
    assert channels == 3
    assert max(rows, columns) == 128
    assert rows % 2 == columns % 2 == 0
    assert rows / columns == pytest.approx(height_mm / width_mm, rel=0.03)


def test_every_frame_of_a_phantom_says_so():
    for plain, marked in zip(
        *(frames(s, "axial", Overlay(), 320) for s in (PLAIN, replace(PLAIN, phantom=True))), strict=True
    ):
        changed = np.argwhere((plain != marked).any(axis=-1))
        assert len(changed) > 0
        assert changed[:, 0].max() < 24  # the caption alone


def test_a_mask_colors_its_level_and_nothing_else():
    plain, colored = (list(frames(STUDY, "axial", overlay, 208))[MIDDLE] for overlay in (Overlay(), Overlay(mask=True)))
    changed = (plain != colored).any(axis=-1)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows[0] == pytest.approx(C4.start_zyx[1] * 4, abs=4)
    assert rows[-1] == pytest.approx(C4.stop_zyx[1] * 4, abs=4)
    assert columns[0] == pytest.approx(C4.start_zyx[2] * 4, abs=4)
    assert columns[-1] == pytest.approx(C4.stop_zyx[2] * 4, abs=4)


def framed(study: LabeledStudy, plane: str, k: int) -> tuple[int, int, int, int] | None:
    """Return the voxels (first row, stop, first column, stop) inside the frame on one frame of a film."""
    frame, empty = (
        list(frames(shown, plane, Overlay(boxes=True), 208))[k] for shown in (study, replace(study, boxes=()))
    )
    hit = np.argwhere((frame != empty).any(axis=-1))
    if hit.size == 0:
        return None
    scale = [new / old for new, old in zip(frame.shape[:2], np.delete(VOLUME.grid.shape, AXES[plane]), strict=True)]
    low, high = (hit.min(axis=0) + 1) / scale, hit.max(axis=0) / scale
    return round(low[0]), round(high[0]), round(low[1]), round(high[1])


@pytest.mark.parametrize(
    ("plane", "first", "last", "inside"),
    [
        ("axial", MIDDLE, MIDDLE, (20, 30, 15, 35)),
        ("coronal", 20, 29, (MIDDLE, MIDDLE + 1, 15, 35)),
        ("sagittal", 15, 34, (MIDDLE, MIDDLE + 1, 20, 30)),
    ],
)
def test_a_box_is_framed_where_it_lies_on_every_slice_that_cuts_it_and_on_no_other(
    plane: str, first: int, last: int, inside: tuple[int, int, int, int]
):
    assert [framed(STUDY, plane, k) for k in (first - 1, first, last, last + 1)] == [None, inside, inside, None]


def test_boxes_of_neighboring_slices_are_outlined_together_from_the_side():
    second = replace(BOX, box=Box((MIDDLE + 1, 22, 15), (MIDDLE + 2, 30, 35)))
    frame = list(frames(replace(STUDY, boxes=(BOX, second)), "sagittal", Overlay(boxes=True), 208))[20]
    rows_px, pixel_px = frame.shape[0] / VOLUME.grid.shape[0], frame.shape[1] / VOLUME.grid.shape[1]
    white = (frame == 255).all(axis=-1)
    assert not white[
        round(MIDDLE * rows_px) : round((MIDDLE + 2) * rows_px), round(23 * pixel_px) : round(29 * pixel_px)
    ].any()
    assert framed(replace(STUDY, boxes=(BOX, second)), "sagittal", 20) == (MIDDLE, MIDDLE + 2, 20, 30)


def test_gif_mp4_and_webm_hold_every_frame(tmp_path: Path):
    plan = VideoPlan(planes=("axial",), formats=("gif", "mp4", "webm"), size_px=64, gif_size_px=64, annotated=False)
    written = write_videos(PLAIN, tmp_path, plan, quiet)
    assert [path.name for path in written] == [f"2.25.9-axial-plain.{suffix}" for suffix in ("gif", "mp4", "webm")]
    assert iio.imread(written[0]).shape == (VOLUME.grid.shape[0], 64, 64, 3)
    for path in written[1:]:
        count, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
        assert count == VOLUME.grid.shape[0]
        assert seconds == pytest.approx(count / plan.frames_per_second, abs=0.1)


def test_films_come_plain_and_with_what_the_study_has(tmp_path: Path):
    plan = VideoPlan(planes=("axial", "sagittal"), formats=("gif",), size_px=64, gif_size_px=64, every=10)
    names = {path.name for path in write_videos(STUDY, tmp_path, plan, quiet)}
    kinds = ("axial-plain", "axial-mask-boxes", "sagittal-plain", "sagittal-mask-boxes")
    assert names == {f"2.25.9-{kind}.gif" for kind in kinds}
    assert {path.name for path in write_videos(PLAIN, tmp_path / "b", plan, quiet)} == {
        "2.25.9-axial-plain.gif",
        "2.25.9-sagittal-plain.gif",
    }
    assert iio.imread(tmp_path / "2.25.9-axial-plain.gif").shape[0] == -(-VOLUME.grid.shape[0] // 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"planes": ("oblique",)}, "unknown plane oblique; known are axial, coronal, sagittal"),
        ({"formats": ("avi",)}, "unknown format avi; known are gif, mp4, webm"),
        ({"frames_per_second": 0}, "frames per second is 0, must be 0.1 … 120"),
        ({"size_px": 5000}, "size is 5000"),
        ({"every": 0}, "every is 0"),
    ],
)
def test_an_impossible_film_is_refused(change: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        VideoPlan(**change)


@pytest.mark.parametrize("suffix", ["gif", "mp4", "webm"])
def test_a_full_disk_leaves_nothing_half_written(suffix: str, small_disk: Callable[[int], Path]):
    disk = small_disk(128 << 10)
    noise = np.random.default_rng(0).integers(0, 255, (40, 128, 128, 3), np.uint8)
    with pytest.raises(StoreError, match=rf"a\.{suffix}: no space left on the disk; nothing was written"):
        encode(noise, disk / f"a.{suffix}", 10)
    assert list(disk.iterdir()) == []


def test_a_video_without_its_package_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cspine.datasets.video.film.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'cspine\[video\]'"):
        encode([], tmp_path / "a.mp4", 10)
