"""The demonstration goes the whole way and knows when the answer is wrong."""

import pytest

from cspine.domain import OutOfScope, Vertebra
from cspine.phantom import make_case
from cspine.pipeline import Analyzer
from cspine.workflow import Done, demo_spec, run_demo
from tests.models.coded import coded_bundle
from tests.workflow.oracle import Oracle, coded_phantom, coded_series


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("cspine.workflow.demo.make_case", coded_phantom)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return coded_bundle(tmp_path_factory.mktemp("bundle") / "coded")


def test_a_right_answer_is_called_right(quick, bundle, tmp_path):
    seen = []
    result = run_demo(tmp_path, lambda: Analyzer(bundle), ("json", "html"), lambda s, x: seen.append(x))
    assert result.right
    assert result.score is not None
    assert all(v.right for v in result.score.vertebrae)
    assert (tmp_path / "result" / "report.html").exists()
    assert len(list(result.images.glob("*.dcm"))) == result.case.volume.grid.shape[0]
    assert seen == sorted(seen)


def test_the_images_are_marked_as_a_phantom(quick, bundle, tmp_path):
    result = run_demo(tmp_path, lambda: Analyzer(bundle), ("json",))
    assert isinstance(result.outcome.ended, Done)
    assert result.outcome.ended.value.loaded.header.is_phantom


def test_a_wrong_answer_is_called_wrong(quick, tmp_path):
    # This oracle knows another neck, one that begins at C3.
    result = run_demo(tmp_path, lambda: coded_series(Vertebra.C3)[1], ("json",))
    assert not result.right
    assert result.score is not None
    assert not result.score.vertebrae[0].right


def test_a_refused_demonstration_is_not_right(quick, tmp_path):
    class Refusing:
        def analyze(self, volume, progress):
            raise OutOfScope("no cervical vertebra found")

    result = run_demo(tmp_path, Refusing, ("json",))
    assert not result.right
    assert result.score is None
    assert isinstance(result.outcome.error, OutOfScope)


@pytest.mark.slow
def test_the_phantom_of_the_demonstration_shows_the_whole_neck(tmp_path):
    case = make_case(demo_spec())
    assert [t.vertebra for t in case.truth.vertebrae if t.visible_fraction > 0.99][:7] == list(Vertebra)[:7]
    result = run_demo(tmp_path, lambda: Oracle(case.labels, case.truth), ("json",))
    assert result.right
