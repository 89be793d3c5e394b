"""The whole pipeline on coded phantoms with a generated bundle: names, centers, cuts, refusals, orientations."""

import numpy as np
import pytest

from cspine.domain import (
    AXIS_ORDERS,
    CERVICAL,
    Box,
    Decision,
    FlagCode,
    Grid,
    OutOfScope,
    Vertebra,
    Volume,
)
from cspine.evaluation import dice, score_case
from cspine.models import ModelBundle
from cspine.pipeline import Analyzer
from tests.models.coded import coded_case


def test_every_vertebra_of_a_whole_neck_is_named_and_outlined(analyzer: Analyzer) -> None:
    volume, labels, truth = coded_case()
    score = score_case("whole", "whole", truth, labels, analyzer.analyze(volume))
    assert score.right
    assert not score.flagged
    overlaps = [v.dice for v in score.vertebrae if v.dice is not None]
    assert len(overlaps) == 7
    assert np.mean(overlaps) > 0.87  # crop voxels of 1.5 mm on blocks of 13 mm: each face may be half a voxel off
    assert all(v.center_error_mm is not None and v.center_error_mm < 2 for v in score.vertebrae)


def test_without_a_fracture_model_nothing_is_assessed_and_the_reason_is_said(analyzer: Analyzer) -> None:
    findings = analyzer.analyze(coded_case()[0]).findings
    assert findings.decision is Decision.NOT_ASSESSED
    assert findings.probability is None
    for finding in findings.vertebrae:
        assert finding.decision is Decision.NOT_ASSESSED
        assert finding.probability is None
        assert finding.reason == "no fracture model in this bundle"
    assert FlagCode.NO_FRACTURE_MODEL in [f.code for f in findings.flags]


@pytest.mark.parametrize(("top", "bottom"), [(Vertebra.C1, Vertebra.C4), (Vertebra.C4, Vertebra.T1)])
def test_levels_outside_the_scan_are_not_invented(analyzer: Analyzer, top: Vertebra, bottom: Vertebra) -> None:
    findings = analyzer.analyze(coded_case(top, bottom)[0]).findings
    for finding in findings.vertebrae:
        inside = top <= finding.vertebra <= bottom
        assert (finding.visible_fraction > 0) == inside
        assert (finding.center_lps_mm is not None) == inside
        assert inside or finding.reason == "not in view"
    (flag,) = [f for f in findings.flags if f.code is FlagCode.PARTIAL_COVERAGE]
    assert set(flag.vertebrae) == {v for v in CERVICAL if not top <= v <= bottom}


@pytest.mark.slow
def test_all_48_orientations_give_the_same_findings_and_labels(analyzer: Analyzer) -> None:
    volume, _, _ = coded_case(spacing_mm=(1.5, 1.25, 1.25))
    wanted = analyzer.analyze(volume)
    assert len(AXIS_ORDERS) == 48
    for axes in AXIS_ORDERS:
        turned = Volume(volume.grid.reordered(axes), axes.apply(volume.hu))
        found = analyzer.analyze(turned)
        np.testing.assert_array_equal(found.labels.labels, axes.apply(wanted.labels.labels))
        for a, b in zip(found.findings.vertebrae, wanted.findings.vertebrae, strict=True):
            assert a.decision == b.decision
            assert a.reason == b.reason
            assert a.visible_fraction == b.visible_fraction
            assert a.center_lps_mm is not None and b.center_lps_mm is not None  # noqa: PT018  # narrows both types
            np.testing.assert_allclose(a.center_lps_mm, b.center_lps_mm, atol=1e-3)
            assert a.box_lps_mm is not None and b.box_lps_mm is not None  # noqa: PT018  # narrows both types
            np.testing.assert_allclose(a.box_lps_mm.min_lps_mm, b.box_lps_mm.min_lps_mm, atol=1e-3)
            np.testing.assert_allclose(a.box_lps_mm.max_lps_mm, b.box_lps_mm.max_lps_mm, atol=1e-3)


def test_the_same_volume_twice_gives_the_same_bytes(analyzer: Analyzer) -> None:
    volume = coded_case(Vertebra.C2, Vertebra.C6)[0]
    a, b = analyzer.analyze(volume), analyzer.analyze(volume)
    assert a.findings == b.findings
    np.testing.assert_array_equal(a.labels.labels, b.labels.labels)


def test_both_engines_give_the_same_labels(bundle: ModelBundle, analyzer: Analyzer) -> None:
    volume = coded_case(Vertebra.C3, Vertebra.C7)[0]
    other = Analyzer(bundle, engine="onnxruntime", threads=2).analyze(volume)
    ours = analyzer.analyze(volume).labels.labels
    # the generated graph is so steep that a voxel on a block's edge turns on the last bit of a float
    assert all(dice(ours == v, other.labels.labels == v) > 0.95 for v in CERVICAL if v >= Vertebra.C3)


@pytest.mark.parametrize("value", [-1000, -2000, 40])
def test_an_empty_volume_is_out_of_scope(analyzer: Analyzer, value: int) -> None:
    grid = Grid.from_axes((40, 60, 60), (2.0, 1.0, 1.0))
    with pytest.raises(OutOfScope, match=r"the volume is empty"):
        analyzer.analyze(Volume(grid, np.full(grid.shape, value, dtype=np.int16)))


def test_a_volume_without_vertebrae_is_out_of_scope_with_the_measured_evidence(analyzer: Analyzer) -> None:
    volume, labels, _ = coded_case()
    hu = np.where(labels.labels > 0, 0, volume.hu).astype(np.int16)
    with pytest.raises(OutOfScope, match=r"strongest evidence 0\.00, limit 0\.\d+"):
        analyzer.analyze(Volume(volume.grid, hu))


def test_progress_rises_to_the_end(analyzer: Analyzer) -> None:
    heard: list[tuple[str, float]] = []
    analyzer.analyze(coded_case(Vertebra.C3, Vertebra.C5)[0], lambda stage, share: heard.append((stage, share)))
    shares = [share for _, share in heard]
    assert shares == sorted(shares)
    assert heard[-1] == ("done", 1.0)


def test_a_crop_that_cuts_a_vertebra_never_calls_it_whole(analyzer: Analyzer) -> None:
    volume, labels, _ = coded_case()
    rows = np.flatnonzero((labels.labels == Vertebra.C6).any(axis=(1, 2)))
    cut = volume.crop(Box((0, 0, 0), (int(rows[len(rows) // 2]), *volume.grid.shape[1:])))
    finding = analyzer.analyze(cut).findings.of(Vertebra.C7)
    assert finding.visible_fraction == 0
