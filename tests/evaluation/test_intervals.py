"""Intervals against published and analytic values."""

import numpy as np
import pytest

from cspine.evaluation import bootstrap_ci, wilson


def test_wilson_agrees_with_the_published_example() -> None:
    # Newcombe, Stat Med 1998;17:857, table I, method 3: 81 of 263 → .2553 to .3662
    found = wilson(81, 263)
    assert found.low == pytest.approx(0.2553, abs=1e-4)
    assert found.high == pytest.approx(0.3662, abs=1e-4)


def test_wilson_stays_within_0_and_1_at_the_ends() -> None:
    assert 0.999 < wilson(10, 10).high <= 1.0
    assert 0.0 <= wilson(0, 10).low < 0.001
    assert np.isnan(wilson(0, 0).value)


def test_the_bootstrap_interval_of_a_mean_matches_the_normal_one() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    found = bootstrap_ci([[v] for v in values], np.random.default_rng(0))
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.05)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05)


def test_values_of_one_case_are_not_independent() -> None:
    rng = np.random.default_rng(1)
    cases = [[float(rng.normal())] * 7 for _ in range(60)]
    grouped = bootstrap_ci(cases, np.random.default_rng(0))
    single = bootstrap_ci([[v] for case in cases for v in case], np.random.default_rng(0))
    assert grouped.high - grouped.low > 2 * (single.high - single.low)
