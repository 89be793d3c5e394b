"""What the inbox says that it keeps is kept, once, in bounds, across crashes."""

import os
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from cspine.dicom import body_offset, is_uid
from cspine.domain import NoImages, Rejected, Unreachable
from cspine.stores import Delivery, Inbox, InboxLimits, Kept, ReceivedStudy
from tests.stores.objects import as_file, ct_dataset, ct_file

FREE = InboxLimits(free_bytes=0)


class Clock:
    """Seconds that move when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(tmp_path: Path, clock: Clock) -> Inbox:
    return Inbox(tmp_path / "inbox", FREE, clock)


def _files(study: ReceivedStudy) -> dict[str, bytes]:
    files = [path.read_bytes() for path in study.folder.iterdir()]
    return {pydicom.dcmread(BytesIO(one)).SOPInstanceUID: one for one in files}


def _sealed(inbox: Inbox, uid: str) -> ReceivedStudy:
    study = inbox.seal(uid)
    assert study is not None
    return study


def test_a_study_is_complete_when_nothing_has_arrived_for_the_quiet_time(inbox, clock):
    inbox.put(ct_file("1.2.3", 1))
    clock.now += 20
    inbox.put(ct_file("1.2.3", 2))
    clock.now += 29
    assert inbox.quiet(30) == []
    clock.now += 1
    assert inbox.quiet(30) == ["1.2.3"]
    study = _sealed(inbox, "1.2.3")
    assert (study.version, study.objects) == (1, 2)
    assert _files(study) == {f"1.2.3.1.{k}": ct_file("1.2.3", k) for k in (1, 2)}
    assert inbox.quiet(30) == []


def test_names_in_the_inbox_are_ours_whatever_the_object_says(inbox, tmp_path):
    for number, uid in enumerate(("1.2.3", "1." + "9" * 50)):
        inbox.put(ct_file(uid, number))
        inbox.seal(uid)
    parts = {p for path in inbox.folder.rglob("*.dcm") for p in path.relative_to(inbox.folder).parts}
    assert not [part for part in parts if "1.2.3" in part or "999" in part or ".." in part]


@pytest.mark.parametrize("uid", ["../../../etc", "1.2/3.444444", "1.2.*.444444", "1.2 .3333333", "1.2..3333333"])
def test_an_object_whose_uids_are_none_is_refused_and_nothing_stays(inbox, uid):
    content = ct_file("1.2.33333333", 1)
    before = b"\x20\x00\x0d\x00UI\x0c\x00"
    assert before + b"1.2.33333333" in content
    with pytest.raises(NoImages, match=r"StudyInstanceUID is .*, which is no UID"):
        inbox.put(content.replace(before + b"1.2.33333333", before + uid.encode()))
    assert [path for path in inbox.folder.rglob("*") if path.is_file()] == []


def test_a_uid_has_at_most_sixty_four_characters():
    assert is_uid("1." * 31 + "12")
    assert not is_uid("1" * 65)
    assert not is_uid("")


@pytest.mark.parametrize("content", [b"", b"<html>", b"\0" * 128 + b"DICM", ct_file("1.2.3", 1)[:300]])
def test_what_is_no_object_is_refused_and_nothing_stays(inbox, content):
    with pytest.raises(NoImages):
        inbox.put(content)
    assert [path for path in inbox.folder.rglob("*") if path.is_file()] == []


def test_another_object_than_announced_is_refused(inbox):
    with pytest.raises(NoImages, match=r"the object is 1\.2\.3\.1\.1, 1\.2\.3\.1\.2 was announced"):
        inbox.put(ct_file("1.2.3", 1), "1.2.3.1.2")


def test_the_same_study_sent_twice_is_one_version_even_through_another_hop(inbox, clock):
    inbox.put(ct_file("1.2.3", 1))
    clock.now += 60
    _sealed(inbox, "1.2.3")
    dataset = ct_dataset("1.2.3", 1)
    dataset.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    assert inbox.put(as_file(dataset)) is Kept.REPEATED
    clock.now += 60
    assert inbox.quiet(30) == []
    assert inbox.seal("1.2.3") is None


def test_changed_pixels_make_a_new_version_and_the_old_one_stays_as_it_was(inbox):
    inbox.put(ct_file("1.2.3", 1))
    first = _sealed(inbox, "1.2.3")
    assert inbox.put(ct_file("1.2.3", 1, value=7)) is Kept.CHANGED
    second = _sealed(inbox, "1.2.3")
    assert (second.version, second.objects) == (2, 1)
    assert second.digest != first.digest
    assert _files(first) == {"1.2.3.1.1": ct_file("1.2.3", 1)}
    assert _files(second) == {"1.2.3.1.1": ct_file("1.2.3", 1, value=7)}


def test_late_slices_make_a_version_that_holds_everything(inbox):
    inbox.put(ct_file("1.2.3", 1))
    _sealed(inbox, "1.2.3")
    inbox.put(ct_file("1.2.3", 2))
    assert set(_files(_sealed(inbox, "1.2.3"))) == {"1.2.3.1.1", "1.2.3.1.2"}


def test_after_a_restart_everything_is_there_and_what_nobody_took_over_is_told_again(inbox, clock, tmp_path):
    for number in (1, 2):
        inbox.put(ct_file("1.2.3", number))
    taken = _sealed(inbox, "1.2.3")
    inbox.mark_told(taken)
    inbox.put(ct_file("1.2.4", 1))
    lost = _sealed(inbox, "1.2.4")
    inbox.put(ct_file("1.2.5", 1))
    again = Inbox(inbox.folder, FREE, clock)
    assert again.untold() == [lost]
    assert again.quiet(0) == ["1.2.5"]
    assert again.put(ct_file("1.2.3", 1)) is Kept.REPEATED
    again.put(ct_file("1.2.3", 3))
    assert _sealed(again, "1.2.3").version == 2


def test_what_a_crash_left_half_made_is_removed(inbox, clock):
    inbox.put(ct_file("1.2.3", 1))
    study = _sealed(inbox, "1.2.3")
    (inbox.folder / "incoming" / ".half").write_bytes(b"x")
    half = study.folder.parent.parent / ".half" / "images"
    half.mkdir(parents=True)
    again = Inbox(inbox.folder, FREE, clock)
    assert not list(again.folder.rglob(".*"))
    assert again.untold() == [study]


def test_of_two_contents_of_one_object_that_a_crash_left_the_later_one_counts(inbox, clock):
    inbox.put(ct_file("1.2.3", 1))
    (before,) = (inbox.folder / "incoming").rglob("*.dcm")
    old = before.read_bytes()
    inbox.put(ct_file("1.2.3", 1, value=7))
    before.write_bytes(old)
    os.utime(before, (1, 1))
    study = _sealed(Inbox(inbox.folder, FREE, clock), "1.2.3")
    assert _files(study) == {"1.2.3.1.1": ct_file("1.2.3", 1, value=7)}


def test_limits_are_kept_and_named(tmp_path):
    size = len(ct_file("1.2.3", 1))
    with pytest.raises(Rejected, match=rf"an object of {size} bytes; at most 100") as caught:
        Inbox(tmp_path / "a", InboxLimits(free_bytes=0, object_bytes=100)).put(ct_file("1.2.3", 1))
    assert caught.value.status == "limit"
    few = Inbox(tmp_path / "b", InboxLimits(free_bytes=0, total_bytes=2 * size, objects_per_study=1))
    few.put(ct_file("1.2.3", 1))
    with pytest.raises(Rejected, match=r"study 1\.2\.3 has 1 objects; at most 1 are taken"):
        few.put(ct_file("1.2.3", 2))
    few.put(ct_file("1.2.4", 1))
    with pytest.raises(Rejected, match=rf"holds {2 * size} bytes, at most {2 * size} are kept"):
        few.put(ct_file("1.2.5", 1))
    with pytest.raises(Rejected, match="bytes are free on the disk") as caught:
        Inbox(tmp_path / "c", InboxLimits(free_bytes=2**60)).put(ct_file("1.2.3", 1))
    assert caught.value.status == "ENOSPC"


def test_forgetting_frees_the_room_and_spares_what_nobody_took_over(tmp_path, clock):
    size = len(ct_file("1.2.3", 1))
    inbox = Inbox(tmp_path, InboxLimits(free_bytes=0, total_bytes=2 * size), clock)
    inbox.put(ct_file("1.2.3", 1))
    inbox.put(ct_file("1.2.4", 1))
    inbox.mark_told(_sealed(inbox, "1.2.3"))
    _sealed(inbox, "1.2.4")
    assert inbox.forget_before(1.0) == []
    assert inbox.forget_before(1e12) == ["1.2.3"]
    assert inbox.put(ct_file("1.2.5", 1)) is Kept.NEW
    assert [study.study_uid for study in inbox.untold()] == ["1.2.4"]


def test_a_folder_that_cannot_be_made_is_unreachable(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unreachable, match=r"file.*cannot be written"):
        Inbox(tmp_path / "file")


def test_a_deflated_object_is_not_taken(inbox):
    dataset = ct_dataset("1.2.3", 1)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    with pytest.raises(NoImages, match="deflated"):
        inbox.put(as_file(dataset))


def test_a_study_is_handed_over_once_and_again_only_when_the_other_side_was_not_ready(inbox, clock):
    calls: list[ReceivedStudy] = []
    sentences: list[str] = []

    def take_over(study: ReceivedStudy) -> None:
        calls.append(study)
        if len(calls) == 1:
            raise Unreachable("the table of jobs is locked")

    delivery = Delivery(inbox, 30, take_over, retry_s=5, report=sentences.append)
    inbox.put(ct_file("1.2.3", 1))
    delivery.step(0)
    assert calls == []
    clock.now += 30
    for now_s in (1, 2, 6.5, 7):
        delivery.step(now_s)
    assert [study.study_uid for study in calls] == ["1.2.3", "1.2.3"]
    assert sentences == ["the table of jobs is locked; tried again in 5 s"]
    assert inbox.untold() == []


def test_a_mistake_of_the_other_side_comes_through_and_the_study_stays(inbox, clock):
    def broken(study: ReceivedStudy) -> None:
        raise ZeroDivisionError

    inbox.put(ct_file("1.2.3", 1))
    clock.now += 30
    with pytest.raises(ZeroDivisionError):
        Delivery(inbox, 30, broken).step(0)
    assert len(inbox.untold()) == 1


def test_studies_are_forgotten_after_their_time(inbox, clock):
    inbox.put(ct_file("1.2.3", 1))
    clock.now += 30
    Delivery(inbox, 30, lambda study: None, keep_s=-1).step(0)
    assert [path for path in inbox.folder.rglob("*") if path.is_file()] == []


def test_the_data_set_begins_behind_the_file_meta_information():
    content = ct_file("1.2.3", 1)
    body = content[body_offset(content) :]
    assert body[:4] == b"\x08\x00\x16\x00"
    assert body_offset(b"short") == 0
    assert isinstance(pydicom.dcmread(BytesIO(body), force=True), Dataset)
