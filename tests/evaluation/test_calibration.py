"""Calibration by hand where it can be, and on scores whose true probabilities are known."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from cspine.evaluation import (
    IsotonicCalibration,
    LogitCalibration,
    choose_calibration,
    fit_isotonic,
    fit_logistic,
    fit_temperature,
    read_calibration,
)

N = 6000


def _drawn(temperature: float = 1.0, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and labels drawn with sigmoid(logit / temperature + offset)."""
    rng = np.random.default_rng(3)
    z = rng.normal(0, 3, N)
    return z, (rng.random(N) < expit(z / temperature + offset)).astype(int)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature: float):
    assert fit_temperature(*_drawn(temperature)).temperature == pytest.approx(temperature, rel=0.06)


def test_two_scores_of_opposite_sign_have_a_temperature_by_hand():
    """Three of four agree with the sign of a score of ±2: p = 3/4, so T = 2 / ln 3."""
    z, y = np.array([2.0, 2, 2, 2, -2, -2, -2, -2]), np.array([1, 1, 1, 0, 0, 0, 0, 1])
    assert fit_temperature(z, y).temperature == pytest.approx(2 / np.log(3), rel=1e-4)


def test_temperature_and_offset_are_found_together():
    found = fit_logistic(*_drawn(2.0, -1.0))
    assert found.temperature == pytest.approx(2.0, rel=0.08)
    assert found.offset == pytest.approx(-1.0, abs=0.12)


def test_a_separable_set_ends_at_the_limit_instead_of_in_certainty():
    found = fit_temperature(np.array([-1.0, -0.5, 0.5, 1.0]), np.array([0, 0, 1, 1]))
    assert found.temperature == pytest.approx(0.05, rel=1e-3)


def test_isotonic_pools_adjacent_violators_by_hand():
    """Labels 0 1 0 1 1 over rising scores pool to 0, ½, ½, 1, 1; ends stay 1/7 away from certainty."""
    found = fit_isotonic(np.arange(5.0), np.array([0, 1, 0, 1, 1]))
    assert found.probability(np.arange(5.0)) == pytest.approx([1 / 7, 0.5, 0.5, 6 / 7, 6 / 7])
    assert found.probability(np.array([-9.0, 0.5, 9.0])) == pytest.approx([1 / 7, (1 / 7 + 0.5) / 2, 6 / 7])


def test_equal_scores_are_one_point():
    found = fit_isotonic(np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0]), np.array([0, 1, 1, 1, 0, 1]))
    assert found == IsotonicCalibration((0.0, 1.0), (0.5, 0.75))


def test_isotonic_never_falls_and_keeps_few_points():
    z, y = _drawn()
    found = fit_isotonic(z, y)
    assert (np.diff(found.probability(np.linspace(-12, 12, 500))) >= 0).all()
    assert len(found.logits) < N / 20


@pytest.mark.parametrize("fit", [fit_temperature, fit_logistic, fit_isotonic])
def test_what_is_not_assessed_changes_no_fit_and_stays_not_assessed(fit):
    z, y = _drawn()
    holes = np.insert(z, [0, 100], np.nan), np.insert(y, [0, 100], [1, 0])
    made = fit(*holes)
    assert made == fit(z, y)
    assert np.isnan(made.probability(np.array([np.nan, 0.0]))).tolist() == [True, False]


@pytest.mark.parametrize("made", [LogitCalibration(1.7, -0.2), fit_isotonic(np.arange(5.0), np.array([0, 1, 0, 1, 1]))])
def test_plain_numbers_give_the_same_calibration_back(made):
    assert read_calibration(json.loads(json.dumps(made.document()))) == made


def test_scores_that_bend_get_a_polygon_and_straight_ones_a_temperature():
    rng = np.random.default_rng(0)
    z, y = _drawn(1.5)
    groups = np.arange(N) // 7
    assert choose_calibration(z, y, groups, rng) == fit_temperature(z, y)
    bent = (rng.random(N) < np.where(z > 2, 0.9, 0.1)).astype(int)
    assert isinstance(choose_calibration(z, bent, groups, rng), IsotonicCalibration)


def test_calibration_does_not_change_the_loss_of_calibrated_scores():
    z, y = _drawn()
    p = fit_isotonic(z, y).probability(z)
    loss = -np.mean(np.where(y == 1, np.log(p), np.log(1 - p)))
    true = -np.mean(np.where(y == 1, np.log(expit(z)), np.log(1 - expit(z))))
    assert loss == pytest.approx(true, abs=0.01)
    assert logit(0.5) == 0


@pytest.mark.parametrize(
    ("z", "y", "message"),
    [
        ([0.0, 1.0], [1, 1], "needs both classes; of 2 scores 2 are positive"),
        ([0.0, 1.0], [0, 2], "labels must be 0 or 1"),
        ([0.0, np.inf], [0, 1], "a logit is infinite"),
        ([0.0], [0, 1], r"logits \(1,\) and labels \(2,\)"),
        ([np.nan, 1.0], [0, 1], "of 1 scores 1 are positive"),
    ],
)
def test_an_impossible_tuning_set_is_refused(z, y, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(np.array(z), np.array(y))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogitCalibration(0.0), "temperature 0.0 must be above 0"),
        (lambda: IsotonicCalibration((), ()), "0 logits and 0 probabilities"),
        (lambda: IsotonicCalibration((1.0, 0.0), (0.1, 0.2)), "must rise"),
        (lambda: IsotonicCalibration((0.0, 1.0), (0.3, 0.2)), "must not fall"),
        (lambda: read_calibration({"kind": "beta"}), "kind 'beta'; known are 'logit' and 'isotonic'"),
    ],
)
def test_an_impossible_calibration_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
