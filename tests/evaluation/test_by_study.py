"""Figures of slices: the same as by hand, with intervals that know that slices of one study are alike."""

import numpy as np
import pytest

from cspine.evaluation import confusion, figures_by_study, wilson


def test_the_figures_are_those_of_the_counts():
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    p = np.array([0.9, 0.8, 0.2, 0.7, 0.1, 0.1, 0.2, 0.3])
    found = figures_by_study(truth, p, list("aabbccdd"), np.random.default_rng(0))
    counts = confusion(truth, p)
    assert found["accuracy"].value == pytest.approx(6 / 8)
    assert found["precision"].value == pytest.approx(counts.precision().value)
    assert found["recall"].value == pytest.approx(2 / 3)
    assert found["specificity"].value == pytest.approx(4 / 5)
    assert found["f1"].value == pytest.approx(counts.f1_value)
    assert found["auc"].value == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a in p[:3] for b in p[3:]]))
    assert all(e.low <= e.value <= e.high and e.n == 8 for e in found.values())


def test_intervals_of_few_studies_are_wider_than_those_of_as_many_free_answers():
    rng = np.random.default_rng(3)
    truth = np.repeat(rng.integers(0, 2, 12), 30)
    right = np.repeat(rng.uniform(size=12) < 0.7, 30)
    p = np.where(right, truth, 1 - truth) * 0.8 + 0.1
    grouped = figures_by_study(truth, p, [f"{k // 30}" for k in range(360)], np.random.default_rng(0))["accuracy"]
    free = figures_by_study(truth, p, [f"{k}" for k in range(360)], np.random.default_rng(0))["accuracy"]
    assert grouped.value == free.value
    assert grouped.high - grouped.low > 3 * (free.high - free.low)


def test_a_share_of_one_has_an_interval_that_knows_how_few_studies_there_are():
    truth = np.repeat([1, 0, 1, 0], 10)
    found = figures_by_study(truth, truth * 0.9, [f"{k // 10}" for k in range(40)], np.random.default_rng(0))
    assert found["accuracy"].value == found["recall"].value == 1.0
    assert found["accuracy"].low == pytest.approx(wilson(4, 4).low)
    assert found["recall"].low == pytest.approx(wilson(2, 2).low)


def test_without_positives_there_is_nothing_to_rank_and_lengths_must_agree():
    found = figures_by_study(np.zeros(4), np.linspace(0, 1, 4), list("aabb"), np.random.default_rng(0))
    assert np.isnan(found["auc"].value)
    assert np.isnan(found["recall"].value)
    with pytest.raises(ValueError, match="2 truths, 1 answers, 2 studies"):
        figures_by_study(np.ones(2), np.ones(1), ["a", "b"], np.random.default_rng(0))
