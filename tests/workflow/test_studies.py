"""Many studies: each into its own folder, and a bad one does not stop the rest."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.dicom import StudyHeader
from cspine.domain import BundleMissing, ConfigError, NoImages, OutOfScope, Unreachable
from cspine.pipeline import Analyzer
from cspine.workflow import Done, Failed, Order, Wish, run_source, run_studies
from cspine.workflow.studies import _folders
from tests.models.coded import coded_bundle
from tests.workflow.oracle import coded_series, write_coded, write_slab


class Study:
    """A study that is loaded by calling a function."""

    def __init__(self, name, load):
        self.name, self.study_uid, self._load = name, name, load
        self.header, self.files = StudyHeader(), ()

    def load(self, series_uid=None):
        return self._load()

    def not_used(self, series_uid=None):
        return ()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return coded_bundle(tmp_path_factory.mktemp("bundle") / "coded")


def failing(error):
    def load():
        raise error

    return load


def test_a_bad_study_does_not_stop_the_rest(tmp_path):
    loaded, oracle = coded_series()
    studies = [
        Study("1.1", lambda: loaded),
        Study("1.2", failing(NoImages("nothing here"))),
        Study("1.3", failing(ZeroDivisionError("a mistake"))),
        Study("1.4", lambda: loaded),
    ]
    outcomes = list(run_studies(studies, Order(oracle, ("json",)), Wish(("json",), tmp_path)))
    assert [type(o.ended) for o in outcomes] == [Done, Failed, Failed, Done]
    assert [type(o.error) for o in outcomes] == [type(None), NoImages, ZeroDivisionError, type(None)]
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*") if p.is_file()) == [
        "1.1/findings.json",
        "1.4/findings.json",
    ]


def test_studies_are_loaded_one_at_a_time(tmp_path):
    loaded, oracle = coded_series()
    asked = []

    def remembering(number):
        def load():
            asked.append(number)
            return loaded

        return load

    studies = [Study(str(k), remembering(k)) for k in range(3)]
    outcomes = run_studies(studies, Order(oracle, ("json",)), Wish(("json",), tmp_path))
    next(outcomes)
    assert asked == [0]


def test_progress_of_several_studies_rises_over_all_of_them(tmp_path):
    loaded, oracle = coded_series()
    seen = []
    order = Order(oracle, ("json",), progress=lambda s, x: seen.append((s, x)))
    list(run_studies([Study("a", lambda: loaded), Study("b", lambda: loaded)], order, Wish(("json",), tmp_path)))
    shares = [x for _, x in seen]
    assert shares == sorted(shares)
    assert seen[0] == ("study 1 of 2: read", 0.0)
    assert seen[-1] == ("study 2 of 2: done", 1.0)


def test_a_single_study_goes_straight_into_the_folder(tmp_path):
    assert _folders(["1.2.3"], tmp_path) == [tmp_path]


@given(st.lists(st.text(max_size=120), min_size=2, max_size=6))
def test_folders_of_studies_are_distinct_and_lie_directly_below(names):
    out = Path("/results")
    folders = _folders(names, out)
    assert len({f.name.lower() for f in folders}) == len(names)
    for folder in folders:
        assert folder.parent == out
        assert folder.name not in (".", "..")
        assert not folder.name.startswith((".", "-"))
        assert folder.name.isascii()


def test_names_of_patients_with_paths_in_them_stay_below():
    assert [f.name for f in _folders(["../../etc", "a/b", "..", "a/b"], Path("out"))] == [
        "etc",
        "a_b",
        "study",
        "a_b-2",
    ]


def test_a_wish_for_an_unknown_format_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="unknown format 'htm': did you mean 'html'"):
        Wish(("htm",), tmp_path)
    with pytest.raises(ConfigError, match="no format"):
        Wish((), tmp_path)


def test_a_folder_of_dicom_studies_goes_through_the_whole_pipeline(tmp_path, bundle):
    write_coded(tmp_path / "in" / "a", "2.25.11")
    write_slab(tmp_path / "in" / "b", "2.25.12")
    outcomes = list(run_source(tmp_path / "in", lambda: Analyzer(bundle), Wish(("json", "html"), tmp_path / "out")))
    assert [o.name for o in outcomes] == ["2.25.11", "2.25.12"]
    neck, slab = outcomes
    assert isinstance(slab.error, OutOfScope)
    assert not slab.folder.exists()
    assert isinstance(neck.ended, Done)
    findings = neck.ended.value.analysis.findings
    assert [f.visible_fraction for f in findings.vertebrae] == [1.0] * 7
    assert findings.model_id == bundle.id
    assert {p.name for p in neck.folder.iterdir()} == {"findings.json", "report.html"}


def test_a_series_is_found_in_whichever_study_has_it(tmp_path):
    write_coded(tmp_path / "in" / "a", "2.25.11")
    write_coded(tmp_path / "in" / "b", "2.25.12", series_uid="2.25.77")
    _, oracle = coded_series()
    wish = Wish(("json",), tmp_path / "out", series_uid="2.25.77")
    (outcome,) = run_source(tmp_path / "in", lambda: oracle, wish)
    assert outcome.name == "2.25.12"
    assert isinstance(outcome.ended, Done)
    assert outcome.ended.value.loaded.header.series_instance_uid == "2.25.77"
    with pytest.raises(NoImages, match=r"none of the 2 studies has the series 2\.25\.99"):
        list(run_source(tmp_path / "in", lambda: oracle, Wish(("json",), tmp_path / "out", series_uid="2.25.99")))


def test_an_analyzer_that_cannot_be_made_ends_the_run(tmp_path):
    write_coded(tmp_path / "in", "2.25.11")

    def missing():
        raise BundleMissing("no bundle")

    with pytest.raises(BundleMissing, match="no bundle"):
        list(run_source(tmp_path / "in", missing, Wish(("json",), tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_a_source_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(Unreachable, match="nowhere does not exist"):
        list(run_source(tmp_path / "nowhere", lambda: coded_series()[1], Wish(("json",), tmp_path)))
