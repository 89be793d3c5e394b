"""What readers say is kept with who and when, and becomes labels once a study is answered in full."""

import io
import zipfile

import pytest

from cspine.domain import InputError, Vertebra, WorldBox
from cspine.service import Role
from cspine.service.feedback import Opinion, Verdict, box_cells
from tests.service.builders import ROOT_UID, write_neck

BOX = [[-5.0, -5.0, 400.0], [5.0, 5.0, 412.0]]


@pytest.fixture
def answered(place, tmp_path):
    """Return a client, the address of a study with one finding in C5, and its place."""
    place.teller.fractured = (Vertebra.C5,)
    place.parts.spool.take_folder(write_neck(tmp_path / "in"), "test")
    place.work()
    client = place.client(Role.OPERATOR)
    study = client.get("/api/studies").json()["studies"][0]["id"]
    return client, f"/api/studies/{study}/feedback", place


def _tables(client) -> tuple[list[str], list[str]]:
    answer = client.get("/api/feedback/labels.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = ("train.csv", "train_bounding_boxes.csv")
        train, boxes = (archive.read(name).decode().splitlines()[1:] for name in names)
    return train, boxes


@pytest.mark.parametrize(
    ("verdict", "labels", "boxed"),
    [
        ({"verdict": "confirm", "location": 0}, "1,0,0,0,0,1,0,0", True),
        ({"verdict": "reject", "location": 0}, "0,0,0,0,0,0,0,0", False),
        ({"verdict": "redraw", "location": 0, "box_lps_mm": BOX}, "1,0,0,0,0,1,0,0", True),
    ],
)
def test_an_answer_becomes_a_label(answered, verdict, labels, boxed):
    client, url, _ = answered
    assert _tables(client) == ([], [])
    assert client.post(url, json={"vertebra": "C5"} | verdict).status_code == 201
    train, boxes = _tables(client)
    assert train == [f"{ROOT_UID}.1,{labels}"]
    assert bool(boxes) is boxed


def test_the_last_word_counts_and_the_first_is_kept_with_who_and_when(answered):
    client, url, place = answered
    for verdict in ("confirm", "reject"):
        place.clock.now += 10
        client.post(url, json={"vertebra": "C5", "location": 0, "verdict": verdict})
    said = client.get(url).json()
    assert [(one["verdict"], one["actor"]) for one in said] == [("confirm", "key:test"), ("reject", "key:test")]
    assert said[1]["at"] - said[0]["at"] == 10
    assert _tables(client)[0][0].endswith("0,0,0,0,0,0,0,0")


def test_a_missed_fracture_is_a_label_of_its_level(answered):
    client, url, _ = answered
    client.post(url, json={"vertebra": "C5", "location": 0, "verdict": "reject"})
    client.post(url, json={"vertebra": "C2", "verdict": "present"})
    assert _tables(client)[0] == [f"{ROOT_UID}.1,1,0,1,0,0,0,0,0"]


def test_agreement_is_counted_by_day(answered):
    client, url, place = answered
    client.post(url, json={"vertebra": "C5", "location": 0, "verdict": "confirm"})
    (day,) = client.get("/api/feedback/agreement").json()
    assert (day["confirm"], day["redraw"], day["reject"], day["answered"]) == (1, 0, 0, 1)
    assert place.clock.now - 86400 < day["day"] <= place.clock.now


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"vertebra": "C9", "verdict": "present"}, "no level 'C9'"),
        ({"vertebra": "C5", "location": 3, "verdict": "confirm"}, "C5 has 1 locations; there is no number 3"),
        ({"vertebra": "C5", "verdict": "confirm"}, "a level is not said to be confirm"),
        ({"vertebra": "C5", "location": 0, "verdict": "redraw"}, "a box belongs to the verdict redraw"),
        ({"vertebra": "C5", "location": 0, "verdict": "redraw", "box_lps_mm": BOX[::-1]}, "inverted box"),
    ],
)
def test_an_impossible_answer_is_refused(answered, said, message):
    client, url, _ = answered
    answer = client.post(url, json=said)
    assert answer.status_code == 422
    assert message in answer.json()["error"]["message"]


def test_a_box_beside_the_image_gives_no_row():
    affine = [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    slices = {"shape": [3, 10, 10], "affine": affine, "instance_numbers": [7, None, 9]}
    inside = [[2.0, 3.0, 0.0], [4.0, 6.0, 2.0]]
    assert box_cells(slices, inside) == [("2.50000", "3.50000", "2.00000", "3.00000", n) for n in (7, 9)]
    assert box_cells(slices, [[20.0, 3.0, 0.0], [24.0, 6.0, 2.0]]) == []


def test_a_note_has_a_limit():
    with pytest.raises(InputError, match="2001 characters"):
        Opinion("C1", None, Verdict.PRESENT, note="x" * 2001)
    assert Opinion("C1", None, Verdict.REDRAW, WorldBox((0, 0, 0), (1, 1, 1))).verdict is Verdict.REDRAW
