"""`cspine bundle recalibrate`: a bundle with the numbers of a site, or a sentence why not."""

import pytest

from cspine.datasets.nifti import nifti_bytes
from cspine.domain import Decision
from cspine.evaluation import read_triage
from cspine.models import load_bundle
from cspine.pipeline import Analyzer, DecodeSpec, IntensitySpec, PipelineSpec
from cspine.workflow import study_of
from tests.cli.programs import called
from tests.models.coded import coded_bundle, coded_fracture_bundle
from tests.workflow.sites import coded_study, write_site


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


def test_other_vertebra_networks_and_scans_without_a_fracture_go_into_the_new_bundle(tmp_path, site):
    bundle = coded_fracture_bundle(tmp_path / "coded")
    decode = DecodeSpec(level_confidence=0.55)
    vertebrae = coded_bundle(tmp_path / "other", preprocess=PipelineSpec(decode=decode).to_manifest())
    real = tmp_path / "real"
    real.mkdir()
    broken = coded_study(51, broken=True).volume
    for number in (1, 2):  # the odd one is left for tests
        (real / f"pt_{number}.nii.gz").write_bytes(nifti_bytes(broken.grid, broken.hu))
    looks = ("--mirrored", "--second-look", "c1,C7")
    more = ("--vertebrae", vertebrae.folder, "--real", real, "--version", "7", *looks)
    said = recalibrate(tmp_path, bundle.folder, site, *LOOSE, *more)
    assert said.code == 0, said.err
    made = load_bundle(tmp_path / "made")
    assert (made.manifest.name, made.manifest.version) == ("coded", "7")
    spec = PipelineSpec.from_manifest(made.manifest.preprocess)
    assert (spec.decode, spec.second_look.levels) == (decode, ("C1", "C7"))
    assert spec.fracture is not None
    assert spec.fracture.mirrored
    assert made.manifest.training["vertebrae"]["bundle"] == vertebrae.id
    assert "raised until none of 1 real scans without a reported fracture is called" in made.card()
    # The even scan, which is broken, was said to be whole: what looks like it is not ruled in any more.
    rule = read_triage(made.manifest.calibration).level_rules[3]
    assert rule.decide(score_of(made, coded_study(51, broken=True))) is not Decision.RULE_IN
    (tmp_path / "plain").mkdir()
    nothing = recalibrate(tmp_path / "nothing", bundle.folder, site, *LOOSE, "--real", tmp_path / "nowhere")
    assert nothing.code == 3
    assert "no scan (*.nii.gz, not of an odd number)" in nothing.err
    plain = recalibrate(tmp_path / "plain", bundle.folder, site, *LOOSE)
    assert plain.code == 0, plain.err
    rule = read_triage(load_bundle(tmp_path / "plain" / "made").manifest.calibration).level_rules[3]
    assert rule.decide(score_of(made, coded_study(51, broken=True))) is Decision.RULE_IN


def test_vertebra_networks_that_see_other_gray_values_are_refused(tmp_path, site):
    bundle = coded_fracture_bundle(tmp_path / "coded")
    spec = PipelineSpec(intensity=IntensitySpec(high_hu=900.0))
    other = coded_bundle(tmp_path / "other", preprocess=spec.to_manifest())
    said = recalibrate(tmp_path, bundle.folder, site, *LOOSE, "--vertebrae", other.folder)
    assert said.code == 4
    assert "see other gray values" in said.err


def score_of(bundle, case):
    study = study_of(Analyzer(bundle, threads=2), case)
    assert study is not None
    return float(study.logits[3])


def test_another_card_changes_the_identity_and_no_answer(tmp_path):
    bundle = coded_fracture_bundle(tmp_path / "coded")
    (tmp_path / "card.md").write_text("# Ours\n\nMeasured on our own studies.\n", encoding="utf-8")
    said = called("bundle", "card", bundle.folder, "--text", tmp_path / "card.md", "--out", tmp_path / "made")
    assert said.code == 0, said.err
    made = load_bundle(tmp_path / "made")
    assert made.card() == "# Ours\n\nMeasured on our own studies.\n"
    assert made.id != bundle.id
    assert made.manifest.parts == bundle.manifest.parts
    assert all(made.graph_bytes(name) == bundle.graph_bytes(name) for name in bundle.manifest.graphs)
    assert called("bundle", "verify", tmp_path / "made").code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as text"),
        (b"\xff\xfe\x00", "cannot be read as text"),
        (b" \n", "the model card is empty"),
    ],
)
def test_a_card_that_is_none_is_refused(tmp_path, content, message):
    bundle = coded_fracture_bundle(tmp_path / "coded")
    if content is not None:
        (tmp_path / "card.md").write_bytes(content)
    said = called("bundle", "card", bundle.folder, "--text", tmp_path / "card.md", "--out", tmp_path / "made")
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "made").exists()
