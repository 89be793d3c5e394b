"""Vertebrae are stacked as necks are held, and never run into each other."""

import numpy as np
import pytest

from cspine.domain import Vertebra
from cspine.phantom import Posture, Subject
from cspine.phantom.assembly import gaps, shell
from cspine.phantom.discs import Discs, sample_discs
from cspine.phantom.joints import JointedBone, Neighbor
from cspine.phantom.posture import orientations, sample_posture, turn
from tests.phantom.subject_builders import Ball

SUBAXIAL = [Vertebra(k) for k in range(Vertebra.C2, Vertebra.C7 + 1)]


def pitch(matrix: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(matrix[2, 1], matrix[2, 2])))


def test_lordosis_is_the_angle_between_c2_and_c7():
    rng = np.random.default_rng(0)
    turns = orientations(Posture(lordosis=24.0, unevenness=0.0), rng).vertebrae
    assert pitch(turns[Vertebra.C7]) - pitch(turns[Vertebra.C2]) == pytest.approx(24.0, abs=1e-6)


def test_the_head_looks_where_it_is_told_whatever_the_neck_does():
    for lordosis in (-5.0, 10.0, 20.0):
        turns = orientations(Posture(lordosis=lordosis, head_flexion=3.0, unevenness=0.0), np.random.default_rng(1))
        assert pitch(turns.head) == pytest.approx(3.0, abs=1.5)


def test_atlas_rotation_turns_c1_and_the_head_but_not_c2():
    still = orientations(Posture(unevenness=0.0), np.random.default_rng(2))
    turned = orientations(Posture(atlas_rotation=20.0, unevenness=0.0), np.random.default_rng(2))
    np.testing.assert_allclose(turned.vertebrae[Vertebra.C2], still.vertebrae[Vertebra.C2])
    relative = still.vertebrae[Vertebra.C1].T @ turned.vertebrae[Vertebra.C1]
    assert np.degrees(np.arccos((np.trace(relative) - 1) / 2)) == pytest.approx(20.0, abs=0.5)


def test_every_sampled_posture_is_one_that_a_neck_can_hold():
    rng = np.random.default_rng(3)
    for _ in range(200):
        posture = sample_posture(rng)
        turns = orientations(posture, rng).vertebrae
        for upper in range(Vertebra.C2, Vertebra.T1):
            relative = turns[Vertebra(upper + 1)].T @ turns[Vertebra(upper)]
            assert np.degrees(np.arccos(np.clip((np.trace(relative) - 1) / 2, -1, 1))) < 20


def test_turns_are_rotations():
    matrix = turn(10, -20, 30)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_bones_that_would_touch_keep_a_gap_and_others_stay_as_they_are():
    one, two = Ball("one", None, 10.0), Ball("two", None, 10.0)
    away = np.eye(4)
    away[0, 3] = -19.0  # the balls overlap by 1 mm
    jointed = JointedBone(one, (Neighbor(two, away, 1.0),), 1.0, gap_mm=1.0)
    line = np.stack([np.arange(-12, 12, 0.01), np.zeros(2400), np.zeros(2400)], axis=1).astype(np.float32)
    inside = line[jointed.distance_mm(line) < 0, 0]
    assert inside.min() == pytest.approx(-10.0, abs=0.02)
    assert inside.max() == pytest.approx(9.0, abs=0.02)  # the middle at 9.5 less half the gap


@pytest.mark.slow
def test_neighbors_do_not_run_into_each_other(procedural_subject: Subject):
    bones = {p.bone.vertebra: p for p in procedural_subject.skeleton.bones if p.bone.vertebra is not None}
    for upper in range(Vertebra.C1, Vertebra.T1):
        one, two = bones[Vertebra(upper)], bones[Vertebra(upper + 1)]
        relative = np.linalg.inv(two.to_body) @ one.to_body
        assert gaps(shell(one.bone), relative, two.bone, np.ones(3)).min() > -0.3


@pytest.mark.slow
def test_neighboring_centers_are_as_far_apart_as_in_people(procedural_subject: Subject):
    frames = procedural_subject.skeleton.frames
    steps = [np.linalg.norm(frames[v][:3, 3] - frames[Vertebra(v + 1)][:3, 3]) for v in SUBAXIAL[1:-1]]
    expected = np.array([16.0, 16.1, 16.1, 17.4]) * procedural_subject.skeleton.scale
    assert np.abs(np.array(steps) - expected).max() < 4.0


def test_worn_necks_have_narrower_discs_and_spurs_beside_them():
    rng = np.random.default_rng(4)
    young = [sample_discs(rng, 0.0) for _ in range(60)]
    worn = [sample_discs(rng, 1.0) for _ in range(60)]
    assert max(d.spur_mm(v) for d in young for v in SUBAXIAL) == 0.0
    assert np.mean([d.loss_below_mm(Vertebra.C5) for d in worn]) > 1.2
    assert np.mean([d.loss_below_mm(Vertebra.C5) for d in worn]) > np.mean([d.loss_below_mm(Vertebra.C2) for d in worn])


def test_spurs_grow_on_both_sides_of_a_worn_disc_only():
    discs = Discs(1.0, (0.0, 0.0, 0.0, 2.6, 0.0, 0.0, 0.0))  # below C5
    assert [v for v in SUBAXIAL if discs.spur_mm(v) > 0] == [Vertebra.C5, Vertebra.C6]
    assert discs.spur_mm(Vertebra.C1) == 0.0
