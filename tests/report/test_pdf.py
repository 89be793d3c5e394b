import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cspine.domain import NEVER_ASSESSED, Analysis, RenderError
from cspine.report import GROUPS, RENDERERS, file_name, render, render_pdf
from tests.report import builders
from tests.report.test_html import ATTACK, CASES, TIMINGS, _attacked


def _text(pdf: bytes, folder: Path, program: str) -> str:
    (folder / "report.pdf").write_bytes(pdf)
    command = [program, "-layout", folder / "report.pdf", "-"]
    return " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("case", [*CASES, "attacked"])
def test_the_sheet_is_one_page_of_a4(case: str, tmp_path: Path, require_program: Callable[[str], str]):
    made = _attacked() if case == "attacked" else getattr(builders, case)()
    (tmp_path / "report.pdf").write_bytes(render_pdf(*made, TIMINGS))
    command = [require_program("pdfinfo"), tmp_path / "report.pdf"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"Pages:\s+1\n", told)
    assert re.search(r"Page size:\s+595.* x 841.*A4", told)


def test_the_sheet_says_what_the_page_says(tmp_path: Path, require_program: Callable[[str], str]):
    analysis, source = builders.ruled_in()
    text = _text(render_pdf(analysis, source, TIMINGS), tmp_path, require_program("pdftotext"))
    said = ["Doe, Jane", "1980-02-29", "Fracture suspected: C5 (any fracture: 95 %)", "F2: burst, 91 %", "W 1800 L 400"]
    said += [analysis.findings.model_id, "Research use only. Not a medical device.", ", ".join(NEVER_ASSESSED)]
    for words in said:
        assert words in text
    assert not re.search(r"\b(cleared|normal)\b", text, re.IGNORECASE)


def test_a_phantom_and_every_flag_are_on_the_sheet(tmp_path: Path, require_program: Callable[[str], str]):
    analysis, source = builders.everything_flagged()
    text = _text(render_pdf(analysis, source, TIMINGS), tmp_path, require_program("pdftotext"))
    assert "PHANTOM: computed data, not a patient" in text
    told = [word for flag in analysis.findings.flags for word in (flag.code.value,)]
    assert [code for code in told if code not in text.replace("- ", "-")] == []


def test_the_same_result_gives_the_same_bytes():
    made = builders.partial_neck()
    assert render_pdf(*made, TIMINGS) == render_pdf(*made, TIMINGS)


def test_markup_in_any_text_is_only_text(tmp_path: Path, require_program: Callable[[str], str]):
    analysis, source = builders.ruled_out()
    typst = '#panic("hit") $x$ *b* `c` \\ #read("/etc/passwd")'
    named = replace(source, header=replace(source.header, patient_name=typst, study_description=ATTACK))
    text = _text(render_pdf(analysis, named, {}), tmp_path, require_program("pdftotext"))
    assert '#panic("hit") $x$' in text
    assert "<script>" in text.replace("\u200b", "")


def test_names_in_other_scripts_do_not_stop_the_typesetter():
    analysis, source = builders.ruled_out()
    for name in ("Yamada^Tarou=山田^太郎=やまだ^たろう", "قباني^لنزار\U0001f9b4\ud800"):
        named = replace(source, header=replace(source.header, patient_name=name))
        assert render_pdf(analysis, named, {}).startswith(b"%PDF-")


def test_every_renderer_makes_its_document():
    made = builders.ruled_out()
    starts = {"json": b"{", "html": b"<!doctype html>", "pdf": b"%PDF-"}
    assert set(RENDERERS) - set(GROUPS["dicom"]) == set(starts)
    for kind, start in starts.items():
        assert render(*made, kind, TIMINGS).startswith(start)
    assert [file_name(kind) for kind in starts] == ["findings.json", "report.html", "report.pdf"]


@pytest.mark.parametrize(("kind", "nearest"), [("HTML", "html"), ("jsn", "json"), ("pdfs", "pdf"), ("dcom", "dicom")])
def test_an_unknown_format_is_refused_with_the_nearest(kind: str, nearest: str):
    with pytest.raises(RenderError, match=f"unknown format '{kind}': did you mean '{nearest}'\\? There are json, html"):
        file_name(kind)


def test_rendering_changes_nothing():
    analysis, source = builders.ruled_in()
    before = (analysis.findings, analysis.labels.labels.copy(), source.volume.hu.copy())
    render_pdf(analysis, source, TIMINGS)
    assert isinstance(analysis, Analysis)
    assert analysis.findings == before[0]
    assert (analysis.labels.labels == before[1]).all()
    assert (source.volume.hu == before[2]).all()
