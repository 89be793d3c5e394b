"""Naming: one consistent chain, names by evidence and spacing, and nothing where nothing is."""

from collections.abc import Sequence

import numpy as np
import pytest

from cspine.domain import Vertebra
from cspine.pipeline import NEIGHBOR_MM, DecodeSpec, NamedCenter, Places, name_places

SPEC = DecodeSpec()
STEP_MM = 2.0
DEPTH_MM = np.concatenate([[0.0], np.cumsum(NEIGHBOR_MM), NEIGHBOR_MM.sum() + 21.9 * np.arange(1, 4)])


def ridge(
    names: Sequence[int], *, size: float = 1.0, sharp: float = 0.85, shift: Sequence[float] = (), low: float = 0.0
) -> Places:
    """Return a straight ridge that is hot at vertebrae (name index) and says their names with `sharp` certainty.

    `shift` spreads the rest of the heat over the names that many levels away.
    """
    depth = DEPTH_MM * size
    z = np.arange(depth[names[0]] - 14, depth[names[-1]] + 14, STEP_MM)
    evidence = np.full((len(z), 9), low)
    for name in names:
        bump = np.exp(-0.5 * ((z - depth[name]) / 5.0) ** 2)
        evidence[:, min(name, 8)] += sharp * bump
        for away in shift:
            other = int(np.clip(name + away, 0, 8))
            evidence[:, other] += (0.9 - sharp) / len(shift) * bump
    centers = np.column_stack([np.zeros_like(z), np.zeros_like(z), -z])
    kept = evidence.sum(axis=1) > SPEC.place_min
    return Places(centers[kept], evidence[kept], STEP_MM)


def names(found: list[NamedCenter]) -> list[str]:
    return [n.vertebra.name for n in found]


def test_a_whole_neck_is_named_from_c1_to_t1() -> None:
    found = name_places(ridge(range(8)), SPEC)
    assert names(found) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1"]
    for n in found:
        assert abs(-n.center_lps_mm[2] - DEPTH_MM[n.vertebra - 1]) <= 3.0


@pytest.mark.parametrize("first", range(7))
def test_a_part_of_the_neck_gets_its_own_names_and_no_more(first: int) -> None:
    found = name_places(ridge([first, first + 1]), SPEC)
    assert names(found) == [Vertebra(first + 1).name, Vertebra(first + 2).name]


def test_the_thoracic_class_may_repeat() -> None:
    assert names(name_places(ridge(range(6, 11)), SPEC)) == ["C7", "T1", "T2", "T2", "T2"]


@pytest.mark.parametrize("size", [0.85, 1.15])
def test_small_and_large_people_have_the_same_number_of_vertebrae(size: float) -> None:
    found = name_places(ridge(range(8), size=size), SPEC)
    assert names(found) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1"]
    assert abs(-found[-1].center_lps_mm[2] - DEPTH_MM[7] * size) <= 4.0


def test_names_that_are_spread_over_neighbors_are_counted_from_the_ends() -> None:
    places = ridge(range(8), sharp=0.4, shift=(-1, 1))
    sure = ridge(range(8))
    for k in (0, 7):
        near = np.abs(-places.centers_lps_mm[:, 2] - DEPTH_MM[k]) < 6
        places.evidence[near] = sure.evidence[np.abs(-sure.centers_lps_mm[:, 2] - DEPTH_MM[k]) < 6]
    assert names(name_places(places, SPEC)) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1"]


def test_one_wrong_vote_is_overruled_by_its_neighbors() -> None:
    places = ridge(range(1, 7))
    near = np.abs(-places.centers_lps_mm[:, 2] - DEPTH_MM[4]) < 8
    places.evidence[near] = np.roll(places.evidence[near], 1, axis=1)
    assert names(name_places(places, SPEC)) == ["C2", "C3", "C4", "C5", "C6", "C7"]


def test_a_vertebra_with_hardly_any_heat_between_two_others_becomes_a_question() -> None:
    places = ridge(range(1, 7), low=0.015)
    near = np.abs(-places.centers_lps_mm[:, 2] - DEPTH_MM[3]) < 9
    places.evidence[near] *= 0.15
    found = name_places(places, SPEC)
    assert names(found) == ["C2", "C3", "C4", "C5", "C6", "C7"]
    (asked,) = [n for n in found if n.inferred]
    assert asked.vertebra is Vertebra.C4


def test_without_places_there_are_no_names() -> None:
    assert name_places(Places(np.zeros((0, 3)), np.zeros((0, 9)), STEP_MM), SPEC) == []


def test_faint_heat_of_no_particular_name_is_no_vertebra() -> None:
    places = ridge([3], sharp=0.0)
    z = np.arange(0, 60, STEP_MM)
    faint = Places(np.column_stack([0 * z, 0 * z, -z]), np.full((len(z), 9), 0.012), STEP_MM)
    assert len(places) == 0
    assert name_places(faint, SPEC) == []


def test_evidence_between_two_names_lowers_the_confidence() -> None:
    sure = name_places(ridge(range(2, 6)), SPEC)
    unsure = name_places(ridge(range(2, 6), sharp=0.46, shift=(1,)), SPEC)
    assert min(n.confidence for n in sure) > 0.9
    assert max(n.confidence for n in unsure) < 0.8


def test_marginals_are_probabilities() -> None:
    for places in (ridge(range(8)), ridge([3, 4], sharp=0.3, shift=(-1, 1))):
        assert all(0 < n.confidence <= 1 for n in name_places(places, SPEC))
