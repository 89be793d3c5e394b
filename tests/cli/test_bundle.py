"""`cspine bundle recalibrate`: a bundle with the numbers of a site, or a sentence why not."""

import pytest

from tests.cli.programs import called
from tests.models.coded import coded_bundle, coded_fracture_bundle
from tests.workflow.sites import write_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("site")
    write_site(root, 4)
    return root


def recalibrate(folder, bundle, site, *more):
    return called("bundle", "recalibrate", bundle, "--data", site, "--out", folder / "made", *more)


LOOSE = [w for name in ("--level-miss", "--level-alarm", "--study-miss", "--study-alarm") for w in (name, "0.4")]


def test_a_site_makes_a_bundle_that_says_what_it_was_chosen_on(tmp_path, site):
    bundle = coded_fracture_bundle(tmp_path / "coded").folder
    said = recalibrate(tmp_path, bundle, site, *LOOSE)
    assert said.code == 0, said.err
    assert "4 studies, 2 fractured, 2 fractured vertebrae with a score" in said.out
    shown = called("bundle", "show", tmp_path / "made")
    assert f"thresholds chosen on 4 studies of {site.name}" in shown.out
    again = recalibrate(tmp_path, bundle, site, *LOOSE)
    assert again.code != 0
    assert "exists already" in again.err


def test_too_few_studies_and_a_bundle_without_fractures_are_told(tmp_path, site):
    few = recalibrate(tmp_path, coded_fracture_bundle(tmp_path / "coded").folder, site)
    assert few.code != 0
    assert "2 fractured studies have a score, the error levels need" in few.err
    plain = recalibrate(tmp_path, coded_bundle(tmp_path / "plain").folder, site)
    assert plain.code != 0
    assert "no fracture stage" in plain.err
    assert not (tmp_path / "made").exists()
