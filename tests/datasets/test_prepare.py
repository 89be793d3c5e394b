"""The cache holds what the pipeline's own pre-processing makes, once, and says beforehand what it takes."""

import csv
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import LabeledStudy, SliceBox, StudyFiles, read_study
from cspine.datasets.prepare import (
    PARTS,
    Found,
    PreparePlan,
    entry_bytes,
    from_mask,
    from_mask_or_network,
    make_entry,
    prepare_set,
    read_prepared,
    space_needed,
)
from cspine.dicom import write_atomically
from cspine.domain import CERVICAL, ConfigError, LabelMap, NoImages, Rejected, Vertebra
from cspine.pipeline import Analyzer, PipelineSpec, SliceSpec, coarse_input, prompt, refine_grid, refine_input
from tests.cli.programs import files_below
from tests.datasets.coded_trees import StudySpec, block, neck, write_mask, write_tree
from tests.models.coded import code_hu, coded_bundle

VOLUME, LABELS = neck()
STUDY = LabeledStudy("2.25.5", VOLUME, tuple(range(1, VOLUME.grid.shape[0] + 1)), LABELS)
SLICES = SliceSpec(count=5, size_px=48, pixel_mm=1.0)
PLAN = PreparePlan(slices=SLICES)
SPECS = (StudySpec("2.25.1", (Vertebra.C2,), (Vertebra.C2,), mask=True), StudySpec("2.25.2"))


def quiet(stage: str, share: float) -> None:
    """Report nothing."""


@pytest.fixture
def studies(tmp_path: Path) -> list[StudyFiles]:
    root = write_tree(tmp_path / "tree", SPECS)
    return [
        StudyFiles(
            spec.uid,
            root / "train_images" / spec.uid,
            root / "segmentations" / f"{spec.uid}.nii.gz" if spec.mask else None,
            tuple(SliceBox(int(row[5]), *row[1:5]) for row in spec.box_rows),
        )
        for spec in SPECS
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_below(folder)}


def entries(out: Path) -> dict[str, dict[str, str]]:
    return {row["StudyInstanceUID"]: row for row in csv.DictReader((out / "prepared.csv").read_text().splitlines())}


def test_an_entry_is_what_the_pipeline_feeds_its_networks(studies: list[StudyFiles], tmp_path: Path):
    done = prepare_set(studies, from_mask, PLAN, tmp_path / "out", workers=1, report=quiet)
    assert (done.written, done.kept, done.errors) == (2, 0, {})
    row = entries(tmp_path / "out")["2.25.1"]
    assert row["levels"] == "C1 C2 C3 C4 C5 C6 C7"
    prepared, spec = read_prepared(tmp_path / "out" / row["entry"]), PipelineSpec()
    study = read_study(studies[0])
    expected, grid = coarse_input(study.volume, spec.intensity, spec.coarse, 1)
    assert prepared.coarse is not None
    np.testing.assert_array_equal(prepared.coarse, expected[0, 0].astype(np.float16))
    np.testing.assert_allclose(prepared.coarse_affine, grid.affine)
    for vertebra in prepared.vertebrae:
        crop_grid = refine_grid(vertebra.center_lps_mm, study.volume.grid, spec.refine)
        wanted = refine_input(study.volume, crop_grid, int(vertebra.vertebra), spec.intensity, prompt(spec.refine))
        np.testing.assert_allclose(vertebra.crop(spec.refine), wanted, atol=2e-3)


def test_slices_run_from_the_top_of_a_vertebra_to_its_bottom():
    arrays = make_entry(STUDY, *from_mask(STUDY), PLAN)
    spec = PLAN.pipeline.intensity
    for k, level in enumerate(CERVICAL):
        faces = VOLUME.grid.box_to_world(block(level))
        affine, stack = arrays["slice_affines"][k], arrays["slice_ct"][k]
        heights = [(affine @ [row, 0, 0, 1])[2] for row in range(SLICES.count)]
        height = faces.max_lps_mm[2] - faces.min_lps_mm[2]
        assert heights[0] == pytest.approx(faces.max_lps_mm[2] - height / SLICES.count / 2)
        assert heights[-1] == pytest.approx(faces.min_lps_mm[2] + height / SLICES.count / 2)
        middle = stack[SLICES.count // 2, 22:26, 22:26].astype(float) * spec.scale_hu + spec.center_hu
        assert middle == pytest.approx(code_hu(level), abs=2)
        assert (arrays["slice_mask"][k][SLICES.count // 2, 22:26, 22:26] == level).all()


def test_boxes_come_in_millimeters_with_their_level(studies: list[StudyFiles]):
    study = read_study(studies[0])
    arrays = make_entry(study, *from_mask(study), PLAN)
    assert arrays["box_levels"].tolist() == [2, 2, 2]
    low, high = arrays["boxes_lps_mm"][0]
    assert (high - low).tolist() == pytest.approx([6 * 2.5, 4 * 2.5, 3.0])


@pytest.mark.parametrize("parts", [PARTS, ("volumes",), ("crops",), ("slices",)])
def test_the_announced_space_is_an_upper_bound_and_close(
    parts: tuple[str, ...], tmp_path: Path, studies: list[StudyFiles]
):
    plan = replace(PLAN, parts=parts)
    space = space_needed(studies, plan, tmp_path / "out", 1, quiet)
    assert (space.studies, space.kept) == (2, 0)
    done = prepare_set(studies, from_mask, plan, tmp_path / "out", workers=1, report=quiet)
    assert 0.9 * (space.needed_bytes - 2 * 16_384) <= done.bytes <= space.needed_bytes
    assert space.text.startswith(f"2 studies to prepare (0 are there): at most {space.needed_bytes / 1e9:.2f} GB, ")


def test_a_part_that_is_left_out_takes_no_space():
    sizes = {part: entry_bytes(VOLUME.grid, replace(PLAN, parts=(part,))) for part in PARTS}
    whole = entry_bytes(VOLUME.grid, PLAN)
    assert whole == sum(sizes.values()) - 2 * 16_384


def test_a_second_run_prepares_only_what_is_new_or_changed(studies: list[StudyFiles], tmp_path: Path):
    out = tmp_path / "out"
    prepare_set(studies[:1], from_mask, PLAN, out, workers=1, report=quiet)
    assert space_needed(studies, PLAN, out, 1, quiet).studies == 1
    done = prepare_set(studies, from_mask, PLAN, out, workers=2, report=quiet)
    assert (done.written, done.kept) == (1, 1)
    before = entries(out)
    labels = replace(LABELS, labels=np.where(LABELS.labels == 1, 0, LABELS.labels).astype(np.uint8))
    write_mask(tmp_path / "tree", "2.25.1", labels)
    done = prepare_set(studies, from_mask, PLAN, out, workers=1, report=quiet)
    assert (done.written, done.kept) == (1, 1)
    after = entries(out)
    assert after["2.25.1"]["entry"] != before["2.25.1"]["entry"]
    assert after["2.25.1"]["levels"] == "C2 C3 C4 C5 C6 C7"
    assert after["2.25.2"] == before["2.25.2"]


def test_an_entry_that_was_deleted_is_made_again(studies: list[StudyFiles], tmp_path: Path):
    out = tmp_path / "out"
    prepare_set(studies, from_mask, PLAN, out, workers=1, report=quiet)
    path = out / entries(out)["2.25.2"]["entry"]
    content = path.read_bytes()
    path.unlink()
    assert prepare_set(studies, from_mask, PLAN, out, workers=1, report=quiet).written == 1
    assert path.read_bytes() == content


def test_the_same_content_under_another_uid_is_kept_once(studies: list[StudyFiles], tmp_path: Path):
    twin = tmp_path / "twin"
    shutil.copytree(studies[1].folder, twin)
    prepare_set([studies[1], StudyFiles("2.25.99", twin)], from_mask, PLAN, tmp_path / "out", workers=1, report=quiet)
    rows = entries(tmp_path / "out")
    assert rows["2.25.99"]["entry"] == rows["2.25.2"]["entry"]
    assert len(list((tmp_path / "out" / "entries").rglob("*.npz"))) == 1


def test_a_disk_that_is_too_small_is_refused_before_anything_is_read(
    studies: list[StudyFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("cspine.datasets.prepare.run.shutil.disk_usage", lambda path: usage(0, 0, 1_000_000))
    monkeypatch.setattr("cspine.datasets.prepare.run.read_study", None)
    with pytest.raises(
        Rejected,
        match=r"2 studies to prepare .* at most 0\.0\d GB, 0\.00 GB are free, of which 0\.20 GB stay so; free space",
    ):
        prepare_set(studies, from_mask, PLAN, tmp_path / "out", workers=1, report=quiet)
    assert not (tmp_path / "out" / "entries").exists()


def test_a_disk_that_fills_up_ends_the_run_and_keeps_what_is_done(
    studies: list[StudyFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from cspine.datasets.prepare import run  # noqa: PLC0415  # the module whose writing fails here

    written: list[Path] = []
    write = write_atomically

    def filling(path: Path, content: bytes) -> None:
        if path.suffix == ".npz" and written:
            raise Rejected(f"{path}: no space left on the disk; nothing was written", "ENOSPC")
        written.extend([path] * (path.suffix == ".npz"))
        write(path, content)

    monkeypatch.setattr(run, "write_atomically", filling)
    with pytest.raises(Rejected, match="1 studies are done and stay, free space and run again") as caught:
        prepare_set(studies, from_mask, PLAN, tmp_path / "out", workers=1, report=quiet)
    assert caught.value.status == "ENOSPC"
    monkeypatch.setattr(run, "write_atomically", write)
    done = prepare_set(studies, from_mask, PLAN, tmp_path / "out", workers=1, report=quiet)
    assert (done.written, done.kept) == (1, 1)


def test_a_disk_that_is_full_meanwhile_holds_only_whole_files_and_the_next_run_goes_on(
    studies: list[StudyFiles], small_disk: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cspine.datasets.prepare.run.RESERVE_BYTES", 1 << 16)
    undisturbed = prepare_set(studies, from_mask, PLAN, tmp_path / "out", workers=1, report=quiet)
    disk = small_disk(undisturbed.bytes + (1 << 20))
    out, ballast, asked = disk / "out", disk / "ballast", []

    def find_and_fill(study: LabeledStudy) -> tuple[tuple[Found, ...], LabelMap | None]:
        asked.append(study.uid)
        if len(asked) == 2:
            ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 4096))
        return from_mask(study)

    with pytest.raises(Rejected, match=r"no space left .* 1 studies are done and stay, free space and run again"):
        prepare_set(studies, find_and_fill, PLAN, out, workers=1, report=quiet)
    left, whole = contents(out), contents(tmp_path / "out")
    assert [name.rpartition(".")[2] for name in left] == ["json", "npz", "json"]
    assert left.items() < whole.items()
    ballast.unlink()
    done = prepare_set(studies, from_mask, PLAN, out, workers=1, report=quiet)
    assert (done.written, done.kept) == (1, 1)
    assert contents(out) == whole


def test_a_broken_study_is_named_and_the_rest_is_prepared(studies: list[StudyFiles], tmp_path: Path):
    done = prepare_set(
        [*studies, StudyFiles("2.25.7", tmp_path / "no")], from_mask, PLAN, tmp_path / "out", workers=1, report=quiet
    )
    assert done.written == 2
    assert "no readable image" in done.errors["2.25.7"]


def test_another_plan_needs_another_folder(studies: list[StudyFiles], tmp_path: Path):
    prepare_set(studies[:1], from_mask, PLAN, tmp_path / "out", workers=1, report=quiet)
    with pytest.raises(ConfigError, match="holds a cache of another plan"):
        prepare_set(studies, from_mask, replace(PLAN, parts=("crops",)), tmp_path / "out", workers=1, report=quiet)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("x")
    with pytest.raises(ConfigError, match="is not empty"):
        prepare_set(studies, from_mask, PLAN, tmp_path / "mine", workers=1, report=quiet)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": ("volumes", "movies")}, "unknown part movies; known are volumes, crops, slices"),
        ({"parts": ()}, r"unknown part \(none\)"),
        ({"slices": SliceSpec(count=0)}, "0 slices of 192 pixels"),
        ({"slices": SliceSpec(pixel_mm=9)}, "pixel_mm is 9"),
    ],
)
def test_an_impossible_plan_is_refused(change: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        PreparePlan(**change)


def test_a_damaged_entry_is_named(tmp_path: Path):
    (tmp_path / "a.npz").write_bytes(b"PK broken")
    for path in (tmp_path / "a.npz", tmp_path / "b.npz"):
        with pytest.raises(NoImages, match=rf"{path.name}: absent or damaged"):
            read_prepared(path)


def test_studies_without_a_mask_take_their_vertebrae_from_the_bundle(tmp_path: Path):
    finder = from_mask_or_network(Analyzer(coded_bundle(tmp_path / "bundle"), threads=1))
    found, labels = finder(replace(STUDY, labels=None))
    assert [f.vertebra for f in found] == list(CERVICAL)
    assert labels is not None
    for one in found:
        truth = VOLUME.grid.box_to_world(block(one.vertebra))
        assert np.linalg.norm(np.subtract(one.center_lps_mm, truth.center_lps_mm)) < 4
    assert finder(STUDY) == from_mask(STUDY)
