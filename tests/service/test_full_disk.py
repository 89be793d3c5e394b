"""A disk that is full again and again loses no study, and reports none twice."""

import pytest

from tests.service.full_disk import fill_disk


@pytest.mark.slow
def test_a_disk_that_fills_at_random_moments_loses_nothing_and_reports_nothing_twice(tmp_path, require_program):
    require_program("unshare")
    counted = fill_disk(tmp_path, studies=6)
    assert counted.studies == counted.done == 6
    assert counted.refused + counted.tripped + counted.by_hand >= 3
    assert (counted.told_twice, counted.broken, counted.strays) == (0, 0, 0)
