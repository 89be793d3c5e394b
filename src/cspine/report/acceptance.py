"""The record of an acceptance test, to be filed: one JSON document for machines, one printable page for people."""

import json
from typing import Any

from cspine.evaluation import AcceptanceRecord, Check, Verdict
from cspine.report.document import INTENDED_USE
from cspine.report.html import TEMPLATES

ACCEPTANCE_SCHEMA = "1.0"


def acceptance_document(record: AcceptanceRecord) -> dict[str, Any]:
    """Return the record as plain JSON values; the schema is `acceptance.schema.json` beside this file."""
    return {
        "schema_version": ACCEPTANCE_SCHEMA,
        "date": record.date,
        "suite": record.suite,
        "model": {"id": record.model_id, "name": record.model_name},
        "software": record.software,
        "passed": record.passed,
        "counts": {verdict.value: count for verdict, count in record.counts.items()},
        "studies": [
            {"name": name, "title": title, "checks": [_check(check) for check in record.checks if check.study == name]}
            for name, title in record.titles.items()
        ],
        "intended_use": INTENDED_USE,
    }


def acceptance_json(record: AcceptanceRecord) -> bytes:
    """Return `acceptance.json` as UTF-8."""
    text = json.dumps(acceptance_document(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", errors="replace")


def acceptance_html(record: AcceptanceRecord) -> bytes:
    """Return `acceptance.html`: one self-contained page, to be printed and signed."""
    studies = [(title, [c for c in record.checks if c.study == name]) for name, title in record.titles.items()]
    page = TEMPLATES.get_template("acceptance.html.jinja").render(
        record=record,
        studies=studies,
        verdict=Verdict,
        result="passed" if record.passed else "not passed",
        intended_use=INTENDED_USE,
    )
    return page.encode("utf-8", errors="replace")


def _check(check: Check) -> dict[str, str]:
    return {
        "question": check.question,
        "expected": check.expected,
        "found": check.found,
        "verdict": check.verdict.value,
    }
