"""A site's own studies give a bundle its calibration; the networks stay."""

from dataclasses import replace
from pathlib import Path

import pytest

from cspine.datasets import read_known
from cspine.domain import BundleIncompatible, ConfigError
from cspine.evaluation import ErrorLevels, read_triage
from cspine.models import ModelBundle, load_bundle, write_bundle
from cspine.pipeline import Analyzer
from cspine.workflow import SiteStudies, recalibrated, score_site
from tests.models.coded import coded_bundle, coded_fracture_bundle
from tests.workflow.sites import coded_study, write_site

LOOSE = ErrorLevels(0.3, 0.3)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return coded_fracture_bundle(tmp_path_factory.mktemp("bundles") / "coded")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight studies, four of them broken, and a ninth whose images are gone."""
    root = tmp_path_factory.mktemp("site")
    write_site(root, 8)
    with (root / "train.csv").open("a") as file:
        file.write("1.2.3.4,0,0,0,0,0,0,0,0\n")
    return root


@pytest.fixture(scope="module")
def site(root: Path, bundle: ModelBundle) -> SiteStudies:
    return score_site(read_known(root), Analyzer(bundle, threads=2))


def test_every_study_that_can_be_read_is_scored_and_the_others_are_named(site: SiteStudies) -> None:
    assert len(site.scored) == 8
    assert list(site.left_out) == ["1.2.3.4"]
    assert "no readable image" in site.left_out["1.2.3.4"]
    assert site.fractured == (4, 4)


def test_the_numbers_are_the_sites_and_the_networks_are_the_old_ones(
    site: SiteStudies, bundle: ModelBundle, tmp_path: Path
) -> None:
    made = recalibrated(bundle, site, "our site", (LOOSE, LOOSE), tmp_path / "made")
    assert made.id != bundle.id
    assert {n: g.sha256 for n, g in made.manifest.graphs.items()} == {
        n: g.sha256 for n, g in bundle.manifest.graphs.items()
    }
    assert made.manifest.thresholds["chosen_on"] == "8 studies of our site"
    triage = read_triage(made.manifest.calibration)
    assert triage.priors.study == pytest.approx(0.5)
    assert triage.level_rules[3].errors == LOOSE
    # The rules part the broken studies from the whole ones, which those of the old bundle were not made for.
    for study in site.scored.values():
        rule = triage.study_rule.decide(float(triage.study_score(study.logits)))
        assert rule.value == ("rule-in" if study.labels[0] else "rule-out")
    assert "measured on others" in load_bundle(tmp_path / "made").card()
    findings = Analyzer(made, threads=2).analyze(coded_study(99, broken=True).volume).findings
    broken, *others = sorted(findings.vertebrae, key=lambda found: -(found.probability or 0))
    assert broken.vertebra.name == "C4"
    assert all(found.decision.value == "rule-out" for found in others)


def test_too_few_studies_for_the_error_levels_are_refused_with_both_numbers(
    site: SiteStudies, bundle: ModelBundle, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"4 fractured studies have a score, the error levels need 49"):
        recalibrated(bundle, site, "our site", (LOOSE, ErrorLevels(0.02, 0.3)), tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_bundle_without_a_fracture_stage_has_nothing_to_calibrate(site: SiteStudies, tmp_path: Path) -> None:
    plain = coded_bundle(tmp_path / "plain")
    with pytest.raises(BundleIncompatible, match="no fracture stage"):
        recalibrated(plain, site, "our site", (None, None), tmp_path / "made")


def test_the_new_bundle_keeps_what_nobody_changed(site: SiteStudies, bundle: ModelBundle, tmp_path: Path) -> None:
    before = replace(bundle.manifest.parts, license="CC-BY-4.0")
    graphs = {name: bundle.graph_bytes(name) for name in bundle.manifest.graphs}
    licensed = write_bundle(tmp_path / "licensed", before, graphs, bundle.card())
    after = recalibrated(licensed, site, "our site", (LOOSE, LOOSE), tmp_path / "made").manifest.parts
    same = {key: getattr(before, key) for key in ("calibration", "thresholds", "training", "created_by")}
    assert replace(after, **same) == before
