"""Anatomical variants: what they do to bones, how common they are, which are refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cspine.domain import ConfigError, Vertebra
from cspine.phantom import (
    ArchCleft,
    Arthrosis,
    Foramina,
    Fusion,
    FusionKind,
    PhantomSpec,
    Spine,
    Subject,
    Variants,
    sample_variants,
    with_variants,
)
from cspine.phantom.bones.primitives import Ellipsoid
from cspine.phantom.features.alter import Individual, altered
from cspine.phantom.features.bridges import FUSED_GAP_MM
from cspine.phantom.features.measure import foramen, landmarks, ring_at
from cspine.phantom.features.person import peculiarities
from cspine.phantom.features.variant_shapes import SKULL
from cspine.phantom.joints import Contact, JointedBone, Neighbor
from cspine.phantom.skeleton import Bone
from tests.phantom.anatomy_builders import HEALTHY, WORN, anatomy, bone_of, inside
from tests.phantom.bone_builders import lattice
from tests.phantom.subject_builders import Ball

C1, C2, C4, C5, C6, C7 = (Vertebra(v) for v in (1, 2, 4, 5, 6, 7))


def person(variants: Variants, discs=HEALTHY) -> Individual:
    return peculiarities(variants, (), anatomy(), age=50.0, discs=discs, rng=np.random.default_rng(3))[0]


def changed(level: Vertebra, variants: Variants) -> Bone:
    return altered(bone_of(level), person(variants).features)


def pieces(bone: Bone, low: tuple[float, float, float], high: tuple[float, float, float], step: float = 0.5) -> int:
    points, shape = lattice(np.array([low, high]), step)
    solid = bone.distance_mm(points).reshape(shape) < 0
    labels, _ = ndimage.label(solid)
    return int((np.bincount(labels.ravel())[1:] > 30).sum())


@pytest.mark.parametrize("level", [Vertebra.C3, Vertebra.C4, C5, Vertebra.C6, Vertebra.C7])
def test_half_a_body_ends_before_the_transverse_processes(level: Vertebra):
    marks = landmarks(bone_of(level))
    assert 8.0 < marks.half_width < 14.0
    assert marks.half_width < 0.6 * marks.side[0]


def test_half_the_width_of_the_atlas_is_that_of_its_canal():
    assert 12.0 < landmarks(bone_of(Vertebra.C1)).half_width < 20.0


def test_landmarks_lie_where_the_bone_does():
    marks = landmarks(bone_of(C5))
    middle = (0.0, marks.middle_y, (marks.top_z + marks.bottom_z) / 2)
    canal = (0.0, (marks.back_y + marks.arch_y) / 2, 0.0)
    front, behind = (0.0, marks.front_y - 1.0, 0.0), (0.0, marks.arch_y + 1.5, marks.arch_z)
    assert inside(bone_of(C5), middle, canal, front, behind, marks.tip) == [True, False, False, True, True]
    assert 12 < marks.back_y - marks.front_y < 19
    assert 12 < marks.arch_y - marks.back_y < 19
    x, y, z = marks.facet_above
    assert inside(bone_of(C5), (x, y, z - 3.0)) == [True]


def test_nothing_unusual_changes_no_bone():
    nobody = person(Variants())
    assert nobody.features == ()
    assert nobody.contacts == {}
    assert altered(bone_of(C5), nobody.features) is bone_of(C5)
    assert not Variants().any


def test_a_usual_subject_carries_no_trace_of_variants(procedural_subject: Subject):
    assert all(placed.usual is None and placed.inlays == () for placed in procedural_subject.skeleton.bones)


@pytest.mark.parametrize(
    ("cleft", "angles"),
    [
        (ArchCleft.POSTERIOR, (0.0,)),
        (ArchCleft.LEFT, (48.0,)),
        (ArchCleft.RIGHT, (-48.0,)),
        (ArchCleft.ANTERIOR, (180.0,)),
        (ArchCleft.SPLIT, (0.0, 180.0)),
    ],
)
def test_a_cleft_opens_the_ring_of_c1_there_and_nowhere_else(cleft: ArchCleft, angles: tuple[float, ...]):
    ring = changed(C1, Variants(c1_cleft=cleft))
    whole = bone_of(C1)
    for angle in (0.0, 25.0, -25.0, 180.0):
        middle, _ = ring_at(whole, angle, -1.5)
        near = min(abs(angle - a) for a in angles) < 1
        assert inside(whole, middle) == [True]
        if near or min(abs(angle - a) for a in angles) > 24:
            assert inside(ring, middle) == [not near], f"{cleft} at {angle}°"


def test_the_edges_of_a_cleft_are_a_free_surface_with_a_true_distance():
    variants = Variants(c1_cleft=ArchCleft.POSTERIOR)
    ring, middle = changed(C1, variants), person(variants).features[0].removed[0].center
    line = middle + np.arange(0, 6, 0.05)[:, None] * np.array([-1.0, 0.0, 0.0])
    distance = ring.distance_mm(line.astype(np.float32))
    edge = int(np.flatnonzero(distance < 0)[0])
    assert 0.8 < edge * 0.05 < 3.5
    assert distance[0] == pytest.approx(edge * 0.05, rel=0.35)
    assert distance[edge + 10] == pytest.approx(-0.5, abs=0.25)


def test_an_os_odontoideum_is_a_piece_of_its_own_that_still_is_c2():
    low, high = (-7.0, -8.0, 6.0), (7.0, 7.0, 30.0)
    assert pieces(bone_of(C2), low, high) == 1
    axis = changed(C2, Variants(os_odontoideum=True))
    assert pieces(axis, low, high) == 2
    assert axis.vertebra is C2
    assert any(f.vertebra is C1 and f.added for f in person(Variants(os_odontoideum=True)).features)


def test_a_cervical_rib_hangs_on_c7_on_its_side_and_ends_at_its_length():
    ribs = [r for f in person(Variants(cervical_rib_mm=(40.0, 0.0))).features for r in f.loose]
    assert [r.name for r in ribs] == ["rib-cervical-left"]
    low, high = ribs[0].bounds_mm
    assert low[0] > 15
    assert 32 < np.linalg.norm(high - low) < 55
    both = [r.name for f in person(Variants(cervical_rib_mm=(40.0, 20.0))).features for r in f.loose]
    assert both == ["rib-cervical-left", "rib-cervical-right"]


def test_foramina_become_as_wide_as_asked_and_keep_a_wall():
    for factor in (0.5, 1.5):
        bone = changed(C5, Variants(foramina=(Foramina(C5, factor, 1.0),)))
        before = min(foramen(bone_of(C5), 1).radius, 3.0)
        after = foramen(bone, 1)
        assert after.radius == pytest.approx(factor * before, rel=0.15)
        assert inside(bone, (after.x + after.radius + 0.8, after.y, after.z)) == [True]


def test_a_spinous_process_gets_two_prongs_or_one_knob():
    tip = landmarks(bone_of(C5)).tip
    low, high = (-9.0, tip[1] - 1.5, tip[2] - 5), (9.0, tip[1] + 3.0, tip[2] + 5)
    assert pieces(changed(C5, Variants(spines=(Spine(C5, True),))), low, high) == 2
    assert pieces(changed(C5, Variants(spines=(Spine(C5, False),))), low, high) == 1


def test_worn_facets_grow_lips_on_both_bones_and_a_narrow_joint():
    worn = person(Variants(arthrosis=(Arthrosis(C4, 1.0, 0.0),)))
    assert {f.vertebra for f in worn.features} == {C4, C5}
    assert [c.gap_mm for c in worn.contacts[C4]] == pytest.approx([0.2])
    left = [s.center[0] > 0 for f in worn.features for s in f.added]
    assert left == [True, True]


def test_endplates_are_dense_beside_worn_discs_only():
    dense = person(Variants(sclerosis=1.0), WORN).features
    assert {f.vertebra for f in dense} == {C4, C5, C6}
    plate = next(f for f in dense if f.vertebra is C4).inlays[0]
    marks = landmarks(bone_of(C4))
    places = np.array([(0, 0, marks.bottom_z + 1), (0, 0, marks.top_z - 3)], dtype=np.float32)
    assert plate.mixed(places, np.array([300.0, 300.0], dtype=np.float32)).tolist() == pytest.approx(
        [900.0, 300.0], abs=60
    )
    assert plate.mixed(places, np.array([1400.0, 1400.0], dtype=np.float32)).tolist() == [1400.0, 1400.0]


def two_balls(contacts: tuple[Contact, ...]) -> tuple[JointedBone, JointedBone, np.ndarray]:
    """Return two balls 1 mm apart, one above the other, and the step to the upper one's frame."""
    upper, lower = Ball("C4", C4, 8.0), Ball("C5", C5, 8.0)
    down = np.eye(4)
    down[2, 3] = 17.0
    up = np.linalg.inv(down)
    one = JointedBone(upper, (Neighbor(lower, down, 1.0, contacts, np.eye(4) if contacts else None),), 1.0, 1.1)
    two = JointedBone(lower, (Neighbor(upper, up, 1.0, contacts, up if contacts else None),), 1.0, 1.1)
    return one, two, np.array([0.0, 0.0, 17.0])


def test_a_contact_makes_one_bone_of_two_without_a_shell_between_them():
    region = Ellipsoid((0.0, 0.0, -8.5), (6.0, 6.0, 6.0))
    one, two, step = two_balls((Contact(region, FUSED_GAP_MM, 12.0),))
    line = np.array([(0.0, 0.0, z) for z in np.arange(-14, -3, 0.25)], dtype=np.float32)
    upper, lower = one.distance_mm(line), two.distance_mm(line + step)
    assert (np.minimum(upper, lower) < 0).all()
    seam = np.argmin(np.abs(upper - lower))
    depth = one.depth_mm(line[seam : seam + 1], upper[seam : seam + 1])
    assert depth[0] > 1.5
    assert (upper < lower).sum() == pytest.approx(len(line) / 2, abs=1)


def test_without_a_contact_two_bones_keep_their_joint_space():
    one, two, step = two_balls(())
    line = np.array([(0.0, 0.0, z) for z in np.arange(-10, -7, 0.05)], dtype=np.float32)
    free = (one.distance_mm(line) > 0) & (two.distance_mm(line + step) > 0)
    assert free.sum() * 0.05 == pytest.approx(1.1, abs=0.1)
    assert (one.depth_mm(line, one.distance_mm(line)) == -one.distance_mm(line)).all()


@pytest.mark.parametrize("kind", list(FusionKind))
def test_fused_levels_meet_all_the_way_down_and_only_blocks_lose_their_disc(kind: FusionKind):
    stiff = person(Variants(fusions=(Fusion(kind, C4, C7),)))
    assert sorted(stiff.contacts) == [4, 5, 6]
    assert all(c.gap_mm < 0 for contacts in stiff.contacts.values() for c in contacts)
    assert stiff.blocks == (frozenset({C4, C5, C6}) if kind is FusionKind.BLOCK else frozenset())
    marks = landmarks(bone_of(C4))
    disc = np.array([(0.0, marks.front_y - 0.8, marks.bottom_z - 2.0)], dtype=np.float32)
    bridged = [c.bridge is not None and c.bridge.value(disc, 5.0)[0] < 1.0 for c in stiff.contacts[C4]]
    assert any(bridged) is (kind is not FusionKind.BLOCK)


def test_an_assimilated_atlas_is_one_with_the_skull():
    assert list(person(Variants(atlas_assimilated=True)).contacts) == [SKULL]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fusion(FusionKind.BLOCK, C1, C2), "block fusion from C1 to C2: must go down, within C2 … T3"),
        (lambda: Fusion(FusionKind.DISH, C6, C5), "dish fusion from C6 to C5"),
        (lambda: Arthrosis(C1, 0.5, 0.5), "facet arthrosis below C1: must be below C2 … C7"),
        (lambda: Arthrosis(C4, 1.5, 0.0), "left is 1.5, must be 0 … 1"),
        (lambda: Foramina(C2, 0.5, 1.0), "unequal foramina of C2: must be C3 … C7"),
        (lambda: Foramina(C5, 0.1, 1.0), "left is 0.1, must be 0.3 … 1.8"),
        (lambda: Spine(C1, True), "spinous process of C1: must be C2 … C7"),
        (lambda: Variants(cervical_rib_mm=(0.0, 90.0)), "right cervical rib is 90.0 mm long, must be 0 … 70"),
        (lambda: Variants(sclerosis=-1), "sclerosis is -1, must be 0 … 1"),
        (lambda: Variants(spines=(Spine(C4, True), Spine(C4, False))), "spinous process of C4: given more than once"),
        (
            lambda: Variants(fusions=(Fusion(FusionKind.BLOCK, C4, C6), Fusion(FusionKind.DISH, C5, C7))),
            "fused below C5: given more than once",
        ),
    ],
)
def test_impossible_variants_are_refused_by_name(make, message: str):
    with pytest.raises(ConfigError, match=message):
        make()


def test_variants_are_as_common_as_in_people():
    rng = np.random.default_rng(0)
    drawn = [sample_variants(rng, 50.0) for _ in range(4000)]
    assert 0.03 < np.mean([v.c1_cleft is not ArchCleft.NONE for v in drawn]) < 0.055
    assert 0.004 < np.mean([max(v.cervical_rib_mm) > 0 for v in drawn]) < 0.018
    assert np.mean([v.os_odontoideum for v in drawn]) < 0.006
    old = [sample_variants(rng, 85.0) for _ in range(500)]
    dish = [any(f.kind is FusionKind.DISH for f in v.fusions) for v in old]
    assert 0.04 < np.mean(dish) < 0.15
    young = [sample_variants(rng, 20.0) for _ in range(300)]
    assert not any(v.arthrosis or v.sclerosis for v in young)
    assert not any(f.kind is FusionKind.DISH for v in young for f in v.fusions)


def test_variants_come_from_the_seed_and_leave_the_rest_of_a_specification_alone():
    spec = PhantomSpec(77, age=80.0)
    one, two = with_variants(spec), with_variants(spec)
    assert one == two
    assert replace(one, variants=Variants()) == spec
    assert any(with_variants(PhantomSpec(s, age=80.0)).variants.any for s in range(5))
