"""Figures of yes-or-no answers, counted by hand."""

import numpy as np
import pytest

from cspine.evaluation import Confusion, best_threshold, confusion, risk_coverage

TRUTH = np.array([1, 1, 1, 0, 0, 0])
SAID = np.array([0.9, 0.6, 0.3, 0.5, 0.4, 0.1])


def test_answers_are_counted_and_a_probability_at_the_threshold_is_a_yes() -> None:
    assert confusion(TRUTH, SAID) == Confusion(tn=2, fp=1, fn=1, tp=2)
    assert confusion(TRUTH, SAID, 0.3) == Confusion(tn=1, fp=2, fn=0, tp=3)


def test_figures_follow_from_the_counts_and_carry_their_n() -> None:
    found = Confusion(tn=50, fp=10, fn=20, tp=20)
    assert found.accuracy().value == pytest.approx(0.7)
    assert found.precision().value == pytest.approx(2 / 3)
    assert found.recall().value == pytest.approx(0.5)
    assert found.recall().n == 40
    assert found.specificity().value == pytest.approx(5 / 6)
    f1 = found.f1(np.random.default_rng(0))
    assert f1.value == pytest.approx(4 / 7)
    assert 0.4 < f1.low < f1.value < f1.high < 0.75


def test_figures_without_their_denominator_are_not_numbers() -> None:
    empty = Confusion(tn=3, fp=0, fn=0, tp=0)
    assert np.isnan(empty.precision().value)
    assert np.isnan(empty.recall().value)
    assert np.isnan(empty.f1_value)


def test_the_best_threshold_has_the_highest_f1() -> None:
    assert best_threshold(TRUTH, SAID) == pytest.approx(0.55)  # F1 0.8; 0.75 at 0.2
    assert best_threshold(np.array([0, 1]), np.array([0.1, 0.9])) == 0.5
    assert best_threshold(np.zeros(3), np.array([0.2, 0.3, 0.4])) == 0.5


def test_withholding_the_least_certain_answers_lowers_the_risk_where_doubt_points_at_errors() -> None:
    truth, said = np.array([1, 1, 0, 0]), np.array([0.95, 0.45, 0.1, 0.2])
    found = risk_coverage(truth, said)
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(found.risk, [0, 0, 0, 0.25])
    assert found.area == pytest.approx(0.0625)
    assert risk_coverage(truth, np.array([0.55, 0.05, 0.4, 0.4])).area > found.area
