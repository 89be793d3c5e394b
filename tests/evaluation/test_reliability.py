"""Calibration figures by hand, and on probabilities that are too sure by a known factor."""

import numpy as np
import pytest
from scipy.special import expit, logit

from cspine.evaluation import Reliability

ONES = np.ones((1, 4))
BY_HAND = Reliability(np.array([0, 0, 1, 1]), np.array([0.1, 0.1, 0.6, 0.6]), bins=2)


def test_bins_of_equal_mass_by_hand():
    low, high = BY_HAND.bins()
    assert (low.predicted, low.observed.value, low.observed.n) == (0.1, 0.0, 2)
    assert (high.predicted, high.observed.value, high.observed.n) == (0.6, 1.0, 2)


def test_errors_by_hand():
    assert BY_HAND.ece(ONES)[0] == pytest.approx((0.1 + 0.4) / 2)
    assert BY_HAND.brier(ONES)[0] == pytest.approx((0.01 + 0.16) / 2)
    assert BY_HAND.brier_skill(ONES)[0] == pytest.approx(1 - 0.085 / 0.25)


def test_equal_probabilities_are_never_torn_into_two_bins():
    bins = Reliability(np.array([0, 1] * 50), np.full(100, 0.5)).bins()
    assert [(b.predicted, b.observed.n) for b in bins] == [(0.5, 100)]


def test_ten_bins_hold_a_tenth_each():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    assert [b.observed.n for b in Reliability((p > 0.5).astype(int), p).bins()] == [50] * 10


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 0.0), (2.0, 0.0), (1.0, 0.7), (0.5, -0.4)])
def test_slope_and_intercept_undo_what_was_done_to_the_logits(factor, shift):
    rng = np.random.default_rng(9)
    z = rng.normal(0, 2, 12_000)
    y = (rng.random(z.size) < expit(z)).astype(int)
    found = Reliability(y, expit(factor * z + shift))
    weights = np.ones((1, z.size))
    assert found.slope(weights)[0] == pytest.approx(1 / factor, rel=0.07)
    if factor == 1.0:
        assert found.intercept(weights)[0] == pytest.approx(-shift, abs=0.06)


def test_the_constant_that_is_the_share_has_no_skill_and_no_intercept():
    y = np.array([1, 0, 0, 0] * 10)
    found = Reliability(y, np.full(40, 0.25))
    assert found.brier_skill(np.ones((1, 40)))[0] == pytest.approx(0)
    assert found.intercept(np.ones((1, 40)))[0] == pytest.approx(0, abs=1e-9)
    assert Reliability(y, np.full(40, 0.5)).intercept(np.ones((1, 40)))[0] == pytest.approx(logit(0.25))


def test_classes_apart_have_no_slope_and_one_class_has_no_intercept():
    apart = Reliability(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))
    assert np.isnan(apart.slope(ONES)[0])
    assert np.isnan(Reliability(np.zeros(4), np.full(4, 0.2)).intercept(ONES)[0])


def test_weights_are_repeated_rows():
    y, p = np.array([0, 1, 0, 1]), np.array([0.2, 0.3, 0.6, 0.9])
    weights, rows = np.array([[1, 3, 2, 1]], dtype=float), [0, 1, 1, 1, 2, 2, 3]
    for name in ("slope", "intercept", "brier", "brier_skill"):
        many = getattr(Reliability(y[rows], p[rows]), name)(np.ones((1, 7)))
        assert getattr(Reliability(y, p), name)(weights) == pytest.approx(many)


def test_impossible_values_are_refused():
    with pytest.raises(ValueError, match="probabilities 0 … 1"):
        Reliability(np.zeros(1), np.array([1.2]))
    with pytest.raises(ValueError, match="must both be"):
        Reliability(np.zeros(1), np.zeros(2))
