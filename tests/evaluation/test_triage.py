"""Studies with drawn vertebra scores: what the head, the probabilities and the decisions must be."""

import json

import numpy as np
import pytest
from scipy.special import logit

from cspine.domain import Decision
from cspine.evaluation import (
    ErrorLevels,
    StudyHead,
    Triage,
    fit_study_head,
    fit_triage,
    head_against_noisy_or,
    noisy_or,
    read_study_head,
    read_triage,
    study_decision,
)

IN, OUT, DOUBT, NONE = Decision.RULE_IN, Decision.RULE_OUT, Decision.UNCERTAIN, Decision.NOT_ASSESSED
STUDIES = 900


def _weighted_loss(y: np.ndarray, q: np.ndarray) -> float:
    weight = np.where(y == 1, 2.0, 1.0)
    return float((weight * -np.where(y == 1, np.log(q), np.log(1 - q))).sum() / weight.sum())


def drawn(seed: int, studies: int = STUDIES) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (S, 7), too sure by a factor of 2, and labels (S, 8); one level in eight is broken."""
    rng = np.random.default_rng(seed)
    y = (rng.random((studies, 7)) < 0.12).astype(int)
    z = 2 * (3.0 * rng.normal(y - 0.5, 0.45) + logit(0.12))
    return z, np.column_stack([y.any(axis=1).astype(int), y])


@pytest.fixture(scope="module")
def triage() -> Triage:
    errors = ErrorLevels(0.05, 0.05)
    return fit_triage(*drawn(0), "drawn", level_errors=errors, study_errors=errors)


def test_noisy_or_by_hand_and_without_what_is_not_assessed():
    p = np.array([[0.5, 0.2, np.nan], [np.nan] * 3, [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(noisy_or(p), [0.6, np.nan, 0.0])


def test_the_head_only_looks_at_the_order_of_scores():
    head = StudyHead((1.0, 0.5, 0, 0, 0, 0, 0), -0.3, (-2.0,) * 7)
    one = np.array([3.0, -1, -1, -1, 1, -1, -1])
    assert head.score(one) == head.score(one[::-1]) == pytest.approx(3 + 0.5 - 0.3)
    q = float(head.submitted(one))
    assert float(head.probability(one)) == pytest.approx(q / (2 - q))


def test_a_level_not_assessed_counts_with_its_prior_and_none_at_all_is_not_assessed():
    head = StudyHead((1.0, 0, 0, 0, 0, 0, 0), 0.0, (-2.0,) * 7)
    assert head.score(np.array([np.nan, *[-5.0] * 6])) == -2.0
    assert np.isnan(head.score(np.full(7, np.nan)))


def test_the_head_beats_noisy_or_where_levels_are_too_sure_and_studies_new():
    z, y = drawn(0)
    head = fit_study_head(z, y[:, 0], np.full(7, logit(0.12)))
    new, truth = drawn(1)
    joined = noisy_or(1 / (1 + np.exp(-new)))
    assert _weighted_loss(truth[:, 0], head.submitted(new)) < _weighted_loss(truth[:, 0], 2 * joined / (1 + joined))


def test_the_gain_over_noisy_or_has_an_interval_on_new_studies(triage):
    z, y = drawn(21, 1500)
    found = head_against_noisy_or(triage, z, y[:, 0], np.random.default_rng(0))
    joined = noisy_or(triage.calibration.probability(z))
    assert found.noisy_or.value == pytest.approx(_weighted_loss(y[:, 0], 2 * joined / (1 + joined)))
    assert found.difference.value == pytest.approx(found.head.value - found.noisy_or.value)
    assert found.difference.low <= found.difference.value <= found.difference.high
    with pytest.raises(ValueError, match="must be"):
        head_against_noisy_or(triage, z, y, np.random.default_rng(0))


def test_a_higher_score_of_a_vertebra_never_lowers_the_study():
    z, y = drawn(2)
    head = fit_study_head(z, y[:, 0], np.full(7, -2.0))
    assert min(head.weights) >= 0
    assert (head.score(z + np.eye(7)[3]) >= head.score(z)).all()


def test_probabilities_are_calibrated_on_new_studies_for_levels_and_study(triage):
    z, y = drawn(7, 4000)
    p = triage.probabilities(z)
    assert p.shape == (4000, 8)
    for column in (0, 3):
        high, true = p[:, column] > 0.3, y[:, column]
        assert p[:, column].mean() == pytest.approx(true.mean(), abs=0.025)
        assert p[high, column].mean() == pytest.approx(true[high].mean(), abs=0.06)


def test_another_prevalence_moves_probabilities_and_no_decision(triage):
    z, _ = drawn(4, 40)
    for row in z:
        here, there = triage.answer(row), triage.answer(row, prevalence=0.05)
        assert there.study < here.study
        assert (there.study_decision, there.level_decisions) == (here.study_decision, here.level_decisions)


def test_new_studies_are_missed_no_more_often_than_stated(triage):
    z, y = drawn(11, 3000)
    said = [triage.answer(row) for row in z]
    levels = np.array([[d is OUT for d in a.level_decisions] for a in said])
    assert levels[y[:, 1:] == 1].mean() <= 0.06
    assert np.array([a.study_decision is OUT for a in said])[y[:, 0] == 1].mean() <= 0.06
    assert levels[y[:, 1:] == 0].mean() > 0.5  # it does not buy that with silence


def test_a_study_agrees_with_its_levels():
    assert study_decision(OUT, (OUT,) * 7) is OUT
    assert study_decision(OUT, (OUT,) * 6 + (NONE,)) is DOUBT
    assert study_decision(OUT, (OUT,) * 6 + (IN,)) is IN
    assert study_decision(DOUBT, (OUT,) * 7) is DOUBT
    assert study_decision(IN, (DOUBT,) * 7) is IN
    assert study_decision(IN, (NONE,) * 7) is NONE


def test_levels_not_assessed_have_no_probability(triage):
    row = drawn(4, 1)[0][0]
    row[[0, 6]] = np.nan
    said = triage.answer(row)
    assert [p is None for p in said.levels] == [True, False, False, False, False, False, True]
    assert said.level_decisions[0] is NONE
    assert said.study is not None
    nothing = triage.answer(np.full(7, np.nan))
    assert (nothing.study, nothing.study_decision) == (None, NONE)


def test_plain_numbers_give_the_same_triage_back(triage):
    document = json.loads(json.dumps(triage.document(), allow_nan=False))
    assert read_triage(document) == triage
    assert read_study_head(document["head"]) == triage.head


def test_a_level_with_too_few_fractures_shares_the_rule_of_all():
    z, y = drawn(0)
    y[:, 3] = 0
    made = fit_triage(z, y, "drawn", level_errors=ErrorLevels(0.02, 0.05))
    assert made.level_rules[2].positives == int(y[:, 1:].sum())
    assert made.level_rules[0].positives == int(y[:, 1].sum())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: read_triage({}), "triage is not as it must be: KeyError"),
        (lambda t: fit_triage(np.zeros((3, 7)), np.zeros((3, 7)), "x"), r"labels \(3, 7\)"),
        (lambda t: fit_study_head(np.zeros((3, 7)), np.zeros(3), np.zeros(7)), "of 3 studies 0 are positive"),
        (lambda t: StudyHead((-1.0, *[0.0] * 6), 0.0, (0.0,) * 7), "weight -1.0 is below 0"),
    ],
)
def test_impossible_values_are_refused(triage, make, message):
    with pytest.raises(ValueError, match=message):
        make(triage)


def test_no_scan_without_a_fracture_of_another_kind_is_ruled_in(triage: Triage):
    errors = ErrorLevels(0.05, 0.05)
    strange, y = drawn(1)
    strange = np.where(y[:, 1:] == 1, np.nan, strange)[:80] + 4  # a kind of scan that looks broken more often

    def accused(one: Triage) -> int:
        return sum(
            Decision.RULE_IN in (a.study_decision, *a.level_decisions) for a in (one.answer(z, 0.05) for z in strange)
        )

    made = fit_triage(*drawn(0), "drawn", level_errors=errors, study_errors=errors, whole=strange)
    assert accused(triage) > 20
    assert accused(made) == 0
    for mine, other in zip((*made.level_rules, made.study_rule), (*triage.level_rules, triage.study_rule), strict=True):
        assert mine.rule_out_below == other.rule_out_below
    assert made.document() | {"level_rules": 0, "study_rule": 0} == triage.document() | {
        "level_rules": 0,
        "study_rule": 0,
    }
    easy = fit_triage(*drawn(0), "drawn", level_errors=errors, study_errors=errors, whole=strange - 50)
    assert easy.document() == triage.document()
    with pytest.raises(ValueError, match=r"\(7,\) must be \(scans, 7\)"):
        fit_triage(*drawn(0), "drawn", whole=strange[0])
