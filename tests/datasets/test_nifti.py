"""Masks as RSNA 2022 stores them: the affine and the published recipe say the same."""

import io

import nibabel
import numpy as np
import pytest

from cspine.datasets import rsna_mask_bytes
from cspine.domain import CANONICAL_DIRECTIONS, Grid, LabelMap

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@pytest.fixture
def labels() -> LabelMap:
    rng = np.random.default_rng(2)
    grid = Grid.from_axes((5, 6, 7), (2.0, 0.5, 0.75), (-10.0, -20.0, 300.0))
    return LabelMap(grid, rng.integers(0, 20, grid.shape).astype(np.uint8))


def read(content: bytes) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_bytes(content)


def test_the_recipe_of_the_challenge_lays_a_mask_on_slices_from_head_to_foot(labels):
    mask = np.asarray(read(rsna_mask_bytes(labels)).dataobj)
    assert mask.dtype == np.uint8
    assert mask.shape == (7, 6, 5)
    assert np.array_equal(mask[:, ::-1, ::-1].transpose(2, 1, 0), labels.labels)


def test_the_affine_puts_every_voxel_where_it_is(labels):
    image = read(rsna_mask_bytes(labels))
    mask = np.asarray(image.dataobj)
    index = np.moveaxis(np.indices(mask.shape), 0, -1).reshape(-1, 3)
    world = (index @ image.affine[:3, :3].T + image.affine[:3, 3]) @ LPS_TO_RAS
    z, y, x = np.rint(labels.grid.to_index(world)).astype(int).T
    assert np.array_equal(labels.labels[z, y, x], mask.reshape(-1))
    assert nibabel.aff2axcodes(image.affine) == ("L", "A", "S")


def test_labels_in_any_axis_order_give_the_same_mask(labels):
    turned_grid = Grid.from_axes(
        (5, 6, 7),
        (2.0, 0.5, 0.75),
        tuple(labels.grid.to_world(np.array([4, 0, 6]))),
        CANONICAL_DIRECTIONS * [[-1], [1], [-1]],
    )
    turned = LabelMap(turned_grid, np.ascontiguousarray(labels.labels[::-1, :, ::-1]))
    assert rsna_mask_bytes(turned) == rsna_mask_bytes(labels)


def test_a_mask_is_not_compressed(labels):
    assert io.BytesIO(rsna_mask_bytes(labels)).read(4) == (348).to_bytes(4, "little")
