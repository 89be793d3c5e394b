"""The tool that asks whether a scan gets the same answer however it lies, again, and from the other engine."""

from dataclasses import replace

import pytest

from cspine.domain import AXIS_ORDERS, Decision
from cspine.models import ModelBundle
from cspine.pipeline import Analyzer
from tests.models.coded import coded_case
from tools.same_answers import Apart, apart, compared


@pytest.mark.slow
def test_every_comparison_is_made_and_a_turned_scan_has_the_same_answer(bundle: ModelBundle) -> None:
    volume = coded_case(spacing_mm=(1.5, 1.5, 1.5))[0]
    rows = {changed: (count, far, fine) for changed, count, far, fine in compared(volume, bundle, 3, 2)}
    assert list(rows) == ["nothing", "ONNX Runtime", "orientation"]
    assert rows["nothing"] == (1, Apart(0.0, 0.0, 0.0, 0, 0), True)
    count, far, fine = rows["orientation"]
    assert (count, far.decisions, far.voxels, fine) == (3, 0, 0, True)
    assert len(set(AXIS_ORDERS)) == 48


def test_what_differs_is_counted(analyzer: Analyzer) -> None:
    analysis = analyzer.analyze(coded_case(spacing_mm=(1.5, 1.5, 1.5))[0])
    first, second, *rest = analysis.findings.vertebrae
    assert first.center_lps_mm is not None
    x, y, z = first.center_lps_mm
    moved = replace(first, center_lps_mm=(x + 3.0, y + 4.0, z), probability=0.25, decision=Decision.UNCERTAIN)
    changed = replace(analysis.findings, vertebrae=(moved, second, *rest))
    far = apart(analysis, replace(analysis, findings=changed))
    assert far == Apart(1.0, 0.0, pytest.approx(5.0), 1, 0)
    sure = replace(moved, probability=0.2)
    far = apart(
        replace(analysis, findings=changed),
        replace(analysis, findings=replace(changed, vertebrae=(sure, second, *rest))),
    )
    assert far.vertebra == pytest.approx(0.05)
    assert not far.within(0.01, 1.0)
    assert far.within(0.06, 1.0)
