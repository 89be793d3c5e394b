"""The page, the tables and the charts of an evaluation, and the pictures of its worst cases."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from cspine.domain import CERVICAL, Decision, Grid, Vertebra, Volume, WorldBox
from cspine.evaluation import (
    DetectorEvaluation,
    Estimate,
    EvaluationSettings,
    FoundBox,
    ReaderCalls,
    StudyAnswer,
    StudyTruth,
    TrueBox,
    evaluate_detector,
)
from cspine.report import (
    EvaluationTitle,
    Frames,
    case_pictures,
    curves_csv,
    evaluation_html,
    evaluation_json,
    figure_text,
    figures_csv,
    studies_csv,
)
from cspine.report.scores.case_picture import FOUND_COLOR, TRUE_COLOR
from cspine.report.scores.charts import Axes, Line, interval_chart, line_chart, share_chart

NAN = float("nan")
TITLE = EvaluationTitle("bundle", "", "set", "cspine 0", "2026-01-01", phantom=False, notes=("a <i>note</i>",))
BOX = WorldBox((0, 0, 0), (10, 10, 10))


@pytest.fixture(scope="module")
def evaluation() -> DetectorEvaluation:
    """Return twelve studies, every third with a fracture of C5, and a reader."""
    rng = np.random.default_rng(0)
    truths, answers = [], []
    for k in range(12):
        broken = k % 3 == 0
        labels = (int(broken), *(int(broken and v is Vertebra.C5) for v in CERVICAL))
        p = tuple(float(np.clip(0.6 * y + 0.3 * rng.random(), 0, 1)) for y in labels)
        decisions = tuple(Decision.RULE_IN if v > 0.5 else Decision.RULE_OUT for v in p)
        boxes = (TrueBox(BOX, Vertebra.C5, type="burst", severity=3),) if broken else ()
        traits = {"vendor": "<GE>" if k % 2 else "Siemens"}
        truths.append(StudyTruth(f"1.{k}", labels, boxes, {Vertebra.C2: ("osteophyte",)}, traits))
        found = (FoundBox(p[5], BOX, Vertebra.C5, decisions[5]),)
        answers.append(StudyAnswer(f"1.{k}", p, decisions, boxes=found, seconds={"read": 1.0}, peak_mb=300.0))
    answers[1] = StudyAnswer.refused("1.1", "NotAVolume: <script>")
    readers = [ReaderCalls("R1", {t.uid: t.labels for t in truths})]
    other = {"other": [replace(a, boxes=None) for a in answers]}
    return evaluate_detector(truths, answers, EvaluationSettings(draws=30), readers, other)


def test_the_page_has_every_part_and_escapes_what_files_say(evaluation):
    page = evaluation_html(evaluation, TITLE).decode()
    titles = re.findall(r"<h2>(.+?)</h2>", page)
    assert titles == [
        "What it decides", "How well scores order", "Whether probabilities mean what they say", "Where it points",
        "Fractures and mimics", "Parts of the set", "Readers", "Other systems on the same studies", "Time and memory",
        "Worst cases", "How it was made",
    ]  # fmt: skip
    assert "<script" not in page
    assert "NotAVolume: &lt;script&gt;" in page
    assert "vendor: &lt;GE&gt;" in page
    assert "a &lt;i&gt;note" in page
    assert "PHANTOM" not in page
    assert "nan" not in re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)


def test_phantoms_are_called_phantoms(evaluation):
    assert "says nothing about patients" in evaluation_html(evaluation, replace(TITLE, phantom=True)).decode()


def test_parts_without_figures_are_left_out():
    truths = [StudyTruth("1", (0,) * 8), StudyTruth("2", (1, 1, *[0] * 6), None)]
    answers = [StudyAnswer(t.uid, (None,) * 8, (Decision.NOT_ASSESSED,) * 8, boxes=None) for t in truths]
    page = evaluation_html(evaluate_detector(truths, answers, EvaluationSettings(draws=3)), TITLE).decode()
    assert "Readers" not in page
    assert "Where it points" not in page
    assert "not assessed" in page


def test_every_chart_of_the_page_is_well_formed(evaluation):
    charts = re.findall(r"<svg.*?</svg>", evaluation_html(evaluation, TITLE).decode(), flags=re.DOTALL)
    assert len(charts) > 12
    for chart in charts:
        ElementTree.fromstring(chart)


def test_json_and_csv_say_the_same(evaluation):
    document = json.loads(evaluation_json(evaluation, TITLE))
    rows = list(csv.DictReader(io.StringIO(figures_csv(evaluation).decode())))
    assert len(rows) == len(document["figures"]) == len(evaluation.figures)
    for row, value in zip(rows, document["figures"], strict=True):
        assert row["name"] == value["name"]
        if value["value"] is None:
            assert row["value"] == ""
        else:
            assert float(row["value"]) == pytest.approx(value["value"], rel=1e-5, abs=1e-9)
    points = list(csv.DictReader(io.StringIO(curves_csv(evaluation).decode())))
    assert {p["kind"] for p in points} == {"roc", "precision-recall", "reliability", "froc"}
    assert document["refused"] == {"1.1": "NotAVolume: <script>"}


def test_every_answer_has_a_row_and_a_refusal_its_reason(evaluation):
    rows = list(csv.DictReader(io.StringIO(studies_csv(evaluation).decode())))
    assert len(rows) == 12 * 8
    refused = [row for row in rows if row["StudyInstanceUID"] == "1.1"]
    assert {row["probability"] for row in refused} == {""}
    assert refused[0]["reason"] == "NotAVolume: <script>"


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.5, 0.4, 0.6, 9), "0.500 (0.400–0.600)"),
        (Estimate(-0.5, -0.7, 0.1, 9), "−0.500 (−0.700 to 0.100)"),
        (Estimate(1.0, NAN, NAN, 9), "1.000"),
        (Estimate(NAN, NAN, NAN, 0), "–"),
        (Estimate(912.34, 900.0, 920.0, 9), "912.3 (900.0–920.0)"),
    ],
)
def test_figures_are_printed_with_what_is_known_of_them(estimate, text):
    assert figure_text(estimate) == text


def _numbers(path: str) -> list[float]:
    return [float(v) for v in re.findall(r"-?\d+\.?\d*", path)]


def test_a_line_goes_where_its_points_are():
    exact = [(0.0, Estimate(0.0, NAN, NAN, 0)), (0.5, Estimate(1.0, 0.8, 1.0, 4)), (2.0, Estimate(0.5, NAN, NAN, 0))]
    chart = ElementTree.fromstring(line_chart([Line("a", exact, dots=True)], Axes("x", "y"), (158, 150)))
    dots = [c for c in chart.iter() if c.tag.endswith("circle")]
    assert len(dots) == 2  # x = 2 lies beyond the axis
    places = [(float(d.get("cx", 0)), float(d.get("cy", 0))) for d in dots]
    assert places == [(46.0, 110.0), (96.0, 10.0)]


def test_an_interval_lies_round_its_dot():
    chart = interval_chart([("a", Estimate(0.75, 0.5, 1.0, 3)), ("b", Estimate(NAN, NAN, NAN, 0))], (0.5, 1.0), 0.6)
    (dot,) = re.findall(r'<circle cx="([\d.]+)"', chart)
    (span,) = re.findall(r'd="(M[^"]+)" stroke="#14609c"', chart)
    low, _, high = _numbers(span)
    assert float(dot) == pytest.approx((low + high) / 2, abs=0.1)
    assert chart.count("–") == 2  # one between the limits, one for the figure that is not there


def test_shares_fill_their_bar():
    chart = share_chart([("a", [("rule-in", 0.25), ("uncertain", 0.75)])], legend=False)
    widths = [float(w) for w in re.findall(r'<rect x="[\d.]+" y="3" width="([\d.]+)"', chart)]
    assert widths == [105.0, 315.0]


def test_true_and_found_boxes_are_framed_where_the_plane_cuts_them():
    grid = Grid.from_axes((40, 40, 40), (2.0, 2.0, 2.0), (-40.0, -40.0, 40.0))
    volume = Volume(grid, np.zeros(grid.shape, np.int16))
    cut, beside = WorldBox((-5, -5, -5), (5, 5, 5)), WorldBox((-5, -5, 20), (5, 5, 30))
    axial, sagittal = case_pictures(volume, (0, 0, 0), Frames((cut,), (beside,)), "C5")
    colors = [
        {tuple(v) for v in np.asarray(Image.open(io.BytesIO(p.png))).reshape(-1, 3).tolist()} for p in (axial, sagittal)
    ]
    assert [(TRUE_COLOR in c, FOUND_COLOR in c) for c in colors] == [(True, False), (True, True)]
    assert (axial.title, axial.caption) == ("C5", "F/H 0 mm")
    assert math.isclose(axial.shape, 1.0)


def test_a_point_beyond_the_scan_is_drawn_at_its_border():
    grid = Grid.from_axes((40, 40, 40), (2.0, 2.0, 2.0), (-40.0, -40.0, 40.0))
    axial, _ = case_pictures(Volume(grid, np.zeros(grid.shape, np.int16)), (0, 0, 90.0), Frames(), "C1")
    assert axial.caption == "H 40 mm"
