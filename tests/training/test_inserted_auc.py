"""Fractures are cut into the vertebrae of a scan, and the scores of these set beside those of the whole ones."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.domain import Vertebra
from cspine.evaluation import Estimate
from cspine.models import default_bundle_path, load_bundle
from cspine.phantom import Coverage, Field, Scanner, make_case, sample_spec
from cspine.pipeline import Analyzer
from tools.inserted_auc import COLUMNS, Score, scores_of, table


def scores(*rows: tuple[str, int, float]) -> list[Score]:
    return [Score("a scan", bone, severity, "burst", logit) for bone, severity, logit in rows]


def test_the_table_has_a_row_for_each_severity_and_pairs_a_vertebra_with_itself() -> None:
    whole = [("C3", 0, -2.0), ("C4", 0, 1.0)]
    broken = [("C3", 1, -1.0), ("C3", 4, 3.0), ("C4", 4, 0.5), ("C4", 5, 2.0)]
    rows = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in table(scores(*whole, *broken))}
    assert list(rows) == ["any", "1–2", "3–5", "1", "4", "5"]
    auc, above = rows["any"]["AUC"], rows["any"]["above the same unbroken"]
    assert isinstance(auc, Estimate)
    assert isinstance(above, Estimate)
    # −1 and .5 lie between the two whole ones, 3 and 2 above both.
    assert auc.value == pytest.approx((1 + 2 + 1 + 2) / 8)
    assert (above.value, above.n) == (0.75, 4)
    assert rows["4"]["broken"] == 2


@pytest.mark.slow
def test_whole_vertebrae_of_a_scan_get_fractures_and_are_judged_again() -> None:
    spec = sample_spec(np.random.default_rng(6), field=Field.WHOLE)
    scanner = Scanner(field_of_view_mm=150, matrix=(188, 188), spacing_mm=1.2, thickness_mm=1.2, noise_hu=15)
    cover = Coverage(top=Vertebra.C2, top_mm=20, bottom=Vertebra.C6, bottom_mm=10)
    case = make_case(replace(spec, scanner=scanner, coverage=cover), 1)
    found = list(scores_of("a phantom", case.volume, Analyzer(load_bundle(default_bundle_path()), threads=1), 3, 1))
    whole = {score.vertebra: score.logit for score in found if not score.severity}
    broken = [score for score in found if score.severity]
    assert {"C4", "C5"} <= set(whole)
    assert len(broken) > len(whole)
    assert all(1 <= score.severity <= 5 and score.type for score in broken)
    # Every fracture changes what the network sees.
    assert all(score.logit != whole[score.vertebra] for score in broken)
