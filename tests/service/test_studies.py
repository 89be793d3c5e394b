"""The worklist stands in the order of urgency, and a new version of a study takes the place of the old one."""

import pytest

from cspine.dicom import StudyHeader
from cspine.domain import Decision, NotFound
from cspine.service import Failure, JobState, Urgency, urgency
from cspine.service.studies import ANALYZE, NewStudy, Result


def _add(place, name: str, uid: str = "") -> str:
    identity = name.ljust(32, "0")
    place.clock.now += 1
    place.parts.book.add(NewStudy(identity, uid, "u", StudyHeader(), 1), "bundle")
    return identity


def _end(place, decision: Decision | None, failure: str = "") -> None:
    job = place.parts.queue.claim("w", (ANALYZE,))
    if failure:
        place.parts.queue.refuse(job, Failure("NoImages", failure))
        return
    result = Result(decision, None, False, "results/1")
    place.parts.queue.succeed(job, lambda c: place.parts.book.set_result(c, job.subject, result))


@pytest.mark.parametrize(
    ("state", "decision", "place_in_list"),
    [
        (JobState.DONE, Decision.RULE_IN, Urgency.RULE_IN),
        (JobState.DONE, Decision.UNCERTAIN, Urgency.NEEDS_A_LOOK),
        (JobState.DONE, Decision.NOT_ASSESSED, Urgency.NEEDS_A_LOOK),
        (JobState.REFUSED, None, Urgency.NEEDS_A_LOOK),
        (JobState.FAILED, None, Urgency.NEEDS_A_LOOK),
        (JobState.FAILED, Decision.RULE_OUT, Urgency.NEEDS_A_LOOK),
        (JobState.QUEUED, None, Urgency.PENDING),
        (JobState.RUNNING, Decision.RULE_IN, Urgency.RULE_IN),
        (JobState.DONE, Decision.RULE_OUT, Urgency.RULE_OUT),
    ],
)
def test_what_is_not_known_never_stands_below_what_is_ruled_out(state, decision, place_in_list):
    assert urgency(state, decision) is place_in_list


def test_the_urgent_come_first_and_then_who_waits_longest(place):
    names = [_add(place, name) for name in ("a", "b", "c", "d", "e")]
    for decision, failure in (
        (Decision.RULE_OUT, ""),
        (Decision.RULE_IN, ""),
        (None, "no neck"),
        (Decision.UNCERTAIN, ""),
    ):
        _end(place, decision, failure)
    order = [row["id"] for row in place.parts.book.worklist()]
    assert order == [names[k] for k in (1, 2, 3, 4, 0)]
    assert place.parts.book.row(names[2])["error"] == "no neck"


def test_a_newer_version_of_a_study_supersedes_the_older_one(place):
    old, new = _add(place, "a", "1.2.3"), _add(place, "b", "1.2.3")
    assert [row["id"] for row in place.parts.book.worklist()] == [new]
    assert place.parts.book.row(old)["superseded_by"] == new
    assert [row["id"] for row in place.parts.book.versions("1.2.3")] == [new, old]


def test_the_same_content_again_changes_nothing(place):
    _add(place, "a", "1.2.3")
    again = NewStudy("a".ljust(32, "0"), "1.2.3", "later", StudyHeader(), 1)
    assert not place.parts.book.add(again, "bundle")
    assert len(place.parts.book.worklist()) == 1


def test_studies_without_a_uid_never_supersede_each_other(place):
    _add(place, "a"), _add(place, "b")
    assert len(place.parts.book.worklist()) == 2


def test_a_study_that_is_not_there_is_named(place):
    with pytest.raises(NotFound, match="no study 'x'"):
        place.parts.book.row("x")
