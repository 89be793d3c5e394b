"""An upload becomes studies, a study a result; bad input is refused with a reason, what may pass is tried again."""

import io
import json
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import InputError, Unreachable, Vertebra
from cspine.service import Role, tidy
from cspine.service.shown import GEOMETRY, ShownVolume, level_outlines
from cspine.service.windows import preset
from tests.service.builders import make_place, neck, sent, write_neck, zipped
from tests.workflow.oracle import write_slab


def _take(place, folder: Path) -> str:
    return place.parts.spool.take_folder(folder, "test")


def _take_bytes(place, content: bytes, tmp_path: Path) -> str:
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / "upload").write_bytes(content)
    return _take(place, tmp_path / "in")


def _only(place) -> dict:
    (row,) = place.parts.book.worklist()
    return row


def test_a_study_goes_the_whole_way(place, tmp_path):
    place.teller.fractured = (Vertebra.C5,)
    _take(place, write_neck(tmp_path / "in"))
    place.work()
    row = _only(place)
    assert (row["state"], row["decision"], row["urgency"], row["phantom"]) == ("done", "rule-in", 0, True)
    assert row["header"]["patient_name"] == "Coded^Phantom"
    out = place.config.studies_dir / row["id"] / row["result"]
    assert json.loads((out / "findings.json").read_text())["vertebrae"][4]["locations"][0]["type"] == "lamina"
    assert (out / "heat.nii.gz").is_file()
    assert list(place.config.spool_dir.iterdir()) == []


def test_a_zip_of_two_studies_becomes_two_and_the_same_zip_again_none(place, tmp_path):
    write_neck(tmp_path / "both" / "one", 1)
    write_neck(tmp_path / "both" / "two", 2)
    content = zipped(tmp_path / "both")
    for _ in range(2):
        _take_bytes(place, content, tmp_path)
        place.work()
    assert len(place.parts.book.worklist()) == 2
    assert place.teller.told == 2


def test_the_first_result_does_not_wait_until_all_that_came_is_sorted(place, tmp_path):
    for number in range(7):
        _take(place, write_neck(tmp_path / f"{number}", number, slices=slice(0, 3 + number)))
    for _ in range(5):
        assert place.worker.run_once()
    assert place.parts.queue.counts() == {
        ("sort", "done"): 4,
        ("sort", "queued"): 3,
        ("analyze", "queued"): 3,
        ("analyze", "refused"): 1,
    }
    place.work()
    assert len(place.parts.book.worklist()) == 7
    assert place.parts.queue.is_idle()


def test_late_slices_make_a_new_version_that_supersedes(place, tmp_path):
    half = write_neck(tmp_path / "half", slices=slice(0, 40))
    _take(place, half)
    place.work()
    first = _only(place)
    assert first["decision"] == "not assessed"
    _take(place, write_neck(tmp_path / "whole"))
    place.work()
    assert _only(place)["decision"] == "rule-out"
    assert place.parts.book.row(first["id"])["superseded_by"] == _only(place)["id"]


def test_an_input_that_is_refused_is_not_tried_again_and_says_why(place, tmp_path):
    _take(place, write_slab(tmp_path / "in", "2.25.7"))
    place.work()
    row = _only(place)
    assert (row["state"], row["attempt"], row["error_kind"]) == ("refused", 1, "OutOfScope")
    assert "no vertebra was found" in row["error"]
    assert str(tmp_path) not in row["error"]


def test_an_error_that_may_pass_is_tried_again_and_then_done(place, tmp_path):
    place.teller.trouble = (Unreachable("away"), ZeroDivisionError("secret name"))
    _take(place, write_neck(tmp_path / "in"))
    place.work()
    assert _only(place)["state"] == "waiting"
    place.clock.now += 5
    place.work()
    assert "secret" not in _only(place)["error"]
    assert _only(place)["error"].startswith("internal error (ZeroDivisionError)")
    place.clock.now += 60
    place.work()
    assert (_only(place)["state"], _only(place)["attempt"], _only(place)["error"]) == ("done", 3, "")


def _archive(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


HOSTILE = {
    "slip": (_archive(**{"../../outside.dcm": b"x"}), "leads out of the archive"),
    "absolute": (_archive(**{"/etc/outside.dcm": b"x"}), "leads out of the archive"),
    "bomb": (_archive(**{"zeros.dcm": bytes(300 * 2**20)}), "a zip bomb"),
    "entries": (_archive(**{f"{k}.dcm": b"" for k in range(10_000)}), "10000 members; at most 8000 are read"),
    "html": (b"<html><script>alert(1)</script></html>", "no CT image was found"),
    "html in a zip": (_archive(**{"1.dcm": b"<html>"}), "no CT image was found"),
    "not a zip": (b"PK\x03\x04" + bytes(50), "damaged or unreadable zip archive"),
    "empty": (b"", "no CT image was found"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_upload_is_refused_and_leaves_nothing_behind(place, tmp_path, name):
    content, message = HOSTILE[name]
    client = place.client(Role.OPERATOR)
    upload = sent(client, content)
    before = {path for path in tmp_path.rglob("*") if path.is_file() and place.config.spool_dir not in path.parents}
    place.work()
    told = client.get(f"/api/uploads/{upload}").json()
    assert told["state"] == "refused"
    assert message in told["error"]
    assert str(tmp_path) not in told["error"]
    assert client.get("/api/studies").json()["studies"] == []
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not list(Path("/etc").glob("outside.dcm"))
    assert list(place.config.spool_dir.iterdir()) == []
    assert list(place.config.studies_dir.iterdir()) == []


def test_a_full_disk_fails_no_study_and_loses_none(tmp_path, monkeypatch):
    place = make_place(tmp_path)
    _take(place, write_neck(tmp_path / "in"))
    real = shutil.copyfile

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cspine.service.sorting.shutil.copyfile", full)
    place.work()
    (upload,) = place.parts.spool.open_or_refused()
    assert (upload["state"], upload["error"]) == ("waiting", "the disk is full; nothing was kept of this study")
    for _ in range(10):  # longer than errors that are tried three times
        place.clock.now += 1000
        place.work()
    monkeypatch.setattr("cspine.service.sorting.shutil.copyfile", real)
    place.clock.now += 1000
    place.work()
    assert _only(place)["state"] == "done"


def test_a_worker_that_is_asked_to_stop_gives_its_job_back(place, tmp_path):
    place.teller.trouble = (SystemExit(143),)  # type: ignore[assignment]  # as its signal handler raises
    _take(place, write_neck(tmp_path / "in"))
    with pytest.raises(SystemExit):
        place.work()
    assert (_only(place)["state"], _only(place)["attempt"]) == ("queued", 0)
    place.work()
    assert _only(place)["state"] == "done"


def test_a_job_that_takes_too_long_ends_its_worker(tmp_path, monkeypatch):
    place = make_place(tmp_path, job_timeout_s=0.01)
    left, gone = [], threading.Event()

    def leave(code: int) -> None:
        left.append(code)
        gone.set()

    object.__setattr__(place.worker._watch, "leave", leave)

    class Slow:
        def analyze(self, volume, progress):
            assert gone.wait(20)
            raise Unreachable("ended")

    monkeypatch.setattr(place.worker._duties["analyze"], "_make", Slow)
    _take(place, write_neck(tmp_path / "in"))
    place.work()
    assert set(left) == {71}


def test_the_viewer_is_given_the_voxels_as_they_were_read(place, tmp_path):
    _take(place, write_neck(tmp_path / "in"))
    place.work()
    row = _only(place)
    out = place.config.studies_dir / row["id"] / row["result"]
    shown = ShownVolume.open(out)
    volume, labels, _ = neck()
    canonical = shown.order.apply(shown.hu)
    assert np.array_equal(canonical, volume.canonical().hu)
    gray = shown.slice_gray(10, preset("bone"))
    assert gray.shape == volume.grid.shape[1:]
    assert gray[canonical[10] < -450].max() == 0
    named = np.where(labels.labels > 7, 0, labels.labels)
    assert np.array_equal([level_outlines(out, k) for k in range(len(named))], named)
    with pytest.raises(InputError, match=f"slice {len(named)} of {len(named)}"):
        level_outlines(out, len(named))
    geometry = json.loads((out / GEOMETRY).read_text())
    assert geometry["canonical_shape"] == list(volume.grid.shape)


def test_leftovers_are_removed_and_what_is_worked_on_stays(place, tmp_path):
    _take(place, write_neck(tmp_path / "in"))
    place.work()
    kept = _only(place)["id"]
    for name in (".part-aa-1", "ab" * 16):
        (place.config.studies_dir / name).mkdir()
    place.clock.now = 4e9
    assert tidy(place.config, place.parts) == 2
    assert [path.name for path in place.config.studies_dir.iterdir()] == [kept]
