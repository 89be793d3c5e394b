"""Breaks in bones: where they are, how much they show, what they leave alone."""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from cspine.domain import Grid, LabelMap, Vertebra
from cspine.phantom import (
    Case,
    Coverage,
    Fracture,
    FractureAge,
    FractureType,
    PhantomSpec,
    Scanner,
    Side,
    fracture_boxes,
    make_subject,
    scan_subject,
)
from cspine.phantom.features.measure import landmarks
from cspine.phantom.fractures import (
    RULES,
    Break,
    Breaks,
    BrokenBone,
    Face,
    Fragment,
    PlacedFracture,
    broken_bones,
    place_fractures,
    plan_fractures,
)
from cspine.phantom.fractures.alignment import Carried, displaced
from cspine.phantom.fractures.motion import motion, part_of
from cspine.phantom.fractures.planning import plan_fracture
from cspine.phantom.fractures.severity import amount_of
from cspine.phantom.fractures.surfaces import Line, Places, flat, sheet
from cspine.phantom.fractures.swelling import Swelling, swollen
from cspine.phantom.fractures.truth import fracture_mask
from cspine.phantom.mesh import DistanceLattice, LatticeBone
from cspine.phantom.skeleton import PlacedBone, Skeleton
from cspine.phantom.warp import no_warp
from tests.phantom.fracture_builders import (
    SPACING_MM,
    before_and_after,
    bones,
    first_level,
    grid_in_body,
    painted,
    subject_with,
)
from tests.phantom.subject_builders import Ball, ball_subject, straight_frames

WITHIN_VOXELS = 1.5
SEEN_HU = 1.0  # without noise and blur any more is a difference
# A transdiscal fracture breaks bridges that a bone alone does not have; a test of its own has a whole neck.
TYPES = [kind for kind in FractureType if kind is not FractureType.TRANSDISCAL]
QUICK = (FractureType.DENS_II, FractureType.FLEXION_TEARDROP, FractureType.SPINOUS_PROCESS, FractureType.PEDICLE)
BALL_MM = 10.0


def near(mask: np.ndarray, voxels: float = WITHIN_VOXELS) -> np.ndarray:
    away: np.ndarray = ndimage.distance_transform_edt(~mask)
    return away <= voxels


def broken(kind: FractureType, **amounts: object) -> Fracture:
    return Fracture(kind, first_level(RULES[kind].levels), **amounts)  # type: ignore[arg-type]  # of the test's choice


@pytest.mark.parametrize("kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in TYPES])
def test_the_mask_lies_where_broken_and_whole_differ(kind: FractureType):
    whole, fractured, mask = before_and_after(broken(kind, severity=4, seed=3))
    differs = np.abs(fractured - whole) > SEEN_HU
    assert mask.sum() > 20
    assert not (mask & ~near(differs)).any()


@pytest.mark.slow
def test_the_mask_of_a_transdiscal_fracture_lies_where_the_bridged_spine_differs():
    fracture = Fracture(FractureType.TRANSDISCAL, Vertebra.C5, severity=4, seed=3)
    subject = make_subject(PhantomSpec(seed=4, warp_mm=0.0, fractures=(fracture,)))
    grid = grid_in_body(subject.fractures[0])
    mask = fracture_mask(subject.fractures[0].broken, grid, subject.warp)
    differs = np.abs(painted(subject, grid) - painted(replace(subject, fractures=()), grid)) > SEEN_HU
    assert mask.sum() > 20
    assert not (mask & ~near(differs)).any()


@pytest.mark.parametrize("family", ["A", "B"])
@pytest.mark.parametrize("kind", [FractureType.LAMINA, pytest.param(FractureType.BURST, marks=pytest.mark.slow)])
def test_before_pieces_move_nothing_differs_but_at_the_mask(kind: FractureType, family: str):
    fracture = broken(kind, severity=1, family=family, seed=5, impaction=0.0)
    whole, fractured, mask = before_and_after(fracture)
    differs = np.abs(fractured - whole) > SEEN_HU
    assert mask.any()
    assert not (mask & ~near(differs)).any()
    assert (differs & ~near(mask)).sum() <= 0.005 * differs.sum()


@pytest.mark.parametrize("family", ["A", pytest.param("B", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [FractureType.PEDICLE, pytest.param(FractureType.HANGMAN, marks=pytest.mark.slow)])
def test_contrast_falls_from_severity_to_severity(kind: FractureType, family: str):
    contrast = []
    for severity in (5, 4, 3, 2, 1):
        whole, fractured, _ = before_and_after(broken(kind, severity=severity, family=family, seed=2))
        change = ndimage.gaussian_filter(fractured - whole, 0.6 / SPACING_MM)
        contrast.append(float(np.sqrt((change**2).sum())))
    assert all(stronger > 1.1 * weaker for stronger, weaker in pairwise(contrast))


@pytest.mark.parametrize("family", ["A", "B"])
def test_a_wedge_breaks_the_body_and_leaves_the_transverse_processes(family: str):
    placed = subject_with(broken(FractureType.WEDGE, severity=5, family=family, seed=11)).fractures[0]
    marks = landmarks(placed.bone.bone)
    points = np.random.default_rng(0).uniform(-26, 26, (60_000, 3)).astype(np.float32)
    shown = points[placed.broken.bone.shows_at(points, 0.6)]  # type: ignore[attr-defined]  # a broken bone
    assert len(shown) > 100
    assert np.abs(shown[:, 0]).max() < marks.half_width + 2.0


def test_the_gap_follows_the_laws_of_the_families():
    for family in "AB":
        gaps = [
            amount_of(broken(FractureType.DENS_II, severity=s, family=family), np.random.default_rng(1)).gap_mm
            for s in (1, 2, 3, 4, 5)
        ]
        assert gaps == sorted(gaps)
        assert 0.08 < gaps[0] < 0.2
        assert 1.9 < gaps[-1] <= 2.5
    moved = {
        family: amount_of(broken(FractureType.DENS_II, severity=2, family=family), np.random.default_rng(1)).shift_mm
        for family in "AB"
    }
    assert moved["A"] > 0
    assert moved["B"] == 0


def test_what_is_overruled_is_taken_as_it_is():
    fracture = broken(FractureType.BURST, severity=1, gap_mm=1.7, shift_mm=3.0, turn_deg=2.0, impaction=0.5)
    amount = amount_of(replace(fracture, swelling_mm=4.0), np.random.default_rng(0))
    assert (amount.gap_mm, amount.shift_mm, amount.turn_deg) == (1.7, 3.0, 2.0)
    assert (amount.impaction, amount.swelling_mm) == (0.5, 4.0)


@pytest.mark.parametrize("kind", [FractureType.BURST, FractureType.FACET_SUBLUXATION, FractureType.C1_ANTERIOR_ARCH])
def test_a_sham_changes_no_bone_and_has_no_mask(kind: FractureType):
    whole, fractured, mask = before_and_after(broken(kind, severity=5, seed=1).sham)
    assert np.abs(fractured - whole).max() < 0.01
    assert not mask.any()
    assert subject_with(broken(kind, seed=1).sham).fractures[0].swelling is None


def test_equal_seeds_break_alike_and_others_elsewhere():
    one, two = (before_and_after(broken(FractureType.LAMINA, seed=8))[1:] for _ in range(2))
    other = before_and_after(broken(FractureType.LAMINA, seed=9))[2]
    assert one[0].tobytes() == two[0].tobytes()
    assert (one[1] == two[1]).all()
    assert (one[1] != other).any()


@pytest.mark.parametrize("kind", [FractureType.PEDICLE, FractureType.FACET])
def test_a_side_is_the_side_of_the_patient(kind: FractureType):
    for side in Side:
        placed = subject_with(broken(kind, severity=3, side=side, seed=4)).fractures[0]
        points = np.random.default_rng(0).uniform(-26, 26, (60_000, 3)).astype(np.float32)
        shown = points[placed.broken.bone.shows_at(points, 0.6)]  # type: ignore[attr-defined]  # a broken bone
        assert (side.sign * shown[:, 0] > 0).mean() > 0.98


def test_families_break_along_other_surfaces():
    rng = np.random.default_rng(0)
    places = rng.uniform(-10, 10, (4000, 3)).astype(np.float32)
    places[:, 2] = 0
    smooth = sheet(np.random.default_rng(1), "A", (0, 0, 0), (0, 0, 1), rough_mm=0.5)
    faceted = sheet(np.random.default_rng(1), "B", (0, 0, 0), (0, 0, 1), rough_mm=0.5)
    assert not smooth.relief.faceted
    assert faceted.relief.faceted
    assert len(np.unique(np.round(faceted.relief.at(places[:, :2])[1], 3), axis=0)) < 300  # plane facets
    assert len(np.unique(np.round(smooth.relief.at(places[:, :2])[1], 3), axis=0)) > 3000
    assert not smooth.bend_per_mm.any()
    assert faceted.bend_per_mm.any()


def test_ages_change_what_fills_the_gap():
    middle = np.zeros((1, 3), dtype=np.float32)
    fillers = {}
    for age in FractureAge:
        fracture = broken(FractureType.CORONAL_SPLIT, severity=3, age=age)
        breaks = plan_fracture(fracture, bones()["C5"]).breaks
        fillers[age] = float(BrokenBone(bones()["C5"], breaks).gap_filling(middle, 1.0)[1][0])
    assert -20 <= fillers[FractureAge.ACUTE] <= 60
    assert fillers[FractureAge.ACUTE] < fillers[FractureAge.HEALING] < fillers[FractureAge.HEALED]
    assert fillers[FractureAge.HEALED] > 380


def ball_fracture(age: FractureAge = FractureAge.ACUTE) -> PlacedFracture:
    """Return C4, a ball of 10 mm, cut at z = 0 by a flat gap of 2 mm."""
    bone = PlacedBone(Ball("C4", Vertebra.C4, BALL_MM), straight_frames()[Vertebra.C4], 1.0, 1200.0, 300.0)
    cut = Break(flat((0, 0, 0), (0, 0, 1)), 2.0, filler_hu=0.0)
    return PlacedFracture(Fracture(FractureType.WEDGE, Vertebra.C4, age=age), bone, Breaks((cut,)))


def test_a_flat_gap_takes_its_width_of_bone():
    placed = ball_fracture()
    bone = BrokenBone(placed.bone.bone, placed.breaks)
    z = np.arange(-4.0, 4.01, 0.5)
    line = np.stack([np.zeros_like(z), np.zeros_like(z), z], axis=1)
    cover = np.zeros(len(z))
    for share in bone.shares(line, 0.5):
        cover[share.which] += share.cover
    assert cover[np.abs(z) < 0.75].max() == 0
    assert cover[np.abs(z) > 1.25].min() == 1
    assert cover[np.abs(z) == 1.0] == pytest.approx(0.5)
    assert (bone.distance_mm(line) < 0).all()  # a label covers thin gaps


def test_fragments_without_a_gap_are_the_whole_bone():
    cut = Break(sheet(np.random.default_rng(2), "A", (0, 0, 0), (1, 0, 1)), 0.0)
    bone = BrokenBone(Ball("C4", Vertebra.C4, BALL_MM), Breaks((), (Fragment((Face(cut),)),)))
    points = np.random.default_rng(3).uniform(-12, 12, (5000, 3)).astype(np.float32)
    cover = np.zeros(len(points))
    for share in bone.shares(points, 1.0):
        cover[share.which] += share.cover
    whole = np.clip(0.5 - bone.bone.distance_mm(points), 0, 1)
    assert np.abs(cover - whole).max() < 1e-4
    assert ((bone.distance_mm(points) < 0) == (bone.bone.distance_mm(points) < 0)).all()


def test_a_moved_fragment_shows_where_it_left_and_where_it_came():
    cut = Break(flat((0, 0, 0), (0, 0, 1)), 0.4)
    move = motion((0, 0, 0), (0, 0, 1), 0.0, (0.0, 0.0, 3.0))
    bone = BrokenBone(Ball("C4", Vertebra.C4, BALL_MM), Breaks((), (Fragment((Face(cut, -1),), move),)))
    heights = np.array([-5.0, 0.0, 1.5, 3.0, 8.0, 12.0, 14.0], dtype=np.float32)
    points = np.stack([heights * 0, heights * 0, heights], axis=1)
    assert bone.shows_at(points, 0.25).tolist() == [False, True, True, True, False, True, False]
    assert (bone.distance_mm(points) < 0).tolist() == [True, False, False, False, True, True, False]
    assert bone.bounds_mm[1, 2] == pytest.approx(BALL_MM + 3.0)


def test_a_break_along_a_line_is_a_channel():
    channel = Break(Line(np.array([[0.0, -20.0, 0.0], [0.0, 20.0, 0.0]])), 2.0, filler_hu=-10.0, margin_hu=100.0)
    points = np.array([[0.2, 0, 0], [0.95, 0, 0], [2.0, 0, 0], [5.0, 0, 0]], dtype=np.float32)
    assert channel.gap_share(Places(points), 0.4) == pytest.approx([1.0, 0.625, 0.0, 0.0], abs=0.01)
    hardened = channel.hardening_hu(Places(points))
    assert hardened[1] > hardened[2] > hardened[3]


def test_parts_of_a_motion_add_up():
    whole = motion((1.0, 2.0, 3.0), (0, 1, 0), 14.0, (2.0, 0.0, -1.0))
    assert np.allclose(part_of(whole, 1.0), whole)
    assert np.allclose(part_of(whole, 0.0), np.eye(4))


def test_all_above_moves_with_a_fracture_and_nothing_below():
    frames = straight_frames()
    step = motion((0, 0, 0), (1, 0, 0), 10.0, (0.0, -2.0, 0.0))
    above = displaced(frames, [Carried(Vertebra.C5, itself=False, move=step)])
    itself = displaced(frames, [Carried(Vertebra.C5, itself=True, move=step)])
    for vertebra, frame in frames.items():
        assert np.allclose(above[vertebra], frame) == (vertebra >= Vertebra.C5)
        assert np.allclose(itself[vertebra], frame) == (vertebra > Vertebra.C5)


def test_a_fragment_stops_before_another_bone():
    lower = PlacedBone(bones()["C6"], np.eye(4), 1.0, 1200.0, 300.0)
    to_body = np.eye(4)
    to_body[2, 3] = 17.0
    upper = PlacedBone(bones()["C5"], to_body, 1.0, 1200.0, 300.0)
    skeleton = Skeleton((upper, lower), straight_frames(), 1.0)
    fracture = Fracture(FractureType.EXTENSION_TEARDROP, Vertebra.C5, severity=5, shift_mm=6.0, turn_deg=0.0, seed=3)
    (planned,) = plan_fractures({"C5": upper.bone}, (fracture,))
    down = np.eye(4)
    down[2, 3] = -10.0
    piece = replace(planned.plan.breaks.fragments[0], move=down)
    pushed = replace(planned, plan=replace(planned.plan, breaks=Breaks((), (piece,))))
    (placed,) = place_fractures(skeleton, (pushed,))
    assert -8.0 < placed.breaks.fragments[0].move[2, 3] <= 0


def test_two_fractures_of_one_bone_break_it_together():
    pair = (broken(FractureType.SPINOUS_PROCESS, seed=1), broken(FractureType.CORONAL_SPLIT, seed=2))
    subject = subject_with(*pair)
    (both,) = broken_bones(subject.skeleton.bones, subject.fractures)
    assert isinstance(both.bone, BrokenBone)
    assert len(both.bone.breaks.fragments) == 2
    assert subject.skeleton.bones[0].bone is bones()["C5"]


@lru_cache(maxsize=4)
def scanned_ball(age: FractureAge, threads: int) -> Case:
    subject = replace(ball_subject(radius_mm=BALL_MM), fractures=())
    bone = next(p for p in subject.skeleton.bones if p.bone.vertebra is Vertebra.C4)
    subject = replace(subject, fractures=(replace(ball_fracture(age), bone=bone),))
    scanner = Scanner(matrix=(48, 48), field_of_view_mm=48.0, spacing_mm=2.0, thickness_mm=2.0)
    field = Coverage(top=Vertebra.C4, top_mm=13.0, bottom=Vertebra.C4, bottom_mm=13.0)
    return scan_subject(subject, PhantomSpec(9, scanner=scanner, coverage=field), threads)


def test_a_case_tells_where_its_fracture_is_whatever_the_threads():
    case, again = (scanned_ball(FractureAge.ACUTE, threads) for threads in (1, 3))
    assert case.volume.hu.tobytes() == again.volume.hu.tobytes()
    assert (case.fractures.labels == again.fractures.labels).all()
    assert case.truth == again.truth
    (truth,) = case.truth.fractures
    assert (truth.type, truth.vertebra, truth.counted) == ("wedge-compression", Vertebra.C4, True)
    assert case.truth.fractured == (Vertebra.C4,)
    box = truth.box_lps_mm
    assert box is not None
    middle = np.array(case.truth.vertebrae[[v.vertebra for v in case.truth.vertebrae].index(Vertebra.C4)].center_lps_mm)
    assert box.center_lps_mm == pytest.approx(middle, abs=1.6)
    assert box.max_lps_mm[0] - box.min_lps_mm[0] == pytest.approx(2 * BALL_MM, abs=1.6)
    mask = case.fractures.labels > 0
    assert set(np.unique(case.labels.labels[mask])) <= {0, int(Vertebra.C4)}


def test_boxes_hold_the_cross_sections_of_the_mask():
    case = scanned_ball(FractureAge.ACUTE, 1)
    boxes = fracture_boxes(case)
    assert boxes
    covered = np.zeros(case.volume.grid.shape, dtype=bool)
    for box in boxes:
        assert (box.fracture, box.vertebra) == (0, Vertebra.C4)
        part = np.s_[box.slice, box.y : box.y + box.height, box.x : box.x + box.width]
        covered[part] = True
        shown = case.fractures.labels[part] > 0
        assert all(edge.any() for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1]))
    assert not ((case.fractures.labels > 0) & ~covered).any()
    assert {box.slice for box in boxes} == set(np.flatnonzero(case.fractures.labels.any(axis=(1, 2))).tolist())


def test_a_healed_fracture_is_a_mimic():
    case = scanned_ball(FractureAge.HEALED, 1)
    assert case.truth.fractures == ()
    assert not case.truth.has_fracture
    (mimic,) = case.truth.mimics
    assert (mimic.kind, mimic.vertebra) == ("healed-fracture", Vertebra.C4)
    assert not case.fractures.labels.any()
    assert case.mimics.labels.any()
    assert fracture_boxes(case) == ()


def test_swelling_brings_tissue_forward_and_leaves_the_back_alone():
    grid = Grid.from_axes((20, 60, 40), (2.0, 1.0, 2.0), (-39.0, -45.0, 19.0))
    y = grid.to_world(np.stack([np.zeros(60), np.arange(60), np.zeros(60)], axis=1))[:, 1]
    hu = np.broadcast_to(np.where(y < -10, -1000.0, 60.0)[None, :, None], grid.shape).astype(np.float32)
    swelling = Swelling(np.eye(4), np.array([0.0, -6.0, 0.0]), 8.0)
    out = swollen(hu, grid, (swelling,), no_warp())
    middle, edge = out[10, :, 20], out[10, :, 0]
    thickness = ((middle > -500).sum() - (hu[10, :, 20] > -500).sum()) * 1.0
    assert 4.0 < thickness <= 8.0
    assert np.array_equal(edge, hu[10, :, 0])
    assert np.array_equal(out[:, y > -5], hu[:, y > -5])


def test_breaks_cut_a_mask_as_they_cut_a_bone():
    inside_mm = 1.0
    low = np.floor(bones()["C5"].bounds_mm[0]) - 4
    shape = np.ceil(bones()["C5"].bounds_mm[1] + 4 - low).astype(int)
    nodes = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3) * inside_mm
    mask = (bones()["C5"].distance_mm((nodes + low).astype(np.float32)) < 0).reshape(shape)
    signed = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(mask)
    bone = LatticeBone(
        "C5", Vertebra.C5, DistanceLattice(low, inside_mm, signed.astype(np.float32)), np.stack([low, low + shape])
    )
    for kind in (FractureType.SPINOUS_PROCESS, FractureType.PILLAR, FractureType.FLEXION_TEARDROP):
        breaks = plan_fracture(broken(kind, seed=2), bone).breaks
        assert BrokenBone(bone, breaks).shows_at((nodes + low).astype(np.float32), 0.5).sum() > 20


def test_a_label_map_without_fractures_has_no_boxes():
    case = scanned_ball(FractureAge.HEALED, 1)
    nothing = LabelMap(case.volume.grid, np.zeros(case.volume.grid.shape, np.uint8))
    assert fracture_boxes(replace(case, fractures=nothing)) == ()


def test_soft_tissue_alone_is_painted_where_no_bone_is():
    subject = subject_with(broken(FractureType.PEDICLE))
    grid = Grid.from_axes((2, 4, 4), (1.0, 1.0, 1.0), (60.0, 60.0, 60.0))
    assert (painted(subject, grid) == 50.0).all()
