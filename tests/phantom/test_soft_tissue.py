"""Soft tissue hangs on the frames: where it lies, what it is, and that it is the same on every grid."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cspine.domain import Grid, Vertebra
from cspine.phantom import Subject
from cspine.phantom.body import Body, Contrast, Immobilizer, Table, sample_body
from cspine.phantom.outline import Axes, Ripple
from cspine.phantom.render import render_tissue
from cspine.phantom.skeleton import Skeleton
from cspine.phantom.soft_tissue import Tissue, paint_body, paint_tissue
from cspine.phantom.spine_axis import SpineAxis
from cspine.phantom.tissue import USUAL_HU, hu_table
from tests.phantom.subject_builders import ball_subject

PLAIN = Body(table=Table.NONE, immobilizer=Immobilizer.NONE)
NECK = Grid.from_axes((100, 100, 100), (2.0, 2.0, 2.0), (-99.0, -110.0, 72.0))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return ball_subject().skeleton


@pytest.fixture(scope="module")
def neck(skeleton: Skeleton) -> np.ndarray:
    return paint_tissue(skeleton, NECK, PLAIN, rng())


def places(classes: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Return LPS mm (N, 3) of the voxels of a class."""
    return NECK.to_world(np.argwhere(classes == tissue))


def test_every_tissue_of_a_neck_is_there(neck: np.ndarray) -> None:
    wanted = {
        Tissue.AIR, Tissue.SKIN, Tissue.FAT, Tissue.MUSCLE, Tissue.DISC, Tissue.CORD, Tissue.CSF, Tissue.AIRWAY,
        Tissue.ARTERY, Tissue.VEIN, Tissue.THYROID, Tissue.LIGAMENT, Tissue.GLAND, Tissue.MUCOSA, Tissue.OESOPHAGUS,
        Tissue.LUNG,
    }  # fmt: skip
    assert wanted <= {Tissue(int(k)) for k in np.unique(neck)}


def test_the_cord_runs_unbroken_inside_the_sac_behind_the_bodies(neck: np.ndarray) -> None:
    cord = neck == Tissue.CORD
    assert cord.any(axis=(1, 2))[40:].all()
    _, parts = ndimage.label(cord)
    assert parts == 1
    y = places(neck, Tissue.CORD)[:, 1]
    assert 8 < y.min() < y.max() < 28
    round_it = ndimage.binary_dilation(cord[60], iterations=1) & ~cord[60]
    assert (neck[60][round_it] == Tissue.CSF).all()


def test_the_airway_is_open_from_pharynx_to_trachea_and_lies_in_front_of_the_spine(neck: np.ndarray) -> None:
    airway = neck == Tissue.AIRWAY
    assert airway.any(axis=(1, 2))[25:].all()
    below_skull = places(neck, Tissue.AIRWAY)
    below_skull = below_skull[below_skull[:, 2] < 50]
    assert below_skull[:, 1].max() < -8
    labels, _ = ndimage.label(airway[15:], structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes.max() > 0.8 * sizes.sum()


def test_prevertebral_tissue_is_thin_above_c4_and_thicker_below(skeleton: Skeleton) -> None:
    fine = Grid.from_axes((240, 120, 1), (0.5, 0.5, 2.0), (0.0, -65.0, 40.0))
    middle = paint_tissue(skeleton, fine, PLAIN, rng())[:, :, 0]
    gap = {}
    for level, z in ((Vertebra.C3, 18.0), (Vertebra.C7, -54.0)):
        row = middle[int(2 * (40.0 - z))]
        last_air = np.flatnonzero(row == Tissue.AIRWAY).max()
        front = (-8.0 + 65.0) / 0.5
        gap[level] = 0.5 * (front - last_air)
    assert 1.5 <= gap[Vertebra.C3] <= 8
    assert 8 <= gap[Vertebra.C7] <= 22


def test_the_left_and_the_right_are_alike_but_not_the_same(neck: np.ndarray) -> None:
    left, right = neck[:, :, 50:], neck[:, :, :50][:, :, ::-1]
    same = (left == right)[left != Tissue.AIR].mean()
    assert 0.7 < same < 0.999


def test_the_same_state_gives_the_same_anatomy_on_any_grid(skeleton: Skeleton, neck: np.ndarray) -> None:
    again = paint_tissue(skeleton, NECK, PLAIN, rng())
    assert again.tobytes() == neck.tobytes()
    part = Grid.from_axes((30, 40, 40), (2.0, 2.0, 2.0), (-39.0, -50.0, 12.0))
    small = paint_tissue(skeleton, part, PLAIN, rng())
    assert (small == neck[30:60, 30:70, 30:70]).mean() > 0.97
    assert (paint_tissue(skeleton, NECK, PLAIN, rng(1)) != neck).mean() > 0.005


def test_a_turned_grid_shows_the_same_body(skeleton: Skeleton, neck: np.ndarray) -> None:
    flipped = Grid(NECK.shape, NECK.affine @ np.array([[-1, 0, 0, 99], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    seen = paint_tissue(skeleton, flipped, PLAIN, rng())[::-1]
    assert (seen == neck).mean() > 0.97


def test_anatomy_moves_with_the_frames(skeleton: Skeleton, neck: np.ndarray) -> None:
    shift = np.eye(4)
    shift[:3, 3] = (6.0, -4.0, 10.0)
    moved = Skeleton(
        tuple(replace(b, to_body=shift @ b.to_body) for b in skeleton.bones),
        {v: shift @ f for v, f in skeleton.frames.items()},
        skeleton.scale,
    )
    affine = shift @ NECK.affine
    seen = paint_tissue(moved, Grid(NECK.shape, affine), PLAIN, rng())
    # Bumps of the skin and the warp of muscles belong to the body frame and stay; all else moves.
    for tissue in (Tissue.CORD, Tissue.AIRWAY, Tissue.THYROID, Tissue.DISC):
        assert (seen == tissue).sum() == pytest.approx((neck == tissue).sum(), rel=0.02)


def test_fat_thickens_the_layer_under_the_skin(skeleton: Skeleton) -> None:
    fat = [
        (paint_tissue(skeleton, NECK, replace(PLAIN, fat_mm=mm), rng())[60:70] == Tissue.FAT).sum()
        for mm in (3.0, 20.0)
    ]
    assert fat[1] > 1.5 * fat[0]


def test_table_rest_and_collar_lie_in_the_air_and_leave_the_body_alone(skeleton: Skeleton, neck: np.ndarray) -> None:
    wide = Grid.from_axes((60, 80, 80), (4.0, 4.0, 4.0), (-158.0, -130.0, 100.0))
    bare = paint_tissue(skeleton, wide, PLAIN, rng())
    held = replace(PLAIN, table=Table.CURVED, immobilizer=Immobilizer.CRADLE, collar=True)
    full = paint_tissue(skeleton, wide, held, rng())
    added = full != bare
    assert (bare[added] == Tissue.AIR).all()
    assert {Tissue.FOAM, Tissue.PLASTIC, Tissue.TABLE} <= {Tissue(int(k)) for k in np.unique(full[added])}
    assert (paint_tissue(skeleton, NECK, replace(PLAIN, collar=True), rng()) == Tissue.PLASTIC).sum() > 500
    assert not (neck == Tissue.PLASTIC).any()


def test_raised_arms_lie_beside_the_head_with_a_bone_in_each(skeleton: Skeleton) -> None:
    wide = Grid.from_axes((30, 60, 110), (4.0, 4.0, 4.0), (-218.0, -130.0, 130.0))
    seen = paint_tissue(skeleton, wide, replace(PLAIN, arms_up=True), rng())
    for side in (seen[:, :, :25], seen[:, :, -25:]):
        assert {Tissue.CORTEX, Tissue.MUSCLE, Tissue.FAT} <= {Tissue(int(k)) for k in np.unique(side)}
    assert not (paint_tissue(skeleton, wide, PLAIN, rng())[:20, :, :20] != Tissue.AIR).any()


def test_hounsfield_units_are_those_of_the_tissues(skeleton: Skeleton) -> None:
    grid = Grid.from_axes((60, 110, 110), (1.0, 1.0, 1.0), (-54.0, -70.0, 10.0))
    body = replace(PLAIN, contrast=Contrast.ARTERIAL, artery_hu=320.0, vein_hu=90.0)
    hu = paint_body(skeleton, grid, body, rng())
    classes = paint_tissue(skeleton, grid, body, rng())
    table = hu_table(muscle=body.muscle_hu, fat=body.fat_hu, artery=320.0, vein=90.0)
    assert hu.dtype == np.float32
    for tissue in (Tissue.MUSCLE, Tissue.FAT, Tissue.CORD, Tissue.ARTERY, Tissue.VEIN, Tissue.AIR):
        inside = ndimage.binary_erosion(classes == tissue)
        assert np.median(hu[inside]) == pytest.approx(table[tissue], abs=12)
    assert 30 <= USUAL_HU[Tissue.CORD] <= 45
    assert 80 <= USUAL_HU[Tissue.DISC] <= 110


@pytest.mark.slow
def test_a_person_under_the_skin_has_no_bone_in_the_air(procedural_subject: Subject) -> None:
    middle = procedural_subject.centers_lps_mm[Vertebra.C4]
    start = (middle[0] - 118.5, middle[1] - 118.5, middle[2] + 90.0)
    grid = Grid.from_axes((66, 80, 80), (3.0, 3.0, 3.0), start)
    bones = render_tissue(procedural_subject, grid).bones > 0
    classes = paint_tissue(procedural_subject.skeleton, grid, procedural_subject.body, procedural_subject.rng())
    assert bones.sum() > 2000
    assert (classes[bones] == Tissue.AIR).mean() < 0.003


def test_the_axis_follows_the_frames_and_measures_levels(skeleton: Skeleton) -> None:
    axis = SpineAxis.through(skeleton)
    z = np.array([18.0, 0.0, -36.0])  # C3, C4, C6
    assert axis.level_at(z) == pytest.approx([3, 4, 6], abs=0.02)
    assert axis.front(np.array([4.0]))[0] < -10
    there = axis.point(np.array([4.0]), np.array([5.0]), np.array([0.0]))[0]
    assert there[0] == pytest.approx(5.0, abs=0.01)
    assert there[1] > 8


def test_ripples_do_not_depend_on_the_grid() -> None:
    ripple = Ripple.sample(rng(), 40.0, 1.5)
    part = Grid.from_axes((10, 20, 30), (2.0, 2.0, 2.0), (-39.0, -50.0, 12.0))
    whole = ripple.on(Axes.of(NECK))
    assert ripple.on(Axes.of(part)) == pytest.approx(whole[30:40, 30:50, 30:60], abs=1e-3)
    assert 0.7 < whole.std() < 2.5


def test_sampled_bodies_are_valid_and_mostly_without_contrast() -> None:
    drawn = [sample_body(rng(seed)) for seed in range(300)]
    assert 0.75 < np.mean([b.contrast is Contrast.NONE for b in drawn]) < 0.93
    assert {b.sex for b in drawn} == {"female", "male"}
    assert all(b.artery_hu > 120 for b in drawn if b.contrast is not Contrast.NONE)


@pytest.mark.parametrize(("change", "message"), [({"sex": "x"}, "female or male"), ({"fat_mm": 80.0}, "1 … 40")])
def test_impossible_bodies_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PLAIN, **change)
