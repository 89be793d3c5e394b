"""Naming: order, spacing, gaps, and nothing where nothing is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cspine.domain import Grid, Vertebra
from cspine.pipeline import Candidate, DecodeSpec, find_candidates, name_sequence
from cspine.pipeline.label import NEIGHBOR_MM, with_gaps_filled

SPEC = DecodeSpec()
GRID = Grid.from_axes((8, 8, 8), (3.0, 4.0, 4.0))


def column(first: int, count: int, sharp: float = 0.8) -> list[Candidate]:
    """Return candidates from the name index `first` downward, with evidence that is mostly right."""
    z = -np.concatenate([[0.0], np.cumsum(NEIGHBOR_MM)])
    made = []
    for name in range(first, first + count):
        evidence = np.full(9, (1 - sharp) / 8)
        evidence[min(name, 8)] = sharp
        made.append(Candidate(np.array([0.0, 0.0, z[min(name, 8)] - 21.5 * max(0, name - 8)]), evidence))
    return made


def names(candidates: list[Candidate]) -> list[str]:
    return [n.vertebra.name for n in name_sequence(candidates, GRID, SPEC)]


def test_a_whole_neck_is_named_from_c1_to_t1() -> None:
    assert names(column(0, 8)) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1"]


@pytest.mark.parametrize("first", range(7))
def test_a_part_of_the_neck_gets_its_own_names_and_no_more(first: int) -> None:
    found = names(column(first, 2))
    assert found == [Vertebra(first + 1).name, Vertebra(first + 2).name]


def test_the_thoracic_class_may_repeat() -> None:
    assert names(column(6, 5)) == ["C7", "T1", "T2", "T2", "T2"]


def test_one_wrong_vote_is_overruled_by_its_neighbors() -> None:
    candidates = column(1, 6)
    wrong = np.full(9, 0.05)
    wrong[5], wrong[4] = 0.45, 0.35
    candidates[3] = Candidate(candidates[3].center_lps_mm, wrong)
    assert names(candidates) == ["C2", "C3", "C4", "C5", "C6", "C7"]


def test_a_missing_candidate_leaves_a_gap_instead_of_shifting_the_names() -> None:
    candidates = column(1, 6)
    del candidates[2]
    assert names(candidates) == ["C2", "C3", "C5", "C6", "C7"]


def test_a_weak_stray_candidate_is_left_out() -> None:
    candidates = column(1, 6)
    stray = Candidate(candidates[2].center_lps_mm - np.array([0, 0, 8.0]), np.full(9, 0.03))
    assert names([*candidates[:3], stray, *candidates[3:]]) == ["C2", "C3", "C4", "C5", "C6", "C7"]


def test_a_candidate_far_aside_is_no_neighbor() -> None:
    candidates = column(1, 6)
    joint = Candidate(candidates[2].center_lps_mm + np.array([18.0, 10.0, 1.0]), candidates[2].evidence * 0.6)
    assert names([*candidates[:2], joint, *candidates[2:]]) == ["C2", "C3", "C4", "C5", "C6", "C7"]


def test_without_candidates_there_are_no_names() -> None:
    assert name_sequence([], GRID, SPEC) == []


def test_ambiguous_evidence_lowers_the_confidence() -> None:
    sure = name_sequence(column(2, 4, sharp=0.9), GRID, SPEC)
    vague = []
    for i, candidate in enumerate(column(2, 4)):
        evidence = np.full(9, 0.02)
        evidence[2 + i], evidence[3 + i] = 0.75, 0.74
        vague.append(Candidate(candidate.center_lps_mm, evidence))
    unsure = name_sequence(vague, GRID, SPEC)
    assert min(n.confidence for n in sure) > 0.95
    assert max(n.confidence for n in unsure) < 0.8


def test_marginals_are_probabilities() -> None:
    for candidates in (column(0, 8), column(3, 2, sharp=0.3)):
        assert all(0 < n.confidence <= 1 + 1e-9 for n in name_sequence(candidates, GRID, SPEC))


def test_a_heat_peak_is_found_between_voxels() -> None:
    grid = Grid.from_axes((32, 24, 24), (3.0, 4.0, 4.0))
    truth = grid.to_world(np.array([15.3, 11.6, 12.2]))
    points = grid.to_world(np.indices(grid.shape).reshape(3, -1).T)
    heat = np.zeros((9, *grid.shape))
    heat[4] = np.exp(-0.5 * ((points - truth) ** 2).sum(axis=1) / 25).reshape(grid.shape)
    (found,) = find_candidates(heat, grid, SPEC)
    assert np.linalg.norm(found.center_lps_mm - truth) < 0.8
    assert int(found.evidence.argmax()) == 4


def test_noise_below_the_limit_is_no_candidate() -> None:
    grid = Grid.from_axes((32, 24, 24), (3.0, 4.0, 4.0))
    noise = np.random.default_rng(0).uniform(0, 0.15, size=(9, *grid.shape))
    assert find_candidates(ndimage.gaussian_filter(noise, 0.5), grid, SPEC) == []


def test_a_gap_between_two_names_becomes_a_question_at_the_right_place() -> None:
    candidates = column(1, 6)
    missing = candidates.pop(2).center_lps_mm
    filled = with_gaps_filled(name_sequence(candidates, GRID, SPEC), SPEC)
    assert [n.vertebra.name for n in filled] == ["C2", "C3", "C4", "C5", "C6", "C7"]
    (asked,) = [n for n in filled if n.inferred]
    assert asked.vertebra is Vertebra.C4
    np.testing.assert_allclose(asked.center_lps_mm, missing, atol=1.0)


def test_nothing_is_asked_for_beyond_the_ends_or_where_the_distance_does_not_fit() -> None:
    whole = name_sequence(column(2, 3), GRID, SPEC)
    assert with_gaps_filled(whole, SPEC) == whole
    near = [whole[0], replace(whole[1], vertebra=Vertebra.C6)]
    assert with_gaps_filled(near, SPEC) == near
