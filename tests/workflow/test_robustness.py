"""The grid of scans: the same persons in every cell, counted with n, refused ones too."""

from pathlib import Path

import numpy as np
import pytest

from cspine.domain import Decision, LabelMap, Vertebra
from cspine.phantom import Case, Field, PhantomSpec
from cspine.pipeline import Analyzer
from tests.models.coded import broken_case, coded_case, coded_fracture_bundle
from tools.robustness import COLUMNS, Cell, Row, grid, judged, run_cell, summary


def coded(spec: PhantomSpec, threads: int) -> Case:
    """Return a neck of blocks, C4 broken where the person has any fracture."""
    volume, labels, truth = broken_case()[:3] if spec.fractures else coded_case()
    empty = LabelMap(volume.grid, np.zeros_like(labels.labels))
    return Case(volume, labels, truth, empty, empty)


def test_a_person_is_the_same_in_every_cell_but_for_the_scan() -> None:
    cells = list(grid((15.0, 80.0), (0.8, 3.0), (Field.WHOLE, Field.NO_T1)))
    assert len(cells) == 8
    specs = [cell.spec(2, 7) for cell in cells]
    assert len({(s.seed, s.anatomy, s.scale) for s in specs}) == 1
    whole, part = ({s.fractures for s in specs if s.coverage.kind is kind} for kind in (Field.WHOLE, Field.NO_T1))
    assert len(whole) == len(part) == 1
    assert set(part.pop()) < set(whole.pop())  # the break of C6 lies below what is shown
    assert {s.scanner.noise_hu for s in specs} == {15.0, 80.0}
    assert {s.scanner.spacing_mm for s in specs} == {0.8, 3.0}
    assert {s.coverage.kind for s in specs} == {Field.WHOLE, Field.NO_T1}
    assert {s.scanner.family for s in specs} == {"B"}


def test_counts_stand_beside_what_they_are_counted_of() -> None:
    rows = [
        Row(True, 0.9, Decision.RULE_IN),
        Row(True, 0.2, Decision.UNCERTAIN),
        Row(False, 0.3, Decision.RULE_IN),
        Row(False, 0.1, Decision.RULE_OUT),
        Row(False, None, Decision.NOT_ASSESSED),
    ]
    found = summary(rows)
    assert found["AUC"] == "0.750 (n = 4)"
    assert found["broken rule-in"] == "1/2"
    assert found["whole rule-in"] == "1/3"
    assert (found["uncertain"], found["not assessed"]) == ("1/5", "1/5")
    assert summary(rows[2:])["AUC"] == "–"


def test_a_cell_is_rendered_analyzed_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.robustness.make_case", coded)
    analyzer = Analyzer(coded_fracture_bundle(tmp_path / "bundle"), threads=1)
    line = run_cell(Cell(15.0, 0.8, Field.WHOLE), 3, 11, analyzer)
    assert set(line) == set(COLUMNS)
    broken = sum(bool(Cell(15.0, 0.8, Field.WHOLE).spec(k, 11).fractures) for k in range(3))
    assert (line["vertebrae"], line["broken"]) == ("21", str(broken))
    assert line["broken rule-in"] == f"{broken}/{broken}"
    assert line["whole rule-in"] == f"0/{21 - broken}"


def test_vertebrae_of_a_refused_scan_count_as_not_assessed() -> None:
    case = coded(Cell(15.0, 0.8, Field.WHOLE).spec(0, 11), 1)
    rows = judged(case, None)
    assert len(rows) == 7
    assert {row.decision for row in rows} == {Decision.NOT_ASSESSED}
    assert rows[Vertebra.C4 - 1].broken is bool(case.truth.fractures)
