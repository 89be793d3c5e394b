"""Body and arch named differently: the name is called uncertain, with the figure."""

import numpy as np
import pytest

from cspine.domain import FlagCode, Grid, Vertebra
from cspine.pipeline import CoarseMaps, DecodeSpec, RefinedVertebra
from cspine.pipeline.aggregate import level_flags
from cspine.pipeline.agree import name_support

GRID = Grid.from_axes((20, 20, 20), (3.0, 3.0, 3.0))


def refined(confidence: float = 0.99) -> RefinedVertebra:
    fine = GRID.at_spacing((1.5, 1.5, 1.5))
    logit = np.full(fine.shape, -5.0, dtype=np.float32)
    logit[14:22, 10:30, 10:30] = 5.0
    return RefinedVertebra(Vertebra.C5, fine, logit, np.zeros(3), 1.0, confidence)


def maps(back: Vertebra) -> CoarseMaps:
    seg = np.zeros((12, *GRID.shape), dtype=np.float32)
    seg[Vertebra.C5, :, :10] = 1.0
    seg[back, :, 10:] = 1.0
    return CoarseMaps(GRID, seg, np.zeros((9, *GRID.shape), dtype=np.float32))


def test_full_agreement_is_one() -> None:
    assert name_support([refined()], maps(Vertebra.C5)) == {Vertebra.C5: pytest.approx(1.0)}


def test_an_arch_with_another_name_halves_the_agreement() -> None:
    assert name_support([refined()], maps(Vertebra.C6))[Vertebra.C5] == pytest.approx(0.5, abs=0.06)


def test_a_segmentation_that_sees_nothing_says_nothing_against_the_name() -> None:
    empty = CoarseMaps(GRID, np.zeros((12, *GRID.shape)), np.zeros((9, *GRID.shape)))
    assert name_support([refined()], empty)[Vertebra.C5] == 1.0


def test_agreement_and_confidence_above_their_limits_raise_no_flag() -> None:
    assert level_flags([refined()], {Vertebra.C5: 0.9}, DecodeSpec()) == ()


@pytest.mark.parametrize(
    ("confidence", "support", "words"),
    [(0.4, 0.9, r"lowest confidence 40%, limit 60%"), (0.99, 0.2, r"agreement 20%, limit 30%")],
)
def test_a_doubtful_name_is_flagged_with_its_figure(confidence: float, support: float, words: str) -> None:
    (flag,) = level_flags([refined(confidence)], {Vertebra.C5: support}, DecodeSpec())
    assert flag.code is FlagCode.LEVEL_UNCERTAIN
    assert flag.vertebrae == (Vertebra.C5,)
    assert words in flag.message
    assert "C5" in flag.message
