"""The job boundary catches every error and nothing else."""

import pytest

from cspine.workflow import Done, Failed, attempt


def test_a_job_that_ends_well_gives_its_value():
    ended = attempt(lambda: 7)
    assert isinstance(ended, Done)
    assert ended.value == 7


def test_an_error_is_kept_with_the_place_where_it_happened():
    def broken_job():
        raise ZeroDivisionError("no slices")

    ended = attempt(broken_job)
    assert isinstance(ended, Failed)
    assert isinstance(ended.error, ZeroDivisionError)
    assert "broken_job" in ended.trace
    assert "ZeroDivisionError: no slices" in ended.trace


@pytest.mark.parametrize("leaving", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_leave_is_no_error(leaving):
    def job():
        raise leaving

    with pytest.raises(leaving):
        attempt(job)
