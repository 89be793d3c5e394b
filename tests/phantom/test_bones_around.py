import numpy as np
import pytest

from cspine.domain import Vertebra
from cspine.phantom.bones import (
    procedural_girdle,
    procedural_jaw_and_larynx,
    procedural_ribs,
    procedural_skull,
    rib_vertebra,
)
from tests.phantom.bone_builders import IRREGULAR, distance_errors, neutral_origins, overlap_mm3, spine

NEAR_JOINTS = np.array([[-26.0, -24.0, -2.0], [26.0, 28.0, 24.0]])


@pytest.fixture(scope="module")
def skull_base():
    sizes, _ = spine(0, IRREGULAR)
    (base,) = procedural_skull(sizes, np.random.default_rng(1), vault=False)
    return base


def test_foramen_magnum_is_open_and_ringed_by_bone(skull_base):
    down = np.array([[0, 5.7, z] for z in np.arange(0, 40, 1.0)], dtype=np.float32)
    assert skull_base.distance_mm(down).min() > 5
    for angle in np.deg2rad(np.arange(0, 360, 30)):
        ray = np.array(
            [[r * np.cos(angle), 5.7 + r * np.sin(angle), z] for r in np.arange(10, 32) for z in np.arange(5, 20)]
        )
        assert skull_base.distance_mm(ray.astype(np.float32)).min() < 0, f"no bone towards {np.rad2deg(angle):.0f}°"


@pytest.mark.slow
def test_condyles_rest_on_the_atlas_with_a_thin_joint_between(skull_base):
    _, bones = spine(0, IRREGULAR)
    atlas = bones[Vertebra.C1]
    assert overlap_mm3(atlas, skull_base, np.zeros(3)) < 60
    places = np.stack(np.meshgrid(np.arange(14, 20), np.arange(-9, 0), np.arange(-3, 6, 0.25), indexing="ij"), axis=-1)
    points = places.reshape(-1, 3).astype(np.float32)
    gap = (atlas.distance_mm(points) + skull_base.distance_mm(points)).reshape(places.shape[:3])
    inside = ((atlas.distance_mm(points) < 0) | (skull_base.distance_mm(points) < 0)).reshape(gap.shape)
    assert 1.0 < np.median(np.where(inside, np.inf, gap).min(axis=2)) < 3.0


def test_distance_to_the_occiput_is_true_near_its_joints(skull_base):
    errors = np.abs(distance_errors(skull_base, NEAR_JOINTS, 0.5))
    assert np.percentile(errors, 98) < 0.35


def test_braincase_is_hollow(skull_base):
    assert skull_base.distance_mm(np.array([[0, 30, 50], [40, -38, 50]], dtype=np.float32)).min() > 10


def test_ribs_are_named_and_belong_to_their_vertebrae():
    sizes, _ = spine(0, IRREGULAR)
    ribs = procedural_ribs(sizes, np.random.default_rng(0))
    assert [r.name for r in ribs[:2]] == ["rib1-left", "rib1-right"]
    assert len(ribs) == 12
    assert rib_vertebra("rib3-right") is Vertebra.T3
    left, right = ribs[0].bounds_mm, ribs[1].bounds_mm
    assert left[0, 0] > 0 > right[1, 0]


def test_first_rib_is_short_and_reaches_forward_to_the_manubrium():
    sizes, _ = spine(0, IRREGULAR)
    first, second = procedural_ribs(sizes, np.random.default_rng(0), (Vertebra.T1, Vertebra.T2))[::2]
    manubrium = procedural_girdle(sizes, np.random.default_rng(0))[0].bounds_mm
    assert np.ptp(first.bounds_mm, axis=0).max() < 90 < np.ptp(second.bounds_mm, axis=0).max()
    assert abs(first.bounds_mm[0, 1] - manubrium[1, 1]) < 18
    assert manubrium[0, 2] < first.bounds_mm[0, 2] < manubrium[1, 2] + 10


def test_first_ribs_stay_clear_of_the_first_thoracic_vertebra():
    sizes, bones = spine(0, IRREGULAR)
    for rib in procedural_ribs(sizes, np.random.default_rng(0), (Vertebra.T1,)):
        assert overlap_mm3(bones[Vertebra.T1], rib, np.zeros(3)) < 15


def test_distance_to_a_rib_is_true_near_its_surface():
    sizes, _ = spine(0, IRREGULAR)
    rib = procedural_ribs(sizes, np.random.default_rng(0), (Vertebra.T1,))[0]
    errors = np.abs(distance_errors(rib, rib.bounds_mm, 0.6))
    assert np.percentile(errors, 95) < 0.3


def test_jaw_and_larynx_lie_in_front_of_the_spine():
    sizes, _ = spine(0, IRREGULAR)
    bones = {b.name: b for b in procedural_jaw_and_larynx(sizes, np.random.default_rng(0))}
    assert set(bones) == {"mandible", "teeth", "hyoid", "thyroid", "cricoid"}
    for name in ("hyoid", "thyroid", "cricoid"):
        assert bones[name].bounds_mm[1, 1] < -sizes[Vertebra.C4].body_depth / 2
    assert bones["hyoid"].bounds_mm[0, 2] > bones["cricoid"].bounds_mm[1, 2]
    low, high = bones["mandible"].bounds_mm
    assert 95 < high[0] - low[0] < 135


def test_shoulders_lie_beside_and_the_manubrium_before_the_first_thoracic_vertebrae():
    sizes, _ = spine(0, IRREGULAR)
    bones = {b.name: b for b in procedural_girdle(sizes, np.random.default_rng(0))}
    assert bones["humerus-left"].bounds_mm[0, 0] > 110
    assert bones["humerus-right"].bounds_mm[1, 0] < -110
    assert bones["manubrium"].bounds_mm[1, 1] < -40
    low, high = bones["clavicle-left"].bounds_mm
    assert 110 < high[0] - low[0] < 165


def test_neck_from_atlas_to_first_thoracic_vertebra_has_a_natural_length():
    sizes, _ = spine(0, IRREGULAR)
    origins = neutral_origins(sizes)
    assert 95 < -origins[Vertebra.C7][2] < 125
