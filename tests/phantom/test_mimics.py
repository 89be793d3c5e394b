"""Mimics: where each exists, what it changes and what not, and that none of them is a fracture."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cspine.domain import ConfigError, Grid, Vertebra, Volume
from cspine.phantom import (
    Mimic,
    MimicKind,
    PhantomSpec,
    Scanner,
    Subject,
    levels_of,
    make_subject,
    sample_mimics,
    scan_subject,
    with_mimics,
)
from cspine.phantom.features.alter import Feature, altered
from cspine.phantom.features.measure import landmarks
from cspine.phantom.features.mimic_shapes import SHAPES, mimic_features
from cspine.phantom.features.site import Measured
from cspine.phantom.features.traces import TraceBone
from cspine.phantom.fractures import FractureAge
from cspine.phantom.healed import healed_fracture
from cspine.phantom.inlay import with_inlays
from cspine.phantom.mimic_images import disturbed, image_region, moved, step_of
from tests.phantom.anatomy_builders import anatomy, bone_of
from tests.phantom.bone_builders import lattice

C2, C4, C5, C6 = (Vertebra(v) for v in (2, 4, 5, 6))
CENTERS = {v: (0.0, 0.0, 18.0 * (C4 - v)) for v in Vertebra}
GRID = Grid.from_axes((30, 64, 64), (2.0, 1.5, 1.5), (-47.25, -47.25, 29.0))
SCANNER = Scanner(matrix=(64, 64), field_of_view_mm=96.0, spacing_mm=2.0, thickness_mm=2.0, circle_mm=90.0)
SHAPED = [k for k in SHAPES if k not in (MimicKind.MACH_LINE, MimicKind.DENTAL_METAL)]


def one_level(kind: MimicKind) -> Vertebra:
    levels = levels_of(kind)
    return levels[len(levels) // 2]


def features(
    kind: MimicKind, severity: int = 3, seed: int = 4, vertebra: Vertebra | None = None
) -> tuple[Feature, ...]:
    return mimic_features(Mimic(kind, vertebra or one_level(kind), severity, seed), Measured(anatomy()), 5.0)


def changes(feature: Feature) -> tuple[np.ndarray, np.ndarray]:
    """Return points (N, 3) about a feature, 5 mm beyond its trace, and whether it changes bone there."""
    usual = bone_of(feature.vertebra)
    points, _ = lattice(TraceBone(usual, feature).bounds_mm + np.array([[-5.0], [5.0]]), 1.0)
    bone = altered(usual, (feature,))
    changed = (bone.distance_mm(points) < 0) != (usual.distance_mm(points) < 0)
    inside = bone.distance_mm(points) < 0
    for hu in (300.0, 1200.0):
        plain = np.full(len(points), hu, dtype=np.float32)
        changed |= inside & (np.abs(with_inlays(feature.inlays, points, plain) - plain) > 20)
    for piece in feature.loose:
        changed |= piece.distance_mm(points) < 0
    return points, changed


def test_the_table_names_every_kind_and_refuses_every_other_level():
    for kind in MimicKind:
        allowed = levels_of(kind)
        assert allowed
        for vertebra in (v for v in Vertebra if v <= Vertebra.T2):
            if vertebra in allowed:
                assert Mimic(kind, vertebra).severity == 3
            else:
                with pytest.raises(ConfigError, match=f"{kind} at {vertebra.name}: exists only at {allowed[0].name}"):
                    Mimic(kind, vertebra)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"severity": 0}, "ossicle at C6: severity is 0, must be 1 … 5"),
        ({"severity": 6}, "ossicle at C6: severity is 6, must be 1 … 5"),
        ({"seed": -1}, "ossicle at C6: seed is -1, must not be negative"),
    ],
)
def test_impossible_mimics_are_refused_by_name(fields: dict[str, int], message: str):
    with pytest.raises(ConfigError, match=message):
        Mimic(MimicKind.OSSICLE, C6, **fields)


@pytest.mark.parametrize(("vertebra", "oldest"), [(Vertebra.C1, 8), (C2, 11), (C5, 25)])
def test_growth_plates_of_grown_up_people_are_refused(vertebra: Vertebra, oldest: int):
    mimics = (Mimic(MimicKind.GROWTH_PLATE, vertebra),)
    assert PhantomSpec(1, age=float(oldest), mimics=mimics).mimics == mimics
    with pytest.raises(ConfigError, match=f"growth plate of {vertebra.name} at 40 years: closed after {oldest}"):
        PhantomSpec(1, age=40.0, mimics=mimics)


def test_more_mimics_than_a_map_can_number_are_refused():
    with pytest.raises(ConfigError, match="101 mimics, at most 100"):
        PhantomSpec(1, mimics=(Mimic(MimicKind.OSSICLE, C6),) * 101)


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("kind", SHAPED)
def test_bone_changes_where_the_trace_is_and_nowhere_else(kind: MimicKind, severity: int):
    made = features(kind, severity)
    seen = 0
    for feature in made:
        points, changed = changes(feature)
        distance = TraceBone(bone_of(feature.vertebra), feature).distance_mm(points)
        seen += int(changed.sum())
        assert (distance[changed] < 1.0).all(), f"{kind} changes bone outside its trace"
    assert seen > 0, f"{kind} changes nothing"


@pytest.mark.parametrize("kind", SHAPED)
def test_mimics_grow_with_their_severity(kind: MimicKind):
    amounts = [sum(int(changes(f)[1].sum()) for f in features(kind, severity)) for severity in (1, 5)]
    assert amounts[1] > 1.2 * amounts[0]


@pytest.mark.parametrize("kind", [MimicKind.OSSICLE, MimicKind.LIMBUS, MimicKind.NUTRIENT_CHANNEL])
def test_equal_mimics_are_equal_and_other_seeds_differ(kind: MimicKind):
    first, again, other = (features(kind, seed=seed) for seed in (4, 4, 5))
    same = [np.array_equal(changes(a)[1], changes(b)[1]) for a, b in zip(first, again, strict=True)]
    assert all(same)
    assert not all(np.array_equal(changes(a)[1], changes(b)[1]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("vertebra", levels_of(MimicKind.LIMBUS))
def test_a_limbus_vertebra_loses_a_corner_of_the_body_and_keeps_its_transverse_processes(vertebra: Vertebra):
    (feature,) = mimic_features(Mimic(MimicKind.LIMBUS, vertebra, 5, 2), Measured(anatomy()), 40.0)
    points, changed = changes(feature)
    marks = landmarks(bone_of(vertebra))
    assert changed.any()
    assert np.abs(points[changed, 0]).max() < marks.half_width + 1.0
    assert points[changed, 1].max() < marks.back_y - 3.0


def test_every_shape_exists_at_every_level_of_its_table():
    measured = Measured(anatomy())
    for kind in (MimicKind.ARCH_CLEFT, MimicKind.OSSICLE, MimicKind.GROWTH_PLATE):
        for vertebra in levels_of(kind):
            made = mimic_features(Mimic(kind, vertebra, 4), measured, 5.0)
            assert any(changes(f)[1].any() for f in made), f"{kind} at {vertebra.name}"


def test_metal_is_named_metal_and_bone_is_not():
    for kind in (MimicKind.PLATE_AND_SCREWS, MimicKind.POSTERIOR_SCREWS):
        assert all(piece.name.startswith("metal") for f in features(kind) for piece in f.loose)
    assert not any(p.name.startswith("metal") for f in features(MimicKind.OSSICLE) for p in f.loose)


@pytest.mark.parametrize("vertebra", levels_of(MimicKind.HEALED_FRACTURE))
def test_a_healed_fracture_is_an_old_fracture_of_a_type_that_exists_there(vertebra: Vertebra):
    fracture = healed_fracture(Mimic(MimicKind.HEALED_FRACTURE, vertebra, 4, 9))
    assert fracture.age is FractureAge.HEALED
    assert fracture.vertebra is vertebra
    assert fracture.severity == 4
    assert fracture == healed_fracture(Mimic(MimicKind.HEALED_FRACTURE, vertebra, 4, 9))


def textured() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (ndimage.gaussian_filter(rng.normal(size=GRID.shape), 1.0) * 2000).astype(np.float32)


def test_a_step_of_motion_shifts_its_slices_and_no_others():
    mimic = Mimic(MimicKind.MOTION_STEP, C4, 5, 2)
    still = textured()
    shifted = moved(still, GRID, (mimic,), CENTERS)
    step = step_of(mimic, CENTERS)
    heights = GRID.to_world(np.arange(30)[:, None] * np.array([1.0, 0, 0]))[:, 2]
    changed = np.array([not np.array_equal(a, b) for a, b in zip(still, shifted, strict=True)])
    assert changed.tolist() == (np.abs(heights - step.z_mm) < step.half_mm).tolist()
    assert changed.any()
    assert np.hypot(*step.shift_mm) == pytest.approx(3.2)
    region = image_region(mimic, GRID, CENTERS)
    assert set(np.flatnonzero(changed)) <= set(np.flatnonzero(region.any(axis=(1, 2))))


def test_without_image_mimics_the_very_same_arrays_come_back():
    still, volume = textured(), Volume(GRID, np.zeros(GRID.shape, dtype=np.int16))
    mimics = (Mimic(MimicKind.OSSICLE, C6),)
    assert moved(still, GRID, mimics, CENTERS) is still
    assert disturbed(volume, SCANNER, mimics, CENTERS, {}) is volume


def test_streaks_run_from_left_to_right_at_the_height_of_their_vertebra_inside_the_circle():
    volume = Volume(GRID, np.full(GRID.shape, 50, dtype=np.int16))
    mimic = Mimic(MimicKind.SHOULDER_STREAK, C5, 5, 1)
    after = disturbed(volume, SCANNER, (mimic,), {**CENTERS, C5: (0.0, 0.0, 0.0)}, {}).hu.astype(float) - 50
    region = image_region(mimic, GRID, {**CENTERS, C5: (0.0, 0.0, 0.0)})
    by_slice = np.abs(after).max(axis=(1, 2))
    assert (by_slice > 0).tolist() == region.any(axis=(1, 2)).tolist()
    middle = after[int(np.argmax(by_slice)), 20:44, 20:44]
    assert np.abs(np.diff(middle, axis=1)).mean() < 0.5 * np.abs(np.diff(middle, axis=0)).mean()
    assert (after[:, 0, 0] == 0).all()
    again = disturbed(volume, SCANNER, (mimic,), {**CENTERS, C5: (0.0, 0.0, 0.0)}, {}).hu - 50.0
    assert (again == after).all()


def test_lines_beside_cortices_undershoot_inside_their_mask_only():
    hu = np.zeros(GRID.shape, dtype=np.int16)
    hu[:, :, 30:34] = 1200
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[10:20, 20:44, 20:44] = True
    mimics = (Mimic(MimicKind.MACH_LINE, C4, 5),)
    after = disturbed(Volume(GRID, hu), SCANNER, mimics, CENTERS, {0: mask}).hu.astype(int) - hu
    assert after[15, 32, 29] < -80
    assert after[15, 32, 31] > 0
    assert np.abs(after[~ndimage.binary_dilation(mask, iterations=8)]).max() <= 3


def test_mimics_come_from_the_seed_and_leave_the_rest_of_a_specification_alone():
    spec = PhantomSpec(5, age=70.0)
    assert with_mimics(spec) == with_mimics(spec)
    assert replace(with_mimics(spec), mimics=()) == spec


def test_drawn_mimics_exist_and_suit_the_age():
    rng = np.random.default_rng(1)
    old = [m for _ in range(300) for m in sample_mimics(rng, 80.0)]
    assert {m.kind for m in old} >= {MimicKind.OSSIFIED_ANTERIOR_LIGAMENT, MimicKind.SHOULDER_STREAK, MimicKind.OSSICLE}
    assert not any(m.kind is MimicKind.GROWTH_PLATE for m in old)
    young = [m for _ in range(200) for m in sample_mimics(rng, 20.0)]
    plates = [m for m in young if m.kind is MimicKind.GROWTH_PLATE]
    assert plates
    assert all(m.vertebra >= Vertebra.C3 for m in plates)
    assert not any(m.kind is MimicKind.OSSIFIED_POSTERIOR_LIGAMENT for m in young)


ALL_IN_ONE = (
    Mimic(MimicKind.NUTRIENT_CHANNEL, Vertebra.C3, 5, 1),
    Mimic(MimicKind.LIMBUS, C4, 4, 1),
    Mimic(MimicKind.OSSIFIED_POSTERIOR_LIGAMENT, C5, 4, 1),
    Mimic(MimicKind.HEALED_FRACTURE, C4, 5, 3),
    Mimic(MimicKind.OSSICLE, Vertebra.C7, 3, 1),
)


@pytest.mark.slow
def test_a_case_tells_where_its_mimics_are_and_counts_no_fracture(
    procedural_spec: PhantomSpec, procedural_subject: Subject
):
    spec = replace(procedural_spec, mimics=ALL_IN_ONE)
    plain = scan_subject(procedural_subject, procedural_spec, threads=2)
    case = scan_subject(make_subject(spec), spec, threads=2)
    assert case.truth.fractures == ()
    assert not case.truth.has_fracture
    assert not case.fractures.labels.any()
    kinds = {m.kind: m for m in case.truth.mimics}
    assert set(kinds) == {m.kind.value for m in ALL_IN_ONE}
    assert kinds["ossicle"].box_lps_mm is None  # C7 lies below the field
    changed = np.abs(case.volume.hu.astype(int) - plain.volume.hu) > 60
    near = ndimage.binary_dilation(case.mimics.labels > 0, iterations=3)
    assert changed.any()
    assert (changed & ~near).sum() <= 0.02 * changed.sum()
    for number, truth in enumerate(case.truth.mimics, start=1):
        mask = case.mimics.labels == number
        assert mask.any() == (truth.box_lps_mm is not None)
        if mask.any():
            assert (changed & ndimage.binary_dilation(mask, iterations=1)).any(), f"{truth.kind} changes nothing"
