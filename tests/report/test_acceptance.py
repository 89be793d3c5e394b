"""The record of an acceptance test: one document, one page, both say the same."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

import cspine.report
from cspine.evaluation import AcceptanceRecord, Check, Verdict
from cspine.report import acceptance_html, acceptance_json

SCHEMA = json.loads((Path(cspine.report.__file__).parent / "acceptance.schema.json").read_text("utf-8"))
IDENTITY = "ab" * 32


def record(**changes: object) -> AcceptanceRecord:
    checks = (
        Check("dens", "finds dens II at C2", "rule-in", "rule-in, 93%", Verdict.PASS),
        Check("dens", "names the levels seen whole", "C1–C7", "C5 off by 17 mm", Verdict.FAIL),
        Check("chest", "is refused", "OutOfScope", "OutOfScope: no neck <script>", Verdict.PASS),
    )
    values: dict = {
        "suite": "version 1, SHA-256 " + "cd" * 32,
        "date": "2026-01-31",
        "model_id": IDENTITY,
        "model_name": "vertebrae",
        "software": "cspine 1.2.3",
        "titles": {"dens": "Dens fracture", "chest": "A chest"},
        "checks": checks,
    }
    return AcceptanceRecord(**(values | changes))


def test_the_document_follows_its_schema_and_holds_every_row():
    document = json.loads(acceptance_json(record()))
    jsonschema.validate(document, SCHEMA)
    assert document["counts"] == {"pass": 2, "fail": 1, "not applicable": 0}
    assert document["passed"] is False
    assert [[c["verdict"] for c in s["checks"]] for s in document["studies"]] == [["pass", "fail"], ["pass"]]
    assert document["model"] == {"id": IDENTITY, "name": "vertebrae"}
    assert document["date"] == "2026-01-31"


def test_the_page_says_what_was_tested_when_and_how_it_ended():
    page = acceptance_html(record()).decode()
    for text in (IDENTITY, "vertebrae", "cspine 1.2.3", "2026-01-31", "cd" * 32, "Not passed", "1 fail", "2 pass"):
        assert text in page
    rows = re.findall(r'<tr class="([a-z-]+)">', page)
    assert rows == ["pass", "fail", "pass"]
    assert "Dens fracture" in page
    assert "it does not say how well it does on patients" in " ".join(page.split())


def test_the_page_loads_nothing_and_escapes_what_errors_say():
    page = acceptance_html(record()).decode()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.NOT_APPLICABLE])
def test_rows_about_fractures_are_explained_only_when_there_are_any(verdict):
    checks = (*record().checks, Check("dens", "finds lamina at C3", "rule-in", "no fracture model", verdict))
    said = "which this bundle does not assess" in acceptance_html(record(checks=checks)).decode()
    assert said is (verdict is Verdict.NOT_APPLICABLE)


def test_a_record_without_a_failed_row_passed():
    page = acceptance_html(record(checks=record().checks[:1])).decode()
    assert "<h2>Passed</h2>" in page
