"""Boxes by hand: widening, overlap, linking along the neck, matching one to one, and the curve."""

import numpy as np
import pytest

from cspine.domain import Decision, Vertebra, WorldBox
from cspine.evaluation import (
    FoundBox,
    FreeResponse,
    Hit,
    StudyAnswer,
    StudyTruth,
    TrueBox,
    around,
    at_least,
    corners,
    linked_in_z,
    match_boxes,
    overlaps,
)

C2, C5, T1 = Vertebra.C2, Vertebra.C5, Vertebra.T1


def cube(x: float, side: float = 10.0, y: float = 0.0, z: float = 0.0) -> WorldBox:
    """Return a box that begins at x, y, z."""
    return WorldBox((x, y, z), (x + side, y + side, z + side))


def found(
    x: float, p: float, level: Vertebra = C2, decision: Decision = Decision.RULE_IN, side: float = 10
) -> FoundBox:
    return FoundBox(p, cube(x, side), level, decision)


def truth(*boxes: TrueBox, uid: str = "a") -> StudyTruth:
    levels = {b.vertebra for b in boxes if b.counted}
    return StudyTruth(uid, (int(bool(levels)), *(int(Vertebra(k) in levels) for k in range(1, 8))), boxes)


def answer(*boxes: FoundBox, uid: str = "a") -> StudyAnswer:
    return StudyAnswer(uid, (0.5,) * 8, (Decision.UNCERTAIN,) * 8, boxes=boxes)


def test_overlap_by_hand():
    assert overlaps(corners([cube(0)]), corners([cube(5), cube(10), cube(0)])).tolist() == [
        pytest.approx([500 / 1500, 0, 1])
    ]


def test_a_thin_box_is_widened_round_its_center():
    thin = corners([WorldBox((0, 0, 0), (1, 10, 0))])
    assert at_least(thin)[0].tolist() == [[-2, 0, -2.5], [3, 10, 2.5]]


def test_a_line_of_a_tenth_of_a_millimeter_is_met_by_one_beside_it():
    line, beside = WorldBox((0, 0, 0), (0.1, 20, 20)), WorldBox((2, 0, 0), (2.1, 20, 20))
    (one,) = match_boxes([FoundBox(0.9, beside, C2, Decision.RULE_IN)], [TrueBox(line, C2)], Hit.OVERLAP)
    assert one.true == 0


def test_boxes_of_slices_are_joined_along_z_and_not_within_one_slice():
    """Three slices with one lost between them, and a second fracture beside it on two of them."""
    slices = [WorldBox((x, 0, z), (x + 10, 10, z + 1)) for x, z in [(0, 0), (1, 1), (2, 3), (30, 0), (31, 1), (0, 40)]]
    assert linked_in_z(slices, gap_mm=1.0) == [[2, 1, 0], [4, 3], [5]]
    assert linked_in_z(slices, gap_mm=0.5) == [[1, 0], [2], [4, 3], [5]]
    assert around([slices[k] for k in (2, 1, 0)]) == WorldBox((0, 0, 0), (12, 10, 4))
    assert linked_in_z([], 1.0) == []


def test_each_true_box_is_met_once_by_the_surest():
    boxes = [found(0, 0.4), found(1, 0.9), found(100, 0.8)]
    matched = match_boxes(boxes, [TrueBox(cube(0), C2)], Hit.OVERLAP)
    assert [(m.found.probability, m.true) for m in matched] == [(0.9, 0), (0.8, None), (0.4, None)]


def test_the_two_kinds_of_hit_differ():
    """A box of 20 mm round one of 10 mm: 1000 / 8000 is too little, the center lies inside."""
    big, small = found(-5, 0.9, side=20), TrueBox(WorldBox((0, -1, -1), (10, 15, 15)), C2)
    assert match_boxes([big], [small], Hit.CENTER)[0].true == 0
    far = TrueBox(WorldBox((6, 6, 6), (11, 11, 11)), C2)
    assert [match_boxes([big], [far], hit)[0].true for hit in Hit] == [None, None]


def test_a_box_on_a_fracture_that_does_not_count_is_neither_right_nor_wrong():
    true = [TrueBox(cube(0), T1, counted=False), TrueBox(cube(8), C5)]
    assert match_boxes([found(0, 0.9)], true, Hit.OVERLAP) == ()
    assert match_boxes([found(5, 0.9)], true, Hit.OVERLAP)[0].true == 1


@pytest.fixture
def boxes() -> FreeResponse:
    """Return four studies: two true boxes found, one missed; three false boxes, one of them in a fractured study."""
    truths = [
        truth(TrueBox(cube(0), C2), TrueBox(cube(50), C5), uid="a"),
        truth(TrueBox(cube(0), C2), uid="b"),
        truth(uid="c"),
        truth(uid="d"),
        StudyTruth("e", (1, 0, 0, 0, 0, 0, 0, 1), None),
    ]
    doubt = Decision.UNCERTAIN
    answers = [
        answer(found(0, 0.9), found(200, 0.3, C5, doubt), uid="a"),
        answer(found(1, 0.6, C5), uid="b"),
        answer(found(0, 0.7), found(90, 0.2, C2, doubt), uid="c"),
        answer(uid="d"),
        answer(found(0, 0.99), uid="e"),
    ]
    return FreeResponse(truths, answers, Hit.OVERLAP)


def test_the_curve_by_hand(boxes):
    false, sensitivity, threshold = boxes.curve()
    assert boxes.studies == 4
    assert false.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.75]
    assert sensitivity.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert threshold.tolist() == [np.inf, 0.9, 0.7, 0.6, 0.3, 0.2]


def test_sensitivity_at_false_boxes_per_study_by_hand(boxes):
    ones = np.ones((1, 4))
    at = [boxes.sensitivity_at(f)(ones)[0] for f in (0.1, 0.25, 1.0)]
    assert at == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert boxes.threshold_for(0.25) == 0.6
    assert np.isnan(boxes.sensitivity_at(1.0)(np.array([[0.0, 0, 4, 0]]))[0])


def test_precision_at_a_point_and_at_another_prevalence_by_hand(boxes):
    """Ruled in: two right, one false in an intact study. At 10 % fractured: right 2·(.1/.5), false 1·(.9/.5)."""
    weights = np.ones((3, 4))
    chosen = boxes.ruled_in()
    assert boxes.precision(weights, chosen).value == pytest.approx(2 / 3)
    assert boxes.precision(weights, chosen, 0.1).value == pytest.approx(0.4 / (0.4 + 1.8))
    assert boxes.precision(weights, boxes.above(0.0)).value == pytest.approx(2 / 5)
    assert boxes.sensitivity(weights, chosen).value == pytest.approx(2 / 3)
    assert boxes.false_per_study(weights, chosen).value == pytest.approx(1 / 4)


def test_the_level_is_judged_on_right_boxes_only(boxes):
    level = boxes.level_right(np.ones((2, 4)))
    assert (level.value, level.n) == (0.5, 2)


def test_no_box_at_all_has_no_precision_and_finds_nothing():
    boxes = FreeResponse([truth(TrueBox(cube(0), C2))], [answer()], Hit.CENTER)
    assert boxes.sensitivity_at(1.0)(np.ones((1, 1)))[0] == 0
    assert np.isnan(boxes.precision(np.ones((2, 1)), np.zeros(0, dtype=bool)).value)
