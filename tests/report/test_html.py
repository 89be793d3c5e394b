import base64
import re
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from cspine.dicom.header import LoadedSeries, StudyHeader
from cspine.domain import NEVER_ASSESSED, Analysis, Flag, FlagCode, Location, Vertebra
from cspine.report import render_html
from tests.report import builders

CASES = ["ruled_out", "ruled_in", "partial_neck", "nothing_found", "everything_flagged"]
TIMINGS = {"read": 0.31, "segment": 1.25}
ATTACK = "<script>document.title='hit'</script>\"'><img src=x onerror=alert(1)>{{7*7}}</style></title>"


class _Page(HTMLParser):
    """Collects the tags, the attributes and the text of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@cache
def _html(case: str) -> bytes:
    return render_html(*getattr(builders, case)(), TIMINGS)


@pytest.mark.parametrize("case", CASES)
def test_the_page_loads_nothing_and_runs_nothing(case: str):
    page = _html(case)
    parsed = _Page(page)
    for tag, attributes in parsed.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form", "audio", "video", "svg"}
        assert not any(name.startswith("on") or name in {"href", "srcset", "action"} for name in attributes)
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,")
    assert b"url(" not in page
    assert b"@import" not in page
    assert b"http://" not in page
    assert b"https://" not in page


@pytest.mark.parametrize("case", CASES)
def test_the_page_says_what_every_page_must_say(case: str):
    text = _Page(_html(case)).text
    findings = getattr(builders, case)()[0].findings
    assert "Research use only. Not a medical device." in text
    assert f"{', '.join(NEVER_ASSESSED)}" in text
    assert findings.model_id in text
    assert findings.model_name in text
    assert findings.software in text
    assert "W 1800 L 400" in text
    assert not re.search(r"\b(cleared|normal)\b", text, re.IGNORECASE)
    for finding in findings.vertebrae:
        assert f"{finding.vertebra.name} " in text


def test_the_page_gives_patient_study_and_series_as_the_header_does():
    text = _Page(_html("ruled_out")).text
    for said in ("Doe, Jane", "MRN-0042", "1980-02-29", "A123", "2024-03-05", "3 · C-Spine 1.0 Br64 ax"):
        assert said in text
    assert "not given" not in text


def test_a_nifti_is_not_given_a_patient():
    text = _Page(_html("nothing_found")).text
    assert text.count("not given") == 7
    assert "neck.nii.gz" in text
    assert "Vertebrae found in the scan: none" in text
    assert "C1–C7: not found in this scan" in text


def test_suspected_fractures_are_numbered_placed_and_explained():
    text = _Page(_html("ruled_in")).text
    assert "Fracture suspected: C5 (any fracture: 95 %)" in text
    assert "Rule-in: C5" in text
    assert "Uncertain: C2" in text
    assert re.search(r"F1: fracture, 55 %, at L 63 mm, P 56 mm, F 46 mm; image 129, pixels \d+, \d+, \d+ × \d+", text)
    assert "F2: burst, 91 %" in text
    assert "F3: lamina, 40 %" in text
    assert "Might instead be: vascular channel" in text


def test_a_cut_neck_says_what_was_not_assessed():
    text = _Page(_html("partial_neck")).text
    assert "No statement about fractures" in text
    assert "C1–C5: no fracture model in this bundle" in text
    assert "C6–C7: outside the scanned field" in text
    assert "62 %" in text
    assert "Neck not covered (C5–C7)." in text


def test_japanese_names_keep_all_their_groups():
    analysis, source = builders.ruled_out()
    named = replace(source, header=replace(source.header, patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう"))
    assert "Yamada, Tarou (山田 太郎, やまだ たろう)" in _Page(render_html(analysis, named, {})).text


def test_a_phantom_is_marked_on_page_and_pictures():
    analysis, source = builders.ruled_out()
    by_flag = Analysis(replace(analysis.findings, flags=(Flag(FlagCode.PHANTOM, "Computed."),)), analysis.labels)
    by_header = replace(source, header=replace(source.header, is_phantom=True))
    plain = render_html(analysis, source, {})
    assert "PHANTOM" not in _Page(plain).text
    for marked in (render_html(by_flag, source, {}), render_html(analysis, by_header, {})):
        page = _Page(marked)
        assert "PHANTOM: computed data, not a patient" in page.text
        assert ("div", {"class": "watermark", "aria-hidden": "true"}) in page.tags
        assert _first_picture(marked) != _first_picture(plain)


def test_the_pictures_are_described_and_legible():
    page = _Page(_html("partial_neck"))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 2 + 5
    assert "outlines of C1–C5" in str(pictures[0]["alt"])
    for attributes in pictures:
        width, height = _decode(str(attributes["src"])).size
        assert (str(width), str(height)) == (attributes["width"], attributes["height"])


def _attacked() -> tuple[Analysis, LoadedSeries]:
    """Put the attack into every string that a report prints."""
    analysis, source = builders.ruled_in()
    texts = {f.name: ATTACK for f in fields(StudyHeader) if "str" in str(f.type)}
    place = Location(0.9, ATTACK, builders.box_round(Vertebra.C3, 4.0))
    levels = tuple(replace(f, reason=ATTACK, mimic=ATTACK, locations=(place,)) for f in analysis.findings.vertebrae)
    findings = replace(
        analysis.findings,
        vertebrae=levels,
        flags=(Flag(FlagCode.METAL, ATTACK),),
        model_id=ATTACK,
        model_name=ATTACK,
        software=ATTACK,
    )
    return Analysis(findings, analysis.labels), replace(source, header=StudyHeader(**texts), name=ATTACK)


def test_script_in_any_text_is_only_text():
    page = render_html(*_attacked(), {ATTACK: 1.0})
    parsed = _Page(page)
    assert parsed.text.count("<script>") > 20
    assert "{{7*7}}" in parsed.text
    assert not [tag for tag, _ in parsed.tags if tag == "script"]
    assert not [attributes for _, attributes in parsed.tags if "onerror" in attributes]
    assert not [attributes for tag, attributes in parsed.tags if tag == "img" and attributes["src"] == "x"]
    assert page.count(b"<title>") == page.count(b"</title>") == 1


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES, "attacked"])
def test_the_page_prints_on_one_sheet(case: str, tmp_path: Path, require_program: Callable[[str], str]):
    page = render_html(*_attacked(), TIMINGS) if case == "attacked" else _html(case)
    (tmp_path / "report.html").write_bytes(page)
    chromium, pdfinfo = require_program("chromium"), require_program("pdfinfo")
    _browse(chromium, tmp_path, f"--print-to-pdf={tmp_path / 'report.pdf'}", "--no-pdf-header-footer", "report.html")
    told = subprocess.run([pdfinfo, tmp_path / "report.pdf"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Pages:\s+1\n", told)
    assert re.search(r"Page size:\s+59\d.* x 84\d", told)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_page_fits_the_width_of_a_phone(case: str, tmp_path: Path, require_program: Callable[[str], str]):
    content = base64.b64encode(_html(case)).decode()
    (tmp_path / "phone.html").write_text(
        "<iframe id=f width=390 height=844 style='border:0'></iframe><p id=out></p><script>"
        "f.onload = () => { const d = f.contentDocument; const widest = Math.max(...[...d.querySelectorAll('body *')]"
        ".filter(e => !e.classList.contains('watermark')).map(e => e.getBoundingClientRect().right));"
        "out.textContent = `width ${d.documentElement.scrollWidth} widest ${Math.ceil(widest)} title ${d.title}`; };"
        f"f.srcdoc = new TextDecoder().decode(Uint8Array.from(atob('{content}'), c => c.charCodeAt(0)));</script>"
    )
    shown = _browse(require_program("chromium"), tmp_path, "--virtual-time-budget=5000", "--dump-dom", "phone.html")
    measured = re.search(r'<p id="out">width (\d+) widest (\d+) title CT cervical spine: result of cspine</p>', shown)
    assert measured is not None
    assert int(measured[1]) <= 390
    assert int(measured[2]) <= 390


def _browse(chromium: str, folder: Path, *arguments: str) -> str:
    *options, name = arguments
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [*command, *options, (folder / name).as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def _first_picture(page: bytes) -> bytes:
    return page.split(b"data:image/png;base64,", 1)[1].split(b'"', 1)[0]


def _decode(source: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,"))))
