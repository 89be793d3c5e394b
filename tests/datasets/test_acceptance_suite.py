"""The acceptance suite: written whole, read back as what it says, and never run on other images than its own."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

import cspine.datasets
from cspine.datasets import AcceptanceSuite, acceptance_studies, read_suite, write_acceptance
from cspine.domain import CERVICAL, ConfigError, FlagCode, InputError, Rejected, Unreachable, Vertebra
from cspine.phantom import FractureType
from cspine.stores import open_source
from tests.datasets.acceptance_builders import coded_suite, silent

SCHEMA = json.loads((Path(cspine.datasets.__file__).parent / "acceptance.schema.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("acceptance") / "suite"


@pytest.fixture(scope="module")
def suite(root) -> AcceptanceSuite:
    return coded_suite(root)


def test_the_suite_has_all_the_trouble_that_hospitals_have():
    names = {study.name for study in acceptance_studies()}
    assert {
        "reversed",
        "tilted",
        "missing-slices",
        "thick-slices",
        "mixed-shapes",
        "monochrome1",
        "partial-coverage",
        "wrong-body-part",
    } <= names
    assert len(names) == len(acceptance_studies())


def test_every_type_of_fracture_of_a_cervical_vertebra_is_there_once():
    others = {FractureType.SKULL_BASE, FractureType.FIRST_RIB, FractureType.CLAVICLE}
    kinds = [fracture.type for study in acceptance_studies() for fracture in study.spec.fractures]
    assert sorted(kinds) == sorted(set(FractureType) - others)


def test_what_is_expected_follows_its_schema(suite, root):
    document = json.loads((root / "expected.json").read_text("utf-8"))
    jsonschema.validate(document, SCHEMA)
    assert [entry["name"] for entry in document["studies"]] == [study.name for study in acceptance_studies()]


def test_what_is_expected_is_what_is_true(suite):
    by_name = {study.expected.name: study.expected for study in suite.studies}
    assert [level.vertebra for level in by_name["plain"].levels] == list(CERVICAL)
    assert [level.vertebra for level in by_name["partial-coverage"].levels] == list(CERVICAL)[3:]
    assert by_name["wrong-body-part"].levels == ()
    assert by_name["wrong-body-part"].refused_as == ("OutOfScope",)
    assert by_name["tilted"].flags == (FlagCode.GANTRY_TILT,)


@pytest.mark.parametrize("name", ["missing-slices", "mixed-shapes", "monochrome1", "thick-slices"])
def test_the_reader_raises_the_flags_that_are_expected(suite, name):
    (study,) = [study for study in suite.studies if study.expected.name == name]
    with open_source(study.folder) as source:
        loaded = source.studies()[0].load()
    raised = {flag.code for flag in loaded.flags}
    assert set(study.expected.flags) <= raised
    assert FlagCode.PHANTOM in raised


def test_the_missing_slices_lie_in_c4(suite):
    (study,) = [study for study in suite.studies if study.expected.name == "missing-slices"]
    with open_source(study.folder) as source:
        (gap,) = source.studies()[0].load().gaps
    center = next(level.center_lps_mm for level in study.expected.levels if level.vertebra is Vertebra.C4)
    assert gap.min_lps_mm[2] < center[2] < gap.max_lps_mm[2]


def test_reversed_images_show_the_same_places(suite):
    by_name = {study.expected.name: study for study in suite.studies}
    volumes = []
    for name in ("plain", "reversed"):
        with open_source(by_name[name].folder) as source:
            volumes.append(source.studies()[0].load().volume)
    plain, turned = volumes
    assert (plain.grid.directions[2] == -turned.grid.directions[2]).all()
    assert (plain.canonical().hu == turned.canonical().hu).all()
    assert abs(plain.canonical().grid.affine - turned.canonical().grid.affine).max() < 1e-4


def copied(root: Path, target: Path) -> AcceptanceSuite:
    shutil.copytree(root, target)
    return read_suite(target)


def test_a_changed_image_is_noticed(suite, root, tmp_path):
    other = copied(root, tmp_path / "copy")
    image = next(iter(sorted(other.studies[0].folder.iterdir())))
    data = bytearray(image.read_bytes())
    data[-1] ^= 1
    image.write_bytes(data)
    other.studies[1].check_unchanged()
    with pytest.raises(Rejected, match="fractures-1: images differ from those of the suite"):
        other.studies[0].check_unchanged()


def test_a_missing_study_is_noticed(suite, root, tmp_path):
    other = copied(root, tmp_path / "copy")
    shutil.rmtree(other.studies[0].folder)
    with pytest.raises(Unreachable, match="fractures-1: cannot be read"):
        other.studies[0].check_unchanged()


def test_a_folder_without_a_suite_says_how_to_write_one(tmp_path):
    with pytest.raises(Unreachable, match="cspine phantom acceptance --out"):
        read_suite(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": "0.1"}, "schema '0.1', this program reads '1.0'"),
        ({"studies": [{"name": "x"}]}, "damaged .KeyError"),
        ({"studies": 3}, "damaged .TypeError"),
    ],
)
def test_a_damaged_or_foreign_suite_is_refused(suite, root, tmp_path, change, message):
    document = json.loads((root / "expected.json").read_text("utf-8")) | change
    (tmp_path / "expected.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(InputError, match=message):
        read_suite(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "", ".."])
def test_a_name_that_leads_out_is_refused(suite, root, tmp_path, name):
    document = json.loads((root / "expected.json").read_text("utf-8"))
    document["studies"][0]["name"] = name
    (tmp_path / "expected.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(InputError, match="is no name of a study"):
        read_suite(tmp_path)


def test_text_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "expected.json").write_text("{", "utf-8")
    with pytest.raises(InputError, match="damaged"):
        read_suite(tmp_path)


def test_a_run_that_stopped_goes_on_and_ends_with_the_same_suite(suite, root, tmp_path):
    shutil.copytree(root, tmp_path / "half")
    shutil.rmtree(tmp_path / "half" / "studies" / "tilted")
    (tmp_path / "half" / "expected.json").unlink()
    assert coded_suite(tmp_path / "half").sha256 == suite.sha256


def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        write_acceptance(tmp_path, silent)
    with pytest.raises(ConfigError, match=r"holds diary\.txt"):
        write_acceptance(tmp_path, silent, overwrite=True)
