"""The challenge's loss: by hand on small cases, and on labels with the joint pattern counts of the 2,019 studies."""

from math import log

import numpy as np
import pytest

from cspine.evaluation import rsna_column_losses, rsna_log_loss, submitted_probability

NORMALIZATIONS = ("global", "column", "row")
# Studies by fractured levels. The counts by number of levels (1,058 none, 623 one …), the studies of each level and the
# correlations of neighbors are the published ones; among the joint counts that fit them these were drawn by chance.
PATTERNS = {
    "": 1058, "1": 63, "2": 167, "3": 24, "4": 33, "5": 37, "6": 84, "7": 215, "12": 37, "13": 1, "14": 1, "15": 1,
    "16": 2, "17": 9, "23": 6, "24": 2, "25": 2, "26": 9, "27": 22, "34": 10, "37": 3, "45": 17, "47": 2, "56": 33,
    "57": 6, "67": 76, "123": 5, "124": 1, "127": 4, "156": 2, "167": 4, "234": 3, "245": 2, "256": 4, "267": 5,
    "345": 4, "347": 1, "367": 2, "456": 9, "457": 1, "467": 1, "567": 16, "1234": 2, "1236": 1, "1256": 1, "1267": 1,
    "1467": 1, "1567": 5, "2345": 2, "2567": 3, "3456": 1, "3467": 1, "4567": 8, "12347": 1, "13456": 1, "23567": 2,
    "24567": 1, "34567": 2, "123456": 1, "124567": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Return labels (2019, 8)."""
    rows = [[bool(p), *(str(k) in p for k in range(1, 8))] for p, n in PATTERNS.items() for _ in range(n)]
    return np.array(rows, dtype=int)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_one_half_everywhere_scores_the_logarithm_of_two(normalization, seed):
    drawn = np.random.default_rng(seed).integers(0, 2, (9, 8))
    assert rsna_log_loss(drawn, np.full((9, 8), 0.5), normalization) == pytest.approx(log(2), abs=1e-12)


def test_two_studies_by_hand():
    """One study with a fracture of C2, one without any; 0.8 for what is true, but 0.4 for the fracture of C2."""
    truth = np.zeros((2, 8))
    truth[0, [0, 2]] = 1
    guess = np.where(truth == 1, 0.8, 0.2)
    guess[0, 2] = 0.4
    right, missed = -log(0.8), -log(0.4)
    # Weights: study 14 and 7, C2 2 and 1, the six other levels 1 each and all of them right.
    assert rsna_log_loss(truth, guess, "global") == pytest.approx(
        (14 * right + 2 * missed + 6 * right + 7 * right + 7 * right) / (14 + 2 + 6 + 7 + 7)
    )
    c2 = (2 * missed + right) / 3
    assert rsna_log_loss(truth, guess, "column") == pytest.approx((7 * right + c2 + 6 * right) / 14)
    first = (14 * right + 2 * missed + 6 * right) / 22
    assert rsna_log_loss(truth, guess, "row") == pytest.approx((first + right) / 2)
    np.testing.assert_allclose(rsna_column_losses(truth, guess), [right, right, c2, *[right] * 5])


def test_the_labels_have_the_published_counts(labels):
    assert labels.sum(axis=0).tolist() == [961, 145, 285, 73, 109, 162, 277, 393]
    assert np.bincount(labels[:, 1:].sum(axis=1)).tolist() == [1058, 623, 239, 64, 26, 7, 2]
    neighbors = np.corrcoef(labels[:, 1:].T).diagonal(1)
    np.testing.assert_allclose(neighbors, [0.19, 0.10, 0.30, 0.34, 0.36, 0.28], atol=0.01)


@pytest.mark.parametrize(
    ("normalization", "best", "raw", "tolerance"),
    [
        ("global", 0.5668, 0.6127, 5e-5),  # these two follow from the counts of each column alone
        ("column", 0.5496, 0.5932, 5e-5),
        ("row", 0.5757, 0.5638, 1e-4),  # joint counts matter in the fourth decimal
    ],
)
def test_constant_predictions_score_what_was_published(labels, normalization, best, raw, tolerance):
    prevalence = labels.mean(axis=0)
    constant = np.tile(submitted_probability(prevalence), (len(labels), 1))
    assert rsna_log_loss(labels, constant, normalization) == pytest.approx(best, abs=tolerance)
    assert rsna_log_loss(labels, np.tile(prevalence, (len(labels), 1)), normalization) == pytest.approx(
        raw, abs=tolerance
    )


def test_two_p_over_one_plus_p_is_the_best_constant(labels):
    best = submitted_probability(labels.mean(axis=0))
    least = rsna_log_loss(labels, np.tile(best, (len(labels), 1)))
    for factor in (0.97, 1.03):
        assert rsna_log_loss(labels, np.tile(best * factor, (len(labels), 1))) > least


def test_a_wrong_certainty_costs_much_but_not_infinitely_much():
    truth = np.zeros((1, 8))
    guess = np.zeros((1, 8))
    assert rsna_log_loss(truth, guess) == pytest.approx(0, abs=1e-12)
    guess[0, 3] = 1
    assert 30 / 14 < rsna_log_loss(truth, guess) < 36 / 14


@pytest.mark.parametrize(
    ("truth", "guess", "message"),
    [
        (np.zeros((2, 7)), np.zeros((2, 7)), r"\(2, 7\).*must both be \(studies, 8\)"),
        (np.zeros((2, 8)), np.zeros((3, 8)), r"\(3, 8\)"),
        (np.zeros((0, 8)), np.zeros((0, 8)), "no study"),
        (np.full((1, 8), 2), np.zeros((1, 8)), "label 2 in study 0, target 0"),
        (np.zeros((1, 8)), np.full((1, 8), np.nan), "probability nan in study 0, target 0"),
        (np.zeros((1, 8)), np.full((1, 8), -0.1), "probability -0.1"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_its_place(truth, guess, message):
    with pytest.raises(ValueError, match=message):
        rsna_log_loss(truth, guess)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="table"):
        rsna_log_loss(np.zeros((1, 8)), np.zeros((1, 8)), "table")
