"""ROC and precision by hand, ties, draws of studies, and DeLong against a permutation."""

import numpy as np
import pytest

from cspine.evaluation import Ranking, delong, resampled, roc_auc, study_draws

LABELS = np.array([1, 0, 1, 0, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.7, 0.1])
ONES = np.ones((1, 5))


def test_the_area_counts_pairs_and_ties_half():
    """Of six pairs 0.9 wins three; 0.7 loses one, ties one, wins one: 4.5 of 6."""
    assert roc_auc(LABELS, SCORES) == pytest.approx(4.5 / 6)


def test_average_precision_by_hand():
    """Precision at the first positive 1; at the tied second 2 of 4."""
    assert Ranking(LABELS, SCORES).average_precision(ONES)[0] == pytest.approx((1 + 0.5) / 2)


def test_the_curves_by_hand():
    roc = Ranking(LABELS, SCORES).roc()
    assert roc.x.tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])
    assert roc.y.tolist() == [0, 0.5, 0.5, 1, 1]
    assert roc.threshold.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.1]
    pr = Ranking(LABELS, SCORES).precision_recall()
    assert pr.y.tolist() == pytest.approx([1, 1, 0.5, 0.5, 0.4])


def test_sensitivity_and_specificity_at_fixed_points_by_hand():
    ranking = Ranking(LABELS, SCORES)
    assert ranking.sensitivity_at(1.0)(ONES)[0] == 0.5
    assert ranking.sensitivity_at(0.3)(ONES)[0] == 1.0
    assert ranking.specificity_at(0.9)(ONES)[0] == pytest.approx(1 / 3)
    assert ranking.threshold_for(specificity=0.6) == 0.8
    assert Ranking(np.array([0, 1]), np.array([1.0, 0.0])).threshold_for(specificity=0.9) == np.inf


def test_a_weight_of_two_is_a_row_twice():
    weights = np.array([[2, 1, 0, 3, 1]], dtype=float)
    rows = np.repeat(np.arange(5), weights[0].astype(int))
    for name in ("auc", "average_precision"):
        many = getattr(Ranking(LABELS[rows], SCORES[rows]), name)(np.ones((1, len(rows))))
        assert getattr(Ranking(LABELS, SCORES), name)(weights) == pytest.approx(many)


def test_one_class_alone_has_no_area():
    assert np.isnan(roc_auc(np.ones(3), np.arange(3.0)))
    assert np.isnan(Ranking(np.zeros(3), np.arange(3.0)).sensitivity_at(0.9)(np.ones((1, 3)))[0])


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [([1, 0], [0.1], r"\(2,\) and scores \(1,\)"), ([1, 2], [0.1, 0.2], "0 or 1"), ([1, 0], [np.nan, 0], "finite")],
)
def test_impossible_rows_are_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        Ranking(np.array(labels), np.array(scores))


def test_rows_of_one_study_are_drawn_together_and_widen_the_interval():
    """Every study four times over says nothing new: the interval by study is that of the single rows."""
    rng = np.random.default_rng(2)
    y = (rng.random(120) < 0.4).astype(int)
    s = rng.normal(y, 1.0)
    once = resampled(Ranking(y, s).auc, study_draws(np.arange(120), np.random.default_rng(0), 400))
    rows = np.repeat(np.arange(120), 4)
    again = resampled(Ranking(y[rows], s[rows]).auc, study_draws(rows, np.random.default_rng(0), 400))
    torn = resampled(Ranking(y[rows], s[rows]).auc, study_draws(np.arange(480), np.random.default_rng(0), 400))
    assert (again.value, again.low, again.high) == pytest.approx((once.value, once.low, once.high))
    assert torn.high - torn.low < 0.7 * (again.high - again.low)


def test_draws_give_every_study_its_share():
    drawn = study_draws(np.array([7, 7, 9]), np.random.default_rng(0), 500)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert set((drawn[:, 0] + drawn[:, 2]).tolist()) == {2}


def test_delong_by_hand_of_a_perfect_and_a_useless_score():
    y = np.array([1, 1, 0, 0])
    found = delong(y, np.array([4.0, 3, 2, 1]), np.zeros(4))
    assert (found.first.value, found.second.value, found.difference.value) == (1.0, 0.5, 0.5)
    assert np.isnan(found.p_value)  # neither score varies within a class


def test_delong_agrees_with_drawing_studies_anew():
    rng = np.random.default_rng(4)
    y = (rng.random(300) < 0.5).astype(int)
    a, b = rng.normal(1.6 * y, 1.0), rng.normal(0.9 * y, 1.0)
    found = delong(y, a, b)
    weights = study_draws(np.arange(300), rng, 800)
    drawn = resampled(lambda w: Ranking(y, a).auc(w) - Ranking(y, b).auc(w), weights)
    assert found.difference.value == pytest.approx(drawn.value)
    assert found.difference.low == pytest.approx(drawn.low, abs=0.015)
    assert found.difference.high == pytest.approx(drawn.high, abs=0.015)
    assert found.p_value < 0.05
    assert delong(y, a, a).difference.value == 0


def test_delong_refuses_a_class_of_one():
    with pytest.raises(ValueError, match="1 positive and 2 negative"):
        delong(np.array([1, 0, 0]), np.arange(3.0), np.arange(3.0))
