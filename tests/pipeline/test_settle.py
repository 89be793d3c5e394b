"""Centers of one neck that are settled together."""

import numpy as np
import pytest

from cspine.domain import Vertebra
from cspine.pipeline.chain import NEIGHBOR_MM
from cspine.pipeline.settle import Centers, settle
from cspine.pipeline.spec import SettleSpec

SPEC = SettleSpec(place_back_mm=(0.0,) * 8)


def straight(size: float = 1.0) -> Centers:
    """Return C1 … T1 of a straight neck, head up, whose neighbors stand as far apart as those of a person."""
    heights = -np.concatenate([[0.0], np.cumsum(NEIGHBOR_MM[:7])]) * size
    return {Vertebra(k + 1): np.array([0.0, 0.0, z]) for k, z in enumerate(heights)}


def moved(centers: Centers, vertebra: Vertebra, by_mm: tuple[float, float, float]) -> Centers:
    return {v: c + np.array(by_mm) * (v is vertebra) for v, c in centers.items()}


def test_a_usual_neck_stays_where_both_networks_see_it() -> None:
    true = straight()
    settled = settle(true, true, SPEC)
    assert max(np.linalg.norm(settled[v] - true[v]) for v in true) < 0.01


@pytest.mark.parametrize("size", [0.85, 1.15])
def test_a_small_or_large_neck_is_not_pulled_to_the_mean(size: float) -> None:
    true = straight(size)
    settled = settle(true, true, SPEC)
    assert max(np.linalg.norm(settled[v] - true[v]) for v in true) < 1.0


def test_a_center_that_slid_onto_its_neighbor_comes_back() -> None:
    """The per-vertebra network puts C5 nine millimeters too high, 7 mm below C4; both networks' mean is 4.5 mm off."""
    true = straight()
    settled = settle(true, moved(true, Vertebra.C5, (0, 0, 9)), SPEC)
    assert np.linalg.norm(settled[Vertebra.C5] - true[Vertebra.C5]) < 2.5
    assert 12 < np.linalg.norm(settled[Vertebra.C4] - settled[Vertebra.C5]) < 26


def test_what_is_wrong_to_the_front_is_halved_not_hidden() -> None:
    """Spacing says nothing of a place in front of the others: only the two networks do."""
    true = straight()
    settled = settle(true, moved(true, Vertebra.C1, (0, -6, 0)), SPEC)
    assert settled[Vertebra.C1][1] == pytest.approx(-3.0, abs=1.2)


def test_neighbors_in_name_alone_are_not_pulled_together() -> None:
    """C3 is missing: C2 and C4 are no neighbors, and stay."""
    true = {v: c for v, c in straight().items() if v is not Vertebra.C3}
    settled = settle(true, true, SPEC)
    assert max(np.linalg.norm(settled[v] - true[v]) for v in true) < 0.6


def test_where_the_whole_volume_network_is_known_to_be_off_it_is_corrected() -> None:
    """It sees C2 3.5 mm too far to the back, where its dens is, and says so everywhere else."""
    true, spec = straight(), SettleSpec(place_back_mm=(0.0, 3.5, *(0.0,) * 6))
    settled = settle(moved(true, Vertebra.C2, (0, 3.5, 0)), true, spec)
    assert max(np.linalg.norm(settled[v] - true[v]) for v in true) < 0.01


def test_one_vertebra_lies_between_what_both_saw_and_none_is_none() -> None:
    seen, outlined = np.array([0.0, 2.0, 4.0]), np.array([2.0, 2.0, 0.0])
    assert settle({Vertebra.C4: seen}, {Vertebra.C4: outlined}, SPEC)[Vertebra.C4] == pytest.approx([1.0, 2.0, 2.0])
    assert settle({}, {}, SPEC) == {}
