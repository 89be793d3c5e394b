"""Bones and tissue land on the voxels where they are."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.domain import Grid, Vertebra
from cspine.phantom import Tissue, render_tissue
from cspine.phantom.density import cortex_at
from cspine.phantom.raster import SLAB_SLICES
from cspine.phantom.render import render_hu, render_labels
from cspine.phantom.skeleton import PlacedBone, Skeleton
from cspine.phantom.warp import no_warp, sample_warp
from tests.phantom.subject_builders import STEP_MM, Ball, ball_subject, straight_frames

FIELD = Grid.from_axes((80, 60, 60), (1.5, 1.5, 1.5), (-44.25, -44.25, 59.0))


def voxel_centers(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))


def ball_labels(grid: Grid, radius_mm: float, world: np.ndarray) -> np.ndarray:
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for vertebra in (v for v in Vertebra if v <= Vertebra.T8):
        center = np.array([0, 0, STEP_MM * (Vertebra.C4 - vertebra)])
        labels[np.linalg.norm(world - center, axis=-1) < radius_mm] = vertebra
    return labels


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (0.7, 1.1, 0.9), (4.0, 1.0, 1.0)])
def test_labels_are_the_vertebra_that_holds_the_voxel_center(spacing: tuple[float, float, float]):
    grid = Grid.from_axes((60, 50, 50), spacing, (-25.3, -25.1, 50.2))
    labels = render_labels(ball_subject(), grid, threads=2).labels
    np.testing.assert_array_equal(labels, ball_labels(grid, 8.0, voxel_centers(grid)))


def test_labels_follow_a_tilted_grid():
    turn = np.radians(20)
    directions = np.array([[0, np.sin(turn), -np.cos(turn)], [0, np.cos(turn), np.sin(turn)], [1.0, 0, 0]])
    grid = Grid.from_axes((50, 50, 50), (1.3, 1.3, 1.3), (-30.2, -40.1, 30.3), directions)
    labels = render_labels(ball_subject(), grid).labels
    np.testing.assert_array_equal(labels, ball_labels(grid, 8.0, voxel_centers(grid)))


def test_a_warp_moves_labels_and_centers_alike():
    subject = ball_subject(warp=sample_warp(np.random.default_rng(3), 1.5))
    tissue = render_tissue(subject, FIELD)
    for vertebra in (Vertebra.C3, Vertebra.C5):
        middle = FIELD.to_world(np.argwhere(tissue.bones == vertebra)).mean(axis=0)
        straight = np.array([0, 0, STEP_MM * (Vertebra.C4 - vertebra)])
        assert np.linalg.norm(middle - tissue_center(subject, vertebra)) < 0.5
        assert np.linalg.norm(middle - straight) > 0.3


def tissue_center(subject, vertebra: Vertebra) -> np.ndarray:
    return np.array(subject.centers_lps_mm[vertebra])


def test_a_warp_and_its_inverse_cancel():
    warp = sample_warp(np.random.default_rng(4), 1.6)
    points = np.random.default_rng(5).uniform(-150, 150, (500, 3))
    np.testing.assert_allclose(warp.to_body(warp.to_image(points)), points, atol=1e-3)
    moved = np.linalg.norm(warp.to_body(points) - points, axis=1)
    assert 0.2 < np.sqrt((moved**2).mean()) < 4.0
    assert moved.max() <= warp.largest_mm


def test_the_gradient_of_a_warp_is_its_derivative():
    warp = sample_warp(np.random.default_rng(6), 1.5)
    point = np.array([[10.0, -20.0, 30.0]])
    numeric = np.stack(
        [(warp.to_body(point + step) - warp.to_body(point))[0] / 1e-4 for step in np.eye(3) * 1e-4], axis=1
    )
    np.testing.assert_allclose(warp.gradient(point)[0], numeric, atol=1e-4)


def test_no_warp_moves_nothing():
    points = np.random.default_rng(7).normal(size=(10, 3))
    np.testing.assert_array_equal(no_warp().to_body(points), points)


def test_bone_has_a_shell_and_an_inside():
    tissue = render_tissue(ball_subject(), FIELD)
    inside = tissue.tissue[tissue.bones == Vertebra.C4]
    assert set(np.unique(inside)) == {Tissue.CORTEX, Tissue.CANCELLOUS}
    assert not np.isin(tissue.tissue[tissue.bones == 0], [Tissue.CORTEX, Tissue.CANCELLOUS]).any()


def test_tissue_is_the_same_with_any_number_of_threads():
    one, four = (render_tissue(ball_subject(), FIELD, threads=n) for n in (1, 4))
    np.testing.assert_array_equal(one.tissue, four.tissue)
    np.testing.assert_array_equal(one.bones, four.bones)


def test_hu_are_the_same_with_any_number_of_threads():
    subject = ball_subject(warp=sample_warp(np.random.default_rng(8), 1.0))
    assert FIELD.shape[0] > 2 * SLAB_SLICES
    np.testing.assert_array_equal(render_hu(subject, FIELD, 1), render_hu(subject, FIELD, 3))


def test_bone_edges_are_smooth_and_their_volume_is_right():
    subject = ball_subject(radius_mm=8.0)
    grid = Grid.from_axes((40, 40, 40), (0.6, 0.6, 0.6), (-11.7, -11.7, 11.7))
    hu = render_hu(subject, grid)
    middle = hu[20, 20]
    edge = middle[:20]
    assert edge.max() > 900, "no cortex"
    assert 100 < middle[18:22].mean() < 700, "no spongy bone in the middle"
    bright = (hu > 600).sum() * 0.6**3
    shell = 4 / 3 * np.pi * (8.0**3 - 7.0**3)
    assert 0.5 * shell < bright < 1.6 * shell


def test_fillings_are_metal_and_only_in_teeth():
    teeth = PlacedBone(Ball("teeth", None, 9.0), np.eye(4), 2.0, 2300.0, 1700.0)
    subject = replace(ball_subject(), skeleton=Skeleton((teeth,), straight_frames(), 1.0))
    grid = Grid.from_axes((30, 30, 30), (0.7, 0.7, 0.7), (-10.15, -10.15, 10.15))
    share = {f: float((render_hu(replace(subject, fillings=f), grid) > 5000).mean()) for f in (0.0, 0.2)}
    assert share[0.0] == 0.0
    inside = (np.linalg.norm(voxel_centers(grid), axis=-1) < 9.0).mean()
    assert 0.08 * inside < share[0.2] < 0.35 * inside


def test_arches_have_a_thicker_and_denser_shell_than_bodies():
    placed = ball_subject().skeleton.bones[4]
    thickness, hu = cortex_at(placed, np.array([[0.0, -5.0, 0.0], [0.0, 20.0, 0.0]]))
    assert thickness[1] > 2 * thickness[0]
    assert hu[1] > 1.1 * hu[0]
