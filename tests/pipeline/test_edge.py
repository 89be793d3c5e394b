"""What the ends of a scan allow."""

import numpy as np
import pytest

from cspine.domain import Grid, Vertebra
from cspine.pipeline.edge import REACH, held_by_edges, most_in_view
from cspine.pipeline.refine import RefinedVertebra

CANONICAL = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
# 50 slices of 2 mm: from z = +1 at the top face to −99 at the lowest.
FIELD = Grid.from_axes((50, 64, 64), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL)


def found(vertebra: Vertebra, z: float, visible: float = 1.0) -> RefinedVertebra:
    return RefinedVertebra(vertebra, FIELD, np.zeros((1, 1, 1)), np.array([30.0, 30.0, z]), visible, 0.9)


def names(refined: list[RefinedVertebra]) -> list[str]:
    return [r.vertebra.name for r in refined]


@pytest.mark.parametrize("vertebra", list(REACH))
def test_a_vertebra_in_the_middle_of_a_scan_can_be_seen_whole(vertebra: Vertebra) -> None:
    assert most_in_view(vertebra, np.array([30.0, 30.0, -49.0]), FIELD) == 1.0


def test_a_c2_whose_body_lies_in_the_first_slices_has_no_dens_in_view() -> None:
    """Two millimeters above its center are scanned, and 18 below: 20 of its 44."""
    assert most_in_view(Vertebra.C2, np.array([30.0, 30.0, -1.0]), FIELD) == pytest.approx(20 / 44)
    assert most_in_view(Vertebra.C2, np.array([30.0, 30.0, -17.0]), FIELD) == 1.0


def test_less_is_in_view_the_farther_a_center_lies_beyond_the_last_slice() -> None:
    shares = [most_in_view(Vertebra.C5, np.array([30.0, 30.0, z]), FIELD) for z in (-92, -96, -100, -106, -120)]
    assert shares[0] == 1.0
    assert shares[1:] == sorted(shares[1:], reverse=True)
    assert shares[-1] == 0.0


def test_what_the_outline_says_stands_where_anatomy_allows_more() -> None:
    (kept,) = held_by_edges([found(Vertebra.C4, -50, 0.6)], FIELD, 8.0)
    assert kept.visible_fraction == 0.6


def test_the_last_vertebra_is_not_found_again_beyond_the_scan() -> None:
    """C6 sits 5 mm below C5 and beyond the last slice: it is C5, a second time."""
    refined = [found(Vertebra.C4, -78), found(Vertebra.C5, -96, 0.8), found(Vertebra.C6, -101, 0.6)]
    kept = held_by_edges(refined, FIELD, 8.0)
    assert names(kept) == ["C4", "C5"]
    assert kept[1].visible_fraction < 0.8


def test_nor_is_the_first_one_above_it() -> None:
    refined = [found(Vertebra.C2, 4, 0.5), found(Vertebra.C3, -2, 0.9), found(Vertebra.C4, -20)]
    assert names(held_by_edges(refined, FIELD, 8.0)) == ["C3", "C4"]


def test_a_neighbor_at_its_own_distance_beyond_the_scan_stays() -> None:
    refined = [found(Vertebra.C4, -88), found(Vertebra.C5, -102, 0.3)]
    assert names(held_by_edges(refined, FIELD, 8.0)) == ["C4", "C5"]


def test_close_neighbors_within_the_scan_are_left_to_the_reader() -> None:
    """Two bodies 7 mm apart in view may be one block with a fracture: neither is taken away."""
    refined = [found(Vertebra.C4, -40), found(Vertebra.C5, -47)]
    assert names(held_by_edges(refined, FIELD, 8.0)) == ["C4", "C5"]
