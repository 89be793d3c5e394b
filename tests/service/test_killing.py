"""A worker that is killed at any moment loses nothing and reports nothing twice."""

import pytest

from tests.service.killing import kill_workers


@pytest.mark.slow
def test_killed_workers_lose_nothing_and_report_nothing_twice(tmp_path):
    counted = kill_workers(tmp_path, kills=6, studies=4)
    assert counted.kills == 6
    assert counted.restarts >= 5
    assert (counted.done, counted.told_twice, counted.broken, counted.strays) == (counted.studies, 0, 0, 0)
