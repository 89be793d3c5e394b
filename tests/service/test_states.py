"""The table of job states: nothing happens that is not in it, and every job can end."""

import pytest

from cspine.domain import Conflict
from cspine.service import TRANSITIONS, JobEvent, JobState, next_state
from cspine.service.states import CLAIMABLE, ENDED


def test_what_is_not_in_the_table_cannot_happen():
    with pytest.raises(Conflict, match="a job that is done cannot claim; possible: nothing"):
        next_state(JobState.DONE, JobEvent.CLAIM)


def test_every_state_is_reached_from_the_first():
    reached = {JobState.QUEUED}
    for _ in JobState:
        reached |= {new for (old, _), new in TRANSITIONS.items() if old in reached}
    assert reached == set(JobState)


def test_only_a_person_wakes_a_job_that_has_ended_and_never_one_that_is_done():
    out = {(old, event) for old, event in TRANSITIONS if old in ENDED}
    assert out == {(JobState.REFUSED, JobEvent.RETRY), (JobState.FAILED, JobEvent.RETRY)}


def test_a_job_is_claimed_when_new_and_when_it_waits():
    assert set(CLAIMABLE) == {JobState.QUEUED, JobState.WAITING}
