"""Conformal thresholds by hand, and the errors that they promise on drawn scores."""

import json

import numpy as np
import pytest

from cspine.domain import Decision
from cspine.evaluation import ConformalRule, ErrorLevels, fit_rule, least_cases, read_rule

IN, OUT, DOUBT = Decision.RULE_IN, Decision.RULE_OUT, Decision.UNCERTAIN


def test_thresholds_by_hand():
    """Fractured ones at 1 … 9: at 20 % the second lowest is the limit. Others at −9 … 9: the highest at 5 %."""
    scores = np.array([*range(1, 10), *range(-9, 10)], dtype=float)
    labels = np.array([1] * 9 + [0] * 19)
    rule = fit_rule(scores, labels, ErrorLevels(miss=0.2, false_alarm=0.05))
    assert (rule.rule_out_below, rule.rule_in_above) == (2.0, 9.0)
    assert (rule.positives, rule.negatives) == (9, 19)
    assert rule.decide_all([1.9, 2.0, 9.0, 9.1]) == (OUT, DOUBT, DOUBT, IN)


def test_too_few_cases_allow_no_answer():
    rule = fit_rule(np.array([0.0, 1.0]), np.array([0, 1]), ErrorLevels(0.02, 0.05))
    assert (rule.rule_out_below, rule.rule_in_above) == (None, None)
    assert rule.decide_all([-1e9, 1e9]) == (DOUBT, DOUBT)


@pytest.mark.parametrize(("error", "least"), [(0.02, 49), (0.05, 19), (0.5, 1), (0.03, 33)])
def test_the_least_number_of_cases_is_the_first_that_allows_an_answer(error, least):
    assert least_cases(error) == least
    for count in (least - 1, least):
        rule = fit_rule(np.arange(count + 1.0), np.array([0] + [1] * count), ErrorLevels(error, 0.5))
        assert (rule.rule_out_below is None) == (count < least)


def test_a_score_too_odd_for_either_class_is_uncertain():
    """The limits may cross where classes lie far apart: what is below one and above the other fits nothing seen."""
    rule = ConformalRule(5.0, 1.0, ErrorLevels(), 100, 100)
    assert rule.decide_all([0.0, 3.0, 6.0]) == (OUT, DOUBT, IN)


def test_what_is_not_assessed_stays_so():
    assert ConformalRule(0.0, 1.0, ErrorLevels(), 9, 9).decide(float("nan")) is Decision.NOT_ASSESSED


def test_errors_of_new_cases_are_those_stated_at_any_prevalence():
    errors = ErrorLevels(0.05, 0.1)
    rng = np.random.default_rng(5)

    def drawn(n, share):
        y = (rng.random(n) < share).astype(int)
        return rng.normal(2.0 * y, 1.0), y

    wrong = np.zeros(2)
    for _ in range(60):
        rule = fit_rule(*drawn(400, 0.4), errors)
        scores, labels = drawn(1000, 0.05)
        said = np.array([rule.decide(s) for s in scores])
        wrong += (said[labels == 1] == OUT).mean(), (said[labels == 0] == IN).mean()
    miss, false = wrong / 60
    assert 0.04 < miss < 0.055
    assert 0.09 < false < 0.105


def test_plain_numbers_give_the_same_rule_back():
    for rule in (
        ConformalRule(None, 1.5, ErrorLevels(0.01, 0.2), 3, 99),
        ConformalRule(-1.0, None, ErrorLevels(), 1, 2),
    ):
        assert read_rule(json.loads(json.dumps(rule.document()))) == rule


def test_an_impossible_level_or_label_is_refused():
    with pytest.raises(ValueError, match="miss is 0"):
        ErrorLevels(miss=0)
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        fit_rule(np.zeros(2), np.array([0, 3]))


def test_a_score_that_differs_from_a_limit_in_its_last_digits_does_not_pass_it():
    """The limit of one tuning study that is added up alone: in another order than when the limit was read off."""
    rule = ConformalRule(12.65, -11.96029153392498, ErrorLevels(0.3, 0.3), 4, 4)
    assert rule.decide(-11.960291533924977) is Decision.RULE_OUT
    assert rule.decide(12.65 - 1e-14) is Decision.RULE_IN
    assert rule.decide(-11.96) is Decision.UNCERTAIN
