"""Boxes: each true one is met once, and precision and sensitivity are counted from the surest found one on."""

import numpy as np
import pytest

from cspine.evaluation import match_slice_boxes, meet_by_center, meet_by_overlap

NONE = np.zeros((0, 4))


def test_overlap_is_intersection_over_union():
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    truth = np.array([[0.0, 5.0, 10.0, 15.0], [0.0, 0.0, 10.0, 10.0]])
    assert meet_by_overlap(0.0)(boxes, truth) == pytest.approx(np.array([[1 / 3, 1.0], [0.0, 0.0]]))
    assert meet_by_overlap(0.5)(boxes, truth) == pytest.approx(np.array([[0.0, 1.0], [0.0, 0.0]]))


def test_a_true_box_is_met_once_by_the_surest_box():
    truth = [np.array([[0.0, 0.0, 10.0, 10.0]]), NONE]
    found = [
        (np.array([0.6, 0.9]), np.array([[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 10.0, 10.0]])),
        (np.array([0.7]), np.array([[0.0, 0.0, 5.0, 5.0]])),
    ]
    matches = match_slice_boxes(found, truth, meet_by_overlap(0.5))
    assert matches.scores.tolist() == [0.9, 0.7, 0.6]
    assert matches.hits.tolist() == [True, False, False]
    assert (matches.truths, matches.slices) == (1, 2)
    assert matches.average_precision == 1.0
    assert matches.sensitivity_at(0.0) == 1.0


def test_average_precision_is_the_area_under_falling_precision():
    truth = [np.array([[0.0, 0.0, 10.0, 10.0]])] * 2
    miss, hit = np.array([[50.0, 50.0, 60.0, 60.0]]), np.array([[0.0, 0.0, 10.0, 10.0]])
    matches = match_slice_boxes([(np.array([0.9]), miss), (np.array([0.5]), hit)], truth, meet_by_overlap(0.5))
    assert matches.average_precision == pytest.approx(0.25)  # one of two found, at precision one half
    assert matches.sensitivity_at(0.0) == 0.0
    assert matches.sensitivity_at(0.5) == 0.5
    false, share = matches.curve()
    assert (false.tolist(), share.tolist()) == ([0.0, 0.5, 0.5], [0.0, 0.0, 0.5])


def test_a_box_whose_middle_lies_inside_meets_however_large_it_is():
    truth = np.array([[0.0, 0.0, 10.0, 10.0]])
    boxes = np.array([[-40.0, -40.0, 50.0, 50.0], [11.0, 11.0, 20.0, 20.0]])
    assert (meet_by_center(boxes, truth) > 0).ravel().tolist() == [True, False]


def test_without_true_boxes_nothing_can_be_found():
    matches = match_slice_boxes([(np.array([0.4]), np.array([[0.0, 0.0, 1.0, 1.0]]))], [NONE], meet_by_overlap(0.5))
    assert np.isnan(matches.average_precision)
    assert np.isnan(matches.sensitivity_at(1.0))
    empty = match_slice_boxes([(np.zeros(0), NONE)], [np.array([[0.0, 0.0, 1.0, 1.0]])], meet_by_overlap(0.5))
    assert (empty.average_precision, empty.sensitivity_at(1.0)) == (0.0, 0.0)
