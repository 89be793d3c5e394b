"""The fracture stage on coded phantoms: what is found, at which vertebra, and which negatives are withheld."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import (
    CERVICAL,
    Analysis,
    BundleIncompatible,
    ConfigError,
    Decision,
    FlagCode,
    Grid,
    Vertebra,
    Volume,
)
from cspine.evaluation import ConformalRule, ErrorLevels
from cspine.models import load_bundle
from cspine.pipeline import (
    Analyzer,
    JudgedVertebra,
    LocalizeSpec,
    PipelineSpec,
    SecondLookSpec,
    Told,
    judgment_of,
    places_of,
)
from cspine.pipeline.fracture import answer, judge
from tests.models.coded import broken_case, coded_bundle, coded_case, coded_fracture_bundle, coded_triage

BROKEN = Vertebra.C4


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Analyzer:
    return Analyzer(coded_fracture_bundle(tmp_path_factory.mktemp("breaks") / "bundle"), threads=2)


@pytest.fixture(scope="module")
def broken(looking: Analyzer) -> tuple[Analysis, np.ndarray]:
    volume, _, _, plate = broken_case()
    return looking.analyze(volume), plate


def test_a_break_is_found_at_its_vertebra_and_the_others_are_ruled_out(broken: tuple[Analysis, np.ndarray]) -> None:
    findings = broken[0].findings
    assert {f.vertebra: f.decision for f in findings.vertebrae} == {
        v: Decision.RULE_IN if v is BROKEN else Decision.RULE_OUT for v in CERVICAL
    }
    assert findings.decision is Decision.RULE_IN
    assert FlagCode.NO_FRACTURE_MODEL not in [f.code for f in findings.flags]
    assert all(f.locations == () for f in findings.vertebrae if f.vertebra is not BROKEN)


def test_the_place_of_a_break_is_told_in_millimeters_with_its_type(broken: tuple[Analysis, np.ndarray]) -> None:
    analysis, plate = broken
    (place,) = analysis.findings.of(BROKEN).locations
    assert np.abs(np.array(place.box_lps_mm.center_lps_mm) - plate).max() < 2.0
    sides = np.subtract(place.box_lps_mm.max_lps_mm, place.box_lps_mm.min_lps_mm)
    assert (sides < np.array([17.0, 8.0, 8.0])).all()
    assert place.type == "dens-ii"
    assert place.probability == analysis.findings.of(BROKEN).probability


def test_the_fracture_map_lies_on_the_volume_and_shows_the_break(broken: tuple[Analysis, np.ndarray]) -> None:
    analysis, plate = broken
    shown = analysis.fracture_map
    assert shown is not None
    assert analysis.map_threshold == 0.5
    assert shown.grid == analysis.labels.grid
    where = np.argwhere(shown.hu >= 0.5)
    assert np.abs(shown.grid.to_world(where.mean(axis=0)) - plate).max() < 1.5


def test_an_unbroken_neck_is_ruled_out_only_when_all_seven_are_seen(looking: Analyzer) -> None:
    assert looking.analyze(coded_case()[0]).findings.decision is Decision.RULE_OUT
    part = looking.analyze(coded_case(bottom=Vertebra.C5)[0]).findings
    assert part.decision is Decision.UNCERTAIN
    assert part.of(Vertebra.C6).decision is Decision.NOT_ASSESSED


@pytest.mark.parametrize(
    ("logit", "decision"), [(4.0, Decision.RULE_IN), (0.0, Decision.UNCERTAIN), (-4.0, Decision.NOT_ASSESSED)]
)
def test_of_a_cut_vertebra_only_the_negative_is_withheld(logit: float, decision: Decision) -> None:
    one = judged(Vertebra.C3, logit)
    told = Told(coded_triage(), LocalizeSpec(coarsest_mm=(2.0, 2.0)), ("dens-ii",), ("metal",))
    volume = Volume(one.grid, np.full(one.grid.shape, -1000, dtype=np.int16))
    verdict = judgment_of([one], {Vertebra.C3: 0.6}, told, volume).verdicts[Vertebra.C3]
    assert verdict.decision is decision
    assert (verdict.probability is None) == (decision is Decision.NOT_ASSESSED)
    assert "cut by the edge of the scan, 60% in view" in (verdict.reason or "")


def judged(vertebra: Vertebra, logit: float, spots: tuple[tuple[int, int, int], ...] = ()) -> JudgedVertebra:
    """Return what a network could have said: own bone in the left half, a neighbor's in the right, bright spots."""
    shape = (16, 20, 24)
    shown = np.zeros(shape, dtype=np.float32)
    for z, y, x in spots:
        shown[z : z + 3, y : y + 3, x : x + 3] = 0.9
    own = np.zeros(shape, dtype=np.float32)
    own[2:14, 2:18, 1:10] = 1
    grid = Grid.from_axes(shape, (1.0, 1.5, 1.5), (0.0, 0.0, 0.0))
    return JudgedVertebra(vertebra, logit, grid, shown, own, own[:, :, ::-1], np.array([0.9]), np.array([0.1]))


def test_breaks_of_a_neighbor_and_specks_are_left_out_and_close_pieces_are_one() -> None:
    spec = LocalizeSpec(join_mm=4.0, smallest_mm3=20.0)
    one = judged(Vertebra.C3, 4.0, ((4, 4, 4), (4, 9, 4), (11, 14, 2), (4, 4, 18)))
    one.map[9, 2, 1] = 0.9
    places = places_of(one, spec, at_least_one=False)
    assert len(places) == 2
    assert [p.volume_mm3 for p in places] == pytest.approx([2 * 27 * 2.25, 27 * 2.25])
    assert all(p.box_lps_mm.max_lps_mm[0] < 15 for p in places)
    separate = places_of(one, replace(spec, join_mm=2.0), at_least_one=False)
    assert len(separate) == 3


def test_a_called_vertebra_shows_its_brightest_spot_even_below_the_operating_point() -> None:
    one = judged(Vertebra.C3, 4.0, ((4, 4, 4),))
    high = LocalizeSpec(map_threshold=0.95)
    assert places_of(one, high, at_least_one=False) == ()
    (place,) = places_of(one, high, at_least_one=True)
    assert place.box_lps_mm.min_lps_mm == pytest.approx((5.25, 5.25, -6.5))


def test_a_coarse_scan_is_not_called_either_way() -> None:
    one = judged(Vertebra.C3, 4.0)
    volume = Volume(one.grid, np.full(one.grid.shape, -1000, dtype=np.int16))
    fine, coarse = (
        judgment_of([one], {Vertebra.C3: 1.0}, Told(coded_triage(), LocalizeSpec(coarsest_mm=most), (), ()), volume)
        for most in ((2.0, 2.0), (2.0, 1.2))
    )
    assert (fine.decision, fine.verdicts[Vertebra.C3].decision) == (Decision.RULE_IN, Decision.RULE_IN)
    assert (coarse.decision, coarse.verdicts[Vertebra.C3].decision) == (Decision.UNCERTAIN, Decision.UNCERTAIN)
    assert coarse.probability == fine.probability
    assert (coarse.verdicts[Vertebra.C3].reason or "").startswith("resolution: slices every 1.0 mm, pixels of 1.50 mm;")


def test_thick_slices_allow_no_decision(looking: Analyzer) -> None:
    findings = looking.analyze(coded_case(spacing_mm=(3.0, 1.0, 1.0))[0]).findings
    assert {f.decision for f in findings.vertebrae} == {Decision.UNCERTAIN}
    assert findings.decision is Decision.UNCERTAIN
    (flag,) = [f for f in findings.flags if f.code is FlagCode.LOW_RESOLUTION]
    assert "slices every 3.0 mm" in flag.message


def test_the_prevalence_moves_probabilities_and_no_decision(tmp_path: Path) -> None:
    bundle = coded_fracture_bundle(tmp_path / "bundle")
    volume, *_ = broken_case()
    rare, common = (Analyzer(bundle, threads=2, prevalence=p).analyze(volume).findings for p in (0.02, 0.5))
    assert [f.decision for f in rare.vertebrae] == [f.decision for f in common.vertebrae]
    for few, many in zip(rare.vertebrae, common.vertebrae, strict=True):
        assert few.probability is not None
        assert many.probability is not None
        assert few.probability < many.probability
    with pytest.raises(ConfigError, match=r"prevalence is 1\.5"):
        Analyzer(bundle, prevalence=1.5)


def test_a_rule_that_was_never_tuned_says_neither_yes_nor_no(tmp_path: Path) -> None:
    silent = ConformalRule(None, None, ErrorLevels(), 0, 0)
    triage = replace(coded_triage(), level_rules=(silent,) * 7, study_rule=silent)
    analyzer = Analyzer(coded_fracture_bundle(tmp_path / "bundle", triage), threads=2)
    findings = analyzer.analyze(broken_case()[0]).findings
    assert {f.decision for f in findings.vertebrae} == {Decision.UNCERTAIN}


class _Sees:
    """A network that copies the CT channel to the map, and tells its left half's mean times a factor."""

    def __init__(self, factor: float) -> None:
        self._factor = np.float32(factor)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        crop = inputs["crop"][:, :1]
        half = crop[..., : crop.shape[-1] // 2].mean(axis=(2, 3, 4))
        return {"map": self._factor * crop, "heads": self._factor * half}


def test_members_and_mirrored_crops_answer_together() -> None:
    crops = np.random.default_rng(0).normal(size=(2, 3, 4, 6, 8)).astype(np.float32)
    maps, heads = answer((_Sees(1), _Sees(3)), crops, mirrored=False)
    assert np.allclose(maps, 2 * crops[:, :1])
    assert np.allclose(heads, 2 * crops[:, :1, :, :, :4].mean(axis=(2, 3, 4)), atol=1e-6)
    maps, heads = answer((_Sees(1), _Sees(3)), crops, mirrored=True)
    assert np.allclose(maps, 2 * crops[:, :1])
    assert np.allclose(heads, 2 * crops[:, :1].mean(axis=(2, 3, 4)), atol=1e-6)


class _Height:
    """A network whose every answer is the mean of the CT channel; it counts crops."""

    def __init__(self) -> None:
        self.crops = 0

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        crop = inputs["crop"]
        self.crops += len(crop)
        mean = crop[:, 0].mean(axis=(1, 2, 3))
        blocks = (crop.shape[2], crop.shape[3] // 2, crop.shape[4] // 2)
        return {"map": np.zeros((len(crop), 1, *blocks), np.float32), "heads": np.repeat(mean[:, None], 35, axis=1)}


def test_a_second_look_samples_its_levels_between_the_voxels_and_no_others(looking: Analyzer) -> None:
    volume, labels, _ = coded_case()
    slope = np.linspace(0, 900, volume.grid.shape[0]).astype(np.float32)[:, None, None]
    sloped = Volume(volume.grid, volume.hu + slope)
    refined = looking.locate(volume).refined
    once, again = _Height(), _Height()
    spec = looking.spec
    first = judge(sloped, labels, refined, [once], spec, threads=1)
    looked = replace(spec, second_look=SecondLookSpec(("C1", "C2", "C7")))
    second = judge(sloped, labels, refined, [again], looked, threads=1)
    assert (once.crops, again.crops) == (7, 7 + 2 * 3)
    for a, b in zip(first, second, strict=True):
        if a.vertebra.name in ("C1", "C2", "C7"):
            assert a.logit != b.logit  # other samples of the same bone
            assert b.logit == pytest.approx(a.logit, abs=0.01)  # to both sides: no shift remains
        else:
            assert a.logit == b.logit
        np.testing.assert_array_equal(a.map, b.map)
    assert PipelineSpec.from_manifest(looked.to_manifest()) == looked
    assert PipelineSpec().second_look.levels == ()


def test_both_engines_agree_on_the_fracture_stage(looking: Analyzer, tmp_path: Path) -> None:
    other = Analyzer(coded_fracture_bundle(tmp_path / "bundle"), engine="onnxruntime", threads=2)
    volume, *_ = broken_case()
    ours, theirs = looking.analyze(volume).findings, other.analyze(volume).findings
    for a, b in zip(ours.vertebrae, theirs.vertebrae, strict=True):
        assert a.decision is b.decision
        assert a.probability == pytest.approx(b.probability, abs=1e-4)


def test_a_bundle_whose_triage_is_torn_is_refused(tmp_path: Path) -> None:
    whole = coded_fracture_bundle(tmp_path / "whole").manifest
    changes: tuple[dict[str, dict], ...] = ({"calibration": {}}, {"thresholds": {"chosen_on": "coded"}})
    for change in changes:
        broken = coded_bundle(
            tmp_path / f"torn-{next(iter(change))}",
            preprocess=dict(whole.preprocess),
            **({"calibration": dict(whole.calibration), "thresholds": dict(whole.thresholds)} | change),
        )
        with pytest.raises(BundleIncompatible):
            Analyzer(load_bundle(broken.folder))


def test_a_bundle_without_the_stage_refuses_to_judge(analyzer: Analyzer) -> None:
    volume, labels, _ = coded_case()
    assert not analyzer.assesses_fractures
    with pytest.raises(ConfigError, match="no fracture stage"):
        analyzer.judge(analyzer.locate(volume), labels)
