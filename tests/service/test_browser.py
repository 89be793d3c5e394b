"""The whole way in a real browser: log in, upload, open, jump, answer, export; and what is wrong with a study."""

import csv
import io
import json
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from cspine.domain import Vertebra
from cspine.service import Role
from cspine.service.feedback import FeedbackBook
from tests.service.browser import PATIENCE_MS, launched, opened, running, save_picture
from tests.service.builders import PASSWORD, ROOT_UID, box_of, make_place, neck, write_neck, zipped
from tests.workflow.oracle import write_slab

pytestmark = pytest.mark.slow
SCRIPT = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
BOX_COLOR, OUTLINE_OF_C3 = (255, 77, 109), (230, 159, 0)
SAYS = "(words) => document.getElementById('place').innerText.startsWith(words)"


@pytest.fixture(scope="module")
def site(tmp_path_factory, require_program):
    """Yield a running service with an account, its place, and a browser."""
    program = require_program("chromium")
    place = make_place(tmp_path_factory.mktemp("site"), kinds=("json", "html"))
    place.parts.queue._clock = place.parts.spool._clock = place.parts.book._clock = time.time
    place.accounts.add("ann", Role.ADMIN, PASSWORD)
    with running(place) as address, sync_playwright() as playwright:
        browser = launched(playwright, str(program))
        yield address, place, browser
        browser.close()


@pytest.fixture
def page(site):
    address, _, browser = site
    page, trouble = opened(browser, address)
    page.goto("/")
    page.fill("#name", "ann")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#drop:not([hidden])")
    yield page
    page.close()
    assert trouble == []


def _upload(page: Page, content: bytes) -> None:
    page.set_input_files("#files", {"name": "study.zip", "mimeType": "application/zip", "buffer": content})


def _open(page: Page, patient: str) -> None:
    row = page.locator("tr", has_text=patient)
    row.locator("a", has_text="Open").click()
    page.wait_for_selector("#stage[data-ready=yes]")
    page.wait_for_timeout(500)


def _shot(page: Page) -> np.ndarray:
    """Return the images and the marks over them, (row, column, RGB)."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")).astype(int)


def _keep(page: Page, name: str) -> None:
    """Save a picture of the page where pictures are wanted."""
    folder = os.environ.get("CSPINE_SCREENSHOTS")
    if folder:
        save_picture(page.screenshot(), Path(folder) / name)


def _box_pixels(shot: np.ndarray, rect: list[float]) -> tuple[float, float, float, float]:
    """Return the extent of the drawn frame's color round a rectangle: left, top, right, bottom."""
    x, y, w, h = (round(v) for v in rect)
    part = shot[max(0, y - 6) : y + h + 7, max(0, x - 6) : x + w + 7]
    rows, columns = np.nonzero(np.abs(part - BOX_COLOR).max(axis=-1) < 40)
    top, left = max(0, y - 6), max(0, x - 6)
    return left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1


def test_a_fractured_study_from_upload_to_labels(site, page, tmp_path):
    _, place, _ = site
    place.teller.fractured = (Vertebra.C5,)
    _upload(page, zipped(write_neck(tmp_path / "in", 1, patient_name="Bones^Ann")))
    page.wait_for_selector("tr[data-state=done]")
    assert page.locator("tr[data-state=done] .chip.rule-in").count() == 1
    _open(page, "Bones, Ann")
    page.click("[data-level=C5]")
    page.wait_for_timeout(400)
    boxes = {one["plane"]: one["rect"] for one in json.loads(page.locator("#stage").get_attribute("data-boxes"))}
    assert set(boxes) == {"axial", "coronal", "sagittal"}
    _check_box_lies_on_the_bone(page, boxes)
    page.locator("[data-answers='C5 0'] button", has_text="Confirm").click()
    page.wait_for_selector("text=confirmed by ann")
    for level in ("C1", "C2"):
        assert page.locator(f"[data-level={level}] .chip.rule-out").count() == 1
    page.goto("/admin")
    with page.expect_download() as download:
        page.click("text=Labels of answered studies")
    _check_labels(Path(download.value.path()))


def _check_box_lies_on_the_bone(page: Page, boxes: dict[str, list[float]]) -> None:
    """Compare the frame's pixels with those of the bone, which the same picture shows without marks."""
    marked = _shot(page)
    page.keyboard.press("h")
    page.wait_for_timeout(400)
    bare = _shot(page)
    assert page.locator("#stage").get_attribute("data-boxes") == "[]"
    page.keyboard.press("h")
    _keep(page, "viewer.png")
    frame = _box_pixels(marked, boxes["axial"])
    x, y, w, h = boxes["axial"]
    assert np.abs(np.array(frame) - [x, y, x + w, y + h]).max() <= 3
    # The bone of C5 is 36 × 30 mm; the box 12 × 12 mm, 8 mm to the patient's left of its center: right on the screen.
    mm = w / 12
    around = bare[int(y - 30 * mm) : int(y + 42 * mm), int(x - 50 * mm) : int(x + 40 * mm)]
    rows, columns = np.nonzero((around.min(axis=-1) > 150) & (np.ptp(around, axis=-1) < 25))  # gray, so no crosshair
    bone_x = (np.percentile(columns, 2) + np.percentile(columns, 98)) / 2 + int(x - 50 * mm)
    bone_y = (np.percentile(rows, 2) + np.percentile(rows, 98)) / 2 + int(y - 30 * mm)
    assert abs((x + w / 2 - bone_x) / mm - 8) < 1.6
    assert abs((y + h / 2 - bone_y) / mm) < 1.6


def _drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag in the images; positions as in `data-boxes`."""
    at = page.locator("#stage").bounding_box()
    assert at is not None
    page.mouse.move(at["x"] + start[0], at["y"] + start[1])
    page.mouse.down()
    page.mouse.move(at["x"] + (start[0] + end[0]) / 2, at["y"] + (start[1] + end[1]) / 2)
    page.mouse.move(at["x"] + end[0], at["y"] + end[1])
    page.mouse.up()


def _axial_box(page: Page) -> list[float]:
    boxes = json.loads(page.locator("#stage").get_attribute("data-boxes"))
    return next(one["rect"] for one in boxes if one["plane"] == "axial")


def test_distances_are_millimeters_and_a_drawn_box_takes_the_place_of_the_found_one(site, page, tmp_path):
    _, place, _ = site
    place.teller.fractured = (Vertebra.C5,)
    _upload(page, zipped(write_neck(tmp_path / "in", 5, patient_name="Measured^M")))
    page.wait_for_selector("tr[data-state=done]:has-text('Measured, M')")
    _open(page, "Measured, M")
    page.click("[data-level=C5]")
    page.wait_for_timeout(400)
    x, y, w, h = _axial_box(page)
    mm = w / 12
    page.click("#mode-distance")
    _drag(page, (x, y), (x + 24 * mm, y + 10 * mm))
    said = page.locator("#panel .notice[role=status]").inner_text()
    assert float(said.removeprefix("Distance ").removesuffix(" mm")) == pytest.approx(26.0, abs=0.8)
    assert (np.abs(_shot(page) - (255, 224, 102)).max(axis=-1) < 40).sum() > 20 * mm
    page.keyboard.press("Escape")
    page.locator("[data-answers='C5 0'] button", has_text="Redraw").click()
    _drag(page, (x - 6 * mm, y - 6 * mm), (x + w + 6 * mm, y + h + 6 * mm))
    page.wait_for_selector("text=redrawn by ann")
    _keep(page, "redrawn.png")
    (row,) = [r for r in place.parts.book.worklist() if r["study_uid"] == f"{ROOT_UID}.5"]
    (opinion,) = FeedbackBook(place.parts.database, place.clock, place.config.studies_dir).of(row)
    found = box_of(Vertebra.C5)
    grown = np.array([found.min_lps_mm, found.max_lps_mm]) + np.array([[-6, -6, 0], [6, 6, 0]])
    assert (opinion["verdict"], opinion["location"], opinion["actor"]) == ("redraw", 0, "ann")
    assert np.abs(np.array(opinion["box_lps_mm"]) - grown).max() < 1.0
    drawn = [one for one in json.loads(page.locator("#stage").get_attribute("data-boxes")) if not one["name"]]
    assert {one["plane"] for one in drawn} == {"axial", "coronal", "sagittal"}


def test_levels_are_outlined_and_the_bone_within_is_seen(site, page, tmp_path):
    _, place, _ = site
    place.teller.fractured = ()
    _upload(page, zipped(write_neck(tmp_path / "in", 6, patient_name="Outlined^O")))
    page.wait_for_selector("tr[data-state=done]:has-text('Outlined, O')")
    _open(page, "Outlined, O")
    page.click("[data-level=C2]")
    page.click("#layout-axial")
    page.wait_for_timeout(600)
    shot = _shot(page)
    page.click("#outlines")
    page.wait_for_timeout(600)
    bone = _shot(page).min(axis=-1) > 90  # the block of C2, bare
    colored = np.ptp(shot, axis=-1) > 70
    assert 0.01 < colored[bone].mean() < 0.3


def test_a_tablet_shows_images_and_findings_without_scrolling_sideways(site, tmp_path):
    address, place, browser = site
    place.teller.fractured = (Vertebra.C5,)
    place.parts.spool.take_folder(write_neck(tmp_path / "in", 7, patient_name="Tablet^T"), "test")
    context = browser.new_context(viewport={"width": 820, "height": 1180}, has_touch=True, base_url=address)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto("/")
    page.fill("#name", "ann")
    page.fill("#password", PASSWORD)
    page.tap("button[type=submit]")
    page.wait_for_selector("tr[data-state=done]:has-text('Tablet, T')")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("tr", has_text="Tablet, T").locator("a", has_text="Open").tap()
    page.wait_for_selector("#stage[data-ready=yes]")
    for level in ("C7", "C5"):
        page.tap(f"[data-level={level}]")
    page.wait_for_timeout(600)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    assert (stage["width"], stage["y"] > 0, stage["y"] + stage["height"] < 1180) == (820, True, True)
    assert stage["height"] > 500
    assert len(json.loads(page.locator("#stage").get_attribute("data-boxes"))) == 3
    small = page.evaluate(
        "[...document.querySelectorAll('button, .button')].filter((b) => b.offsetHeight && b.offsetHeight < 32).length"
    )
    assert small == 0  # a finger needs room
    _keep(page, "viewer-tablet.png")
    page.locator("#slice").fill("10")
    page.wait_for_function(SAYS, arg="slice 10 of 62")
    context.close()


def _check_labels(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        train = list(csv.DictReader(io.StringIO(archive.read("train.csv").decode())))
        drawn = list(csv.DictReader(io.StringIO(archive.read("train_bounding_boxes.csv").decode())))
    assert [(r["StudyInstanceUID"], r["patient_overall"], r["C5"], r["C1"]) for r in train] == [
        (f"{ROOT_UID}.1", "1", "1", "0")
    ]
    grid, box = neck()[0].grid, box_of(Vertebra.C5)
    low = grid.to_index(np.array([box.min_lps_mm[0], box.min_lps_mm[1], box.max_lps_mm[2]]))
    assert float(drawn[0]["x"]) == pytest.approx(low[2] + 0.5, abs=1e-3)
    assert float(drawn[0]["y"]) == pytest.approx(low[1] + 0.5, abs=1e-3)
    assert len(drawn) == pytest.approx(12 / grid.spacing_mm[0], abs=1)


def test_negative_partial_and_refused_studies_are_told_apart_and_scripts_in_texts_do_nothing(site, page, tmp_path):
    _, place, _ = site
    place.teller.fractured = ()
    texts = {"patient_name": SCRIPT.replace("=", "")[:60], "patient_id": SCRIPT[:60], "study_description": SCRIPT[:50]}
    _upload(page, zipped(write_neck(tmp_path / "n", 2, patient_name="Negative^N")))
    _upload(page, zipped(write_neck(tmp_path / "p", 3, slices=slice(0, 40), **texts)))
    _upload(page, zipped(write_slab(tmp_path / "s", "2.25.99")))
    _upload(page, b"<html>no study</html>")
    page.wait_for_selector("tr[data-study][data-state=refused]")
    page.wait_for_selector("tr[data-upload][data-state=refused]")
    page.wait_for_selector("tr:has-text('Negative, N') .chip.rule-out")
    page.wait_for_selector(".chip.not-assessed")
    states = page.locator("tbody tr .chip:first-child").all_inner_texts()
    assert states.index("not assessed") < states.index("rule-out")
    assert max(k for k, word in enumerate(states) if word == "refused") < states.index("rule-out")
    page.locator("tr", has=page.locator(".chip.not-assessed")).locator("a").click()
    page.wait_for_selector("#stage[data-ready=yes]")
    assert page.locator(".level.not-assessed").count() >= 1
    assert "<img srcx" in page.locator("#patient").inner_text()
    assert page.evaluate("window.hacked") is None


def test_a_browser_without_webgl_shows_plain_slices_with_the_same_marks(site, tmp_path):
    address, place, browser = site
    place.teller.fractured = (Vertebra.C3,)
    place.parts.spool.take_folder(write_neck(tmp_path / "in", 4, patient_name="Plain^P"), "test")
    page, trouble = opened(browser, address)
    page.add_init_script("HTMLCanvasElement.prototype.getContext = ((real) => function (kind, ...more) {"
                         " return kind.startsWith('webgl') ? null : real.call(this, kind, ...more); })"
                         "(HTMLCanvasElement.prototype.getContext)")  # fmt: skip
    page.goto("/")
    page.fill("#name", "ann")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("tr[data-state=done]:has-text('Plain, P')")
    _open(page, "Plain, P")
    assert "no WebGL 2" in page.locator("#panel").inner_text()
    page.click("[data-level=C3]")
    page.wait_for_timeout(600)
    _keep(page, "viewer-plain.png")
    outlined = (np.abs(_shot(page) - OUTLINE_OF_C3).max(axis=-1) < 40).mean(axis=1)
    assert 0 < np.count_nonzero(outlined > 0.1) <= 6  # two lines across, each thin
    (box,) = json.loads(page.locator("#stage").get_attribute("data-boxes"))
    assert np.abs(np.array(_box_pixels(_shot(page), box["rect"])) - _corners(box["rect"])).max() <= 3
    for plain, name in (("ArrowDown", "slice 23 of 62"), ("PageDown", "slice 33 of 62")):
        page.keyboard.press(plain)
        page.wait_for_function(SAYS, arg=name)
    page.locator("#slice").fill("22")
    page.wait_for_function(SAYS, arg="slice 22 of 62")
    page.keyboard.press("+")
    page.wait_for_timeout(400)
    (near,) = json.loads(page.locator("#stage").get_attribute("data-boxes"))
    assert near["rect"][2] == pytest.approx(1.25 * box["rect"][2])
    assert np.abs(np.array(_box_pixels(_shot(page), near["rect"])) - _corners(near["rect"])).max() <= 3
    page.mouse.move(300, 500)
    page.mouse.down()
    page.mouse.move(300, 520, steps=4)
    page.mouse.up()
    page.wait_for_timeout(400)
    (moved,) = json.loads(page.locator("#stage").get_attribute("data-boxes"))
    assert moved["rect"][1] - near["rect"][1] == pytest.approx(20, abs=1)
    page.keyboard.press("r")
    page.wait_for_timeout(400)
    (whole,) = json.loads(page.locator("#stage").get_attribute("data-boxes"))
    assert whole["rect"] == pytest.approx(box["rect"])
    page.close()
    assert trouble == []


def _corners(rect: list[float]) -> np.ndarray:
    x, y, w, h = rect
    return np.array([x, y, x + w, y + h])
