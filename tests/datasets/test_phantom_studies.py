"""Phantoms on disk: read back as what they are, the same bytes each time, never over anything else."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from cspine.datasets import (
    NO_FRACTURES,
    Layout,
    PhantomPlan,
    Size,
    layout_named,
    severities_named,
    size_named,
    write_phantoms,
)
from cspine.domain import ConfigError, LabelMap, Rejected, Volume
from cspine.phantom import Case, Field, PhantomSpec, Variants
from cspine.stores import open_source, read_nifti
from tests.datasets.coded_fractures import coded_with_fractures
from tests.models.coded import coded_case

SMALL = {"matrix": 48, "finest_mm": 4.0}


def fast_case(spec: PhantomSpec, threads: int = 1) -> Case:
    """Return a coded neck with the noise of a specification: a phantom takes half a minute of processor time."""
    volume, labels, truth = coded_case(spacing_mm=(4.0, 3.0, 3.0))
    noise = np.random.default_rng(spec.seed).normal(0, 10, volume.hu.shape)
    nothing = LabelMap(volume.grid, np.zeros(volume.grid.shape, np.uint8))
    return Case(Volume(volume.grid, (volume.hu + noise).astype(np.float32)), labels, truth, nothing, nothing)


@pytest.fixture(scope="module", autouse=True)
def _fast_phantoms():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cspine.datasets.phantom_studies.make_case", fast_case)
        yield


def silent(name: str, share: float) -> None:
    """Report nothing."""


def digests(root: Path) -> dict[str, str]:
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "dicom"
    write_phantoms(PhantomPlan(2, 5, **SMALL), root, silent)
    return root


def test_every_study_is_there_with_its_truth(dicom):
    names = ["phantom-5-00000", "phantom-5-00001"]
    assert sorted(p.name for p in (dicom / "studies").iterdir()) == names
    assert sorted(p.name for p in (dicom / "truth").iterdir()) == [
        f"{n}{e}" for n in names for e in ("-labels.nii.gz", ".json")
    ]
    assert not list(dicom.glob(".making-*"))


def test_the_studies_are_read_as_phantoms(dicom):
    with open_source(dicom / "studies") as source:
        loaded = [study.load() for study in source.studies()]
    assert sorted(str(one.header.patient_id) for one in loaded) == ["phantom-5-00000", "phantom-5-00001"]
    assert all(one.header.is_phantom for one in loaded)
    assert all(one.header.birth_date is None for one in loaded)


def test_labels_lie_on_the_images_and_round_the_centers_of_the_truth(dicom):
    truth = json.loads((dicom / "truth" / "phantom-5-00001.json").read_text())
    with open_source(dicom / "studies" / "phantom-5-00001") as source:
        (study,) = source.studies()
        volume = study.load().volume.canonical()
    assert truth["schema_version"] == "1.0"
    assert truth["spec"]["scanner"]["matrix"] == [48, 48]
    assert truth["fractures"] == []
    assert len(truth["vertebrae"]) >= 2
    labels = _labels(dicom / "truth" / "phantom-5-00001-labels.nii.gz")
    assert labels.shape == volume.grid.shape
    for entry in truth["vertebrae"]:
        assert 0 < entry["visible_fraction"] <= 1
    bone = volume.hu[labels > 0].mean()
    assert bone > volume.hu[labels == 0].mean() + 200


def _labels(path: Path) -> np.ndarray:
    import nibabel  # noqa: PLC0415  # used here alone

    return np.transpose(np.asarray(nibabel.load(path).dataobj))


def test_nifti_holds_the_voxels_of_dicom(dicom, tmp_path):
    write_phantoms(PhantomPlan(1, 5, layout=Layout.NIFTI, **SMALL), tmp_path / "n", silent)
    nifti = read_nifti(tmp_path / "n" / "studies" / "phantom-5-00000.nii.gz").volume.canonical()
    with open_source(dicom / "studies" / "phantom-5-00000") as source:
        images = source.studies()[0].load().volume.canonical()
    np.testing.assert_allclose(nifti.grid.affine, images.grid.affine, atol=2e-4)
    # A scanner's format stores whole HU and, with some makers, none below −1024.
    difference = np.abs(nifti.hu.astype(float) - images.hu.astype(float))
    assert difference.max() <= 1


def test_a_run_that_stopped_goes_on_and_makes_the_same_bytes(dicom, tmp_path):
    plan = PhantomPlan(2, 5, **SMALL)

    def stop(name: str, share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantoms(plan, tmp_path / "d", stop)
    assert [p.name for p in (tmp_path / "d" / "studies").iterdir()] == ["phantom-5-00000"]
    write_phantoms(plan, tmp_path / "d", silent)
    assert digests(tmp_path / "d") == digests(dicom)


def test_a_finished_folder_is_left_as_it_is(dicom):
    before = {p: p.stat().st_mtime_ns for p in dicom.rglob("*") if p.is_file()}
    write_phantoms(PhantomPlan(2, 5, **SMALL), dicom, silent)
    assert {p: p.stat().st_mtime_ns for p in dicom.rglob("*") if p.is_file()} == before


def test_a_folder_of_another_plan_is_left_alone(dicom):
    with pytest.raises(ConfigError, match="another plan"):
        write_phantoms(PhantomPlan(2, 6, **SMALL), dicom, silent)


def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        write_phantoms(PhantomPlan(1, 5, **SMALL), tmp_path, silent)
    assert [p.name for p in tmp_path.iterdir()] == ["diary.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Rejected, match="file"):
        write_phantoms(PhantomPlan(1, 5, **SMALL), tmp_path / "file" / "below", silent)


def test_phantoms_of_another_plan_are_replaced_when_that_is_asked_for(dicom, tmp_path):
    write_phantoms(PhantomPlan(1, 6, layout=Layout.NIFTI, **SMALL), tmp_path / "d", silent)
    (tmp_path / "d" / ".making-1").mkdir()
    write_phantoms(PhantomPlan(2, 5, **SMALL), tmp_path / "d", silent, overwrite=True)
    assert digests(tmp_path / "d") == digests(dicom)


@pytest.mark.parametrize("name", ["diary.txt", "studies/mine.txt"])
def test_what_no_plan_made_is_never_thrown_away(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="--overwrite leaves it alone"):
        write_phantoms(PhantomPlan(1, 5, **SMALL), tmp_path, silent, overwrite=True)
    assert (tmp_path / name).read_text() == "mine"


def test_a_full_disk_stops_cleanly_and_the_next_run_goes_on(dicom, tmp_path, monkeypatch):
    real = Path.write_bytes

    def full(path: Path, content) -> int:
        if path.name == "phantom-5-00001-labels.nii.gz":
            raise OSError(28, "No space left on device")
        return real(path, content)

    plan = PhantomPlan(2, 5, **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(Rejected, match="no space left on the disk; finished studies stay, run again to go on"):
            write_phantoms(plan, tmp_path / "d", silent)
    assert [p.name for p in (tmp_path / "d" / "studies").iterdir()] == ["phantom-5-00000"]
    assert not list((tmp_path / "d").glob(".making-*"))
    write_phantoms(plan, tmp_path / "d", silent)
    assert digests(tmp_path / "d") == digests(dicom)


def test_fractures_that_are_asked_for_are_in_every_whole_neck():
    plan = PhantomPlan(4, 1, fractures=("dens-ii@C2:4", "burst@C5"))
    specs = [plan.spec(number) for number in range(4)]
    assert {tuple(f.name for f in spec.fractures) for spec in specs} == {("dens-ii@C2", "burst@C5")}
    assert {spec.fractures[0].severity for spec in specs} == {4}
    assert len({spec.fractures[0].seed for spec in specs}) == 4
    assert {spec.coverage.kind for spec in specs} == {Field.WHOLE}


def test_fractures_that_are_drawn_lie_in_view_and_half_of_the_necks_have_none():
    specs = [PhantomPlan(200, 1).spec(number) for number in range(200)]
    assert 50 < sum(bool(spec.fractures) for spec in specs) < 130
    assert all(
        spec.coverage.top <= fracture.vertebra <= spec.coverage.bottom for spec in specs for fracture in spec.fractures
    )
    assert not any(PhantomPlan(200, 1, fractures=NO_FRACTURES).spec(number).fractures for number in range(50))


def test_severities_that_are_drawn_lie_in_the_range_that_is_asked_for():
    hard = [PhantomPlan(80, 1, severities=(1, 2)).spec(number) for number in range(80)]
    assert {fracture.severity for spec in hard for fracture in spec.fractures} == {1, 2}
    asked = [PhantomPlan(20, 1, fractures=("burst@C5",), severities=(4, 5)).spec(number) for number in range(20)]
    assert {spec.fractures[0].severity for spec in asked} == {4, 5}
    usual = [PhantomPlan(80, 1).spec(number) for number in range(80)]
    assert {fracture.severity for spec in usual for fracture in spec.fractures} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("text", ["0", "3-9", "5-3", "severe", "-"])
def test_severities_that_do_not_exist_are_refused(text):
    with pytest.raises(ConfigError, match="severit"):
        PhantomPlan(1, 1, severities=severities_named(text))


def test_small_sets_are_small():
    specs = [PhantomPlan(300, 2, size=Size.SMALL).spec(number) for number in range(300)]
    assert max(max(spec.scanner.matrix) for spec in specs) <= 256
    assert min(spec.scanner.spacing_mm for spec in specs) >= 3
    assert len({spec.scanner.matrix for spec in specs}) == 3


def test_variants_and_mimics_are_as_common_as_in_adults_or_absent():
    specs = [PhantomPlan(60, 2).spec(number) for number in range(60)]
    assert sum(bool(spec.mimics) for spec in specs) > 5
    assert sum(spec.variants != Variants() for spec in specs) > 5
    usual = [PhantomPlan(60, 2, unusual=False).spec(number) for number in range(60)]
    assert not any(spec.mimics or spec.variants != Variants() for spec in usual)
    assert [spec.seed for spec in usual] == [spec.seed for spec in specs]


def test_family_b_is_that_of_scanner_and_fractures():
    spec = PhantomPlan(1, 1, family="B", fractures=("burst@C5",)).spec(0)
    assert spec.scanner.family == "B"
    assert spec.fractures[0].family == "B"


def test_the_truth_names_fractures_and_has_their_voxels(tmp_path, monkeypatch):
    monkeypatch.setattr("cspine.datasets.phantom_studies.make_case", coded_with_fractures)
    write_phantoms(PhantomPlan(1, 5, fractures=("burst@C5:3", "lamina@C3"), **SMALL), tmp_path / "d", silent)
    truth = json.loads((tmp_path / "d" / "truth" / "phantom-5-00000.json").read_text())
    assert [(f["type"], f["vertebra"], f["counted"]) for f in truth["fractures"]] == [
        ("burst", "C5", True),
        ("lamina", "C3", True),
    ]
    assert truth["fractures"][0]["severity"] == 3
    labels = _labels(tmp_path / "d" / "truth" / "phantom-5-00000-labels.nii.gz")
    places = _labels(tmp_path / "d" / "truth" / "phantom-5-00000-fractures.nii.gz")
    assert set(labels[places == 1]) == {5}
    assert set(labels[places == 2]) == {3}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fractures": ("dens-ii@C5",)}, "there is no dens-ii fracture at C5: it exists at C2"),
        ({"fractures": ("wedge-compression@C1",)}, "there is no wedge-compression fracture at C1"),
        ({"fractures": ("broken@C5",)}, "unknown fracture type 'broken'"),
        ({"fractures": ("burst@L1",)}, "unknown level 'L1'"),
        ({"fractures": ("burst@C5:6",)}, "severity is '6', must be 1 … 5"),
        ({"fractures": ("burst@C5:",)}, "severity is '', must be 1 … 5"),
        ({"family": "C"}, "unknown family 'C'"),
        ({"studies": 0}, "studies is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"anatomy": "nowhere"}, "anatomy 'nowhere' is neither"),
        ({"matrix": 8}, "matrix is 8"),
        ({"finest_mm": 50}, "finest_mm is 50"),
    ],
)
def test_an_impossible_plan_is_refused_by_name(values, message):
    with pytest.raises(ConfigError, match=message):
        PhantomPlan(**({"studies": 1, "seed": 0} | values))


def test_an_unknown_layout_is_refused_with_those_that_exist():
    with pytest.raises(ConfigError, match="unknown layout 'bids'; known are dicom, nifti, rsna"):
        layout_named("bids")
    with pytest.raises(ConfigError, match="unknown size 'huge'; known are full, small"):
        size_named("huge")
