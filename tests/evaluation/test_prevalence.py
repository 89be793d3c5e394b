"""Prevalence moved by hand, and on drawn studies."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from cspine.domain import Vertebra
from cspine.evaluation import RSNA_PRIORS, Priors, priors_of, read_priors, shifted


def test_an_even_chance_becomes_the_prior_it_is_moved_to():
    assert float(shifted(np.array(0.5), 0.5, 0.05)) == pytest.approx(0.05)


def test_the_odds_are_multiplied_by_the_ratio_of_the_odds():
    """0.8 at 40 %: odds 4; ×(1/19)/(2/3) = 6/19."""
    assert float(shifted(np.array(0.8), 0.4, 0.05)) == pytest.approx(6 / 25)


def test_moving_there_and_back_changes_nothing():
    p = np.array([0.0, 1e-6, 0.3, 0.99, 1.0, np.nan])
    np.testing.assert_allclose(shifted(shifted(p, 0.476, 0.05), 0.05, 0.476), p, atol=1e-12)


def test_moved_probabilities_are_right_where_only_the_share_changes():
    """Scores of a Gaussian pair at 40 % are calibrated at 5 % after the shift."""
    rng = np.random.default_rng(1)
    y = rng.random(200_000) < 0.05
    z = rng.normal(np.where(y, 1.0, -1.0), 1.0)
    p = shifted(expit(2 * z + logit(0.4)), 0.4, 0.05)
    assert p.mean() == pytest.approx(y.mean(), abs=0.002)
    near = (p > 0.2) & (p < 0.4)
    assert y[near].mean() == pytest.approx(p[near].mean(), abs=0.03)


def test_levels_move_in_proportion_to_the_study():
    moved = RSNA_PRIORS.at(0.05)
    assert moved.study == 0.05
    assert moved.of(Vertebra.C2) == pytest.approx(0.141 * 0.05 / 0.476)


def test_priors_come_from_labels_and_are_never_certain():
    labels = np.zeros((9, 8))
    labels[:4, [0, 7]] = 1
    found = priors_of(labels)
    assert (found.study, found.levels[6], found.levels[0]) == pytest.approx((0.45, 0.45, 0.05))


def test_plain_numbers_give_the_same_priors_back():
    assert read_priors(json.loads(json.dumps(RSNA_PRIORS.document()))) == RSNA_PRIORS


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Priors(0.5, (0.1,) * 6), "6 priors of levels"),
        (lambda: Priors(0.5, (0.1,) * 6 + (0.0,)), "prior of C7 is 0.0"),
        (lambda: RSNA_PRIORS.at(1.0), "prevalence is 1.0"),
        (lambda: shifted(np.array(0.5), 0.0, 0.05), "must lie between 0 and 1"),
        (lambda: priors_of(np.zeros((3, 7))), r"labels \(3, 7\)"),
    ],
)
def test_impossible_priors_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
