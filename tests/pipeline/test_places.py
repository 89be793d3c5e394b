"""The ridge of center heat: between voxels, along the spine, past side peaks, across cold gaps."""

import numpy as np

from cspine.domain import Grid
from cspine.pipeline import DecodeSpec, find_places

SPEC = DecodeSpec()
GRID = Grid.from_axes((48, 24, 24), (2.0, 4.0, 4.0))


def heat(centers: list[tuple[np.ndarray, int, float]]) -> np.ndarray:
    """Return heat maps with a Gaussian of 5 mm for each (center in mm, channel, height)."""
    points = GRID.to_world(np.moveaxis(np.indices(GRID.shape), 0, -1))
    maps = np.zeros((9, *GRID.shape))
    for center, channel, height in centers:
        bump = height * np.exp(-0.5 * ((points - center) ** 2).sum(axis=-1) / 25)
        maps[channel] = np.maximum(maps[channel], bump)
    return maps


def test_the_hottest_place_lies_between_voxels_at_the_center_and_bears_its_name() -> None:
    truth = GRID.to_world(np.array([20.0, 11.6, 12.3]))
    places = find_places(heat([(truth, 4, 1.0)]), GRID, SPEC)
    hottest = int(places.total.argmax())
    assert np.linalg.norm(places.centers_lps_mm[hottest] - truth) < 1.0
    assert int(places.evidence[hottest].argmax()) == 4


def test_there_is_one_place_per_slice_from_head_to_foot() -> None:
    centers = [(GRID.to_world(np.array([z, 12.0, 12.0])), k, 0.9) for k, z in enumerate((8.0, 16.0, 24.0))]
    places = find_places(heat(centers), GRID, SPEC)
    z = places.centers_lps_mm @ GRID.directions[0]
    assert (np.diff(z) > 1.9).all()
    assert places.step_mm == 2.0


def test_a_side_peak_as_hot_as_the_spine_is_left_aside() -> None:
    spine = [(GRID.to_world(np.array([z, 12.0, 12.0])), k, 0.8) for k, z in enumerate((8.0, 16.0, 24.0, 32.0))]
    aside = (GRID.to_world(np.array([20.0, 14.0, 17.0])), 2, 0.85)
    places = find_places(heat([*spine, aside]), GRID, SPEC)
    middle = GRID.to_world(np.array([0.0, 12.0, 12.0]))
    assert (np.linalg.norm((places.centers_lps_mm - middle)[:, :2], axis=1) < 6).all()


def test_the_ridge_goes_on_behind_a_cold_gap() -> None:
    centers = [(GRID.to_world(np.array([z, 12.0, 12.0])), k, 0.9) for k, z in ((0, 8.0), (3, 30.0))]
    places = find_places(heat(centers), GRID, SPEC)
    assert {int(e.argmax()) for e in places.evidence} == {0, 3}


def test_heat_below_the_limit_is_no_place() -> None:
    noise = np.random.default_rng(0).uniform(0, SPEC.place_min / 9, size=(9, *GRID.shape))
    assert len(find_places(noise * 0.9, GRID, SPEC)) == 0
