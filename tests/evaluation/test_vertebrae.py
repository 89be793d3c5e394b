"""Scores of hand-made cases with known answers."""

import numpy as np
import pytest

from cspine.domain import (
    CERVICAL,
    Analysis,
    Decision,
    Findings,
    Flag,
    FlagCode,
    Grid,
    GroundTruth,
    LabelMap,
    Vertebra,
    VertebraFinding,
    VertebraTruth,
)
from cspine.evaluation import dice, score_case, summarize

GRID = Grid.from_axes((80, 10, 10), (2.0, 2.0, 2.0))
Place = tuple[float, float, float]


def center(vertebra: Vertebra) -> Place:
    return 0.0, 0.0, -20.0 * vertebra


def labels(shift: int = 0) -> LabelMap:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    for vertebra in CERVICAL:
        start = 10 * vertebra + shift
        array[start : start + 6] = vertebra
    return LabelMap(GRID, array)


def truth(visible: dict[Vertebra, float]) -> GroundTruth:
    return GroundTruth(tuple(VertebraTruth(v, center(v), f) for v, f in visible.items()))


def analysis(reported: dict[Vertebra, Place], unsure: tuple[Vertebra, ...] = (), shift: int = 0) -> Analysis:
    found = tuple(
        VertebraFinding(v, None, Decision.NOT_ASSESSED, float(v in reported), center_lps_mm=reported.get(v))
        for v in CERVICAL
    )
    flags = (Flag(FlagCode.LEVEL_UNCERTAIN, "count", unsure),) if unsure else ()
    return Analysis(Findings(None, Decision.NOT_ASSESSED, found, flags, "id", "name", "test"), labels(shift))


WHOLE = dict.fromkeys(CERVICAL, 1.0)
RIGHT = {v: center(v) for v in CERVICAL}


def test_a_perfect_answer_is_entirely_right() -> None:
    score = score_case("a", "all", truth(WHOLE), labels(), analysis(RIGHT))
    assert score.right
    assert not score.silently_wrong
    assert all(v.dice == 1.0 and v.center_error_mm == 0.0 for v in score.vertebrae)


def test_names_shifted_by_one_level_are_all_wrong_and_silent() -> None:
    shifted = {v: center(Vertebra(v - 1)) for v in CERVICAL if v > Vertebra.C1}
    score = score_case("a", "all", truth(WHOLE), labels(), analysis(shifted))
    assert not score.right
    assert score.silently_wrong
    assert sum(v.right for v in score.vertebrae) == 0


def test_a_warning_makes_a_wrong_name_not_silent() -> None:
    shifted = {v: center(Vertebra(v - 1)) for v in CERVICAL if v > Vertebra.C1}
    score = score_case("a", "all", truth(WHOLE), labels(), analysis(shifted, unsure=CERVICAL))
    assert not score.right
    assert not score.silently_wrong
    assert score.flagged


def test_a_vertebra_that_is_not_in_view_is_invented() -> None:
    seen = {v: 1.0 for v in CERVICAL if v <= Vertebra.C4}
    score = score_case("a", "all", truth(seen), labels(), analysis(RIGHT))
    assert [v.vertebra for v in score.vertebrae if v.invented] == [Vertebra.C5, Vertebra.C6, Vertebra.C7]
    assert not score.right


def test_a_cut_vertebra_counts_neither_for_nor_against() -> None:
    seen = WHOLE | {Vertebra.C7: 0.5}
    reported = {v: c for v, c in RIGHT.items() if v is not Vertebra.C7}
    score = score_case("a", "all", truth(seen), labels(), analysis(reported))
    assert score.right
    assert score.vertebrae[6].dice is None


def test_a_refused_neck_has_no_right_vertebra() -> None:
    score = score_case("a", "all", truth(WHOLE), labels(), None)
    assert score.refused
    assert not score.right
    assert all(v.dice == 0.0 for v in score.vertebrae)


def test_the_summary_counts_vertebrae_and_cases() -> None:
    good = score_case("a", "all", truth(WHOLE), labels(), analysis(RIGHT))
    half = score_case("b", "all", truth(WHOLE), labels(), analysis({v: c for v, c in RIGHT.items() if v <= 3}))
    found = summarize([good, half], "all", np.random.default_rng(0))
    assert found.named.value == pytest.approx(10 / 14)
    assert found.cases_right.value == 0.5
    assert found.named.n == 14


def test_dice_of_half_overlapping_boxes() -> None:
    a, b = np.zeros((2, 4)), np.zeros((2, 4))
    a[:, :2], b[:, 1:3] = 1, 1
    assert dice(a.astype(bool), b.astype(bool)) == 0.5
