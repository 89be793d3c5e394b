"""The center of C1 is read off its ring."""

import numpy as np
import pytest

from cspine.domain import Grid
from cspine.pipeline.atlas import ring_center

GRID = Grid.from_axes((40, 64, 64), (1.0, 1.0, 1.0), (-31.5, -31.5, 19.5))
WORLD = GRID.to_world(np.moveaxis(np.indices(GRID.shape), 0, -1))


def ring(center: np.ndarray, *, tilt_deg: float = 0.0, back: bool = True) -> np.ndarray:
    """Return a ring of 46 mm from front to back round a center, turned about the left-right axis."""
    angle = np.radians(tilt_deg)
    x, y, z = np.moveaxis(WORLD - center, -1, 0)
    along, up = y * np.cos(angle) + z * np.sin(angle), z * np.cos(angle) - y * np.sin(angle)
    distance = np.hypot(x / 25, along / 23)
    mask = (distance < 1) & (distance > 0.68) & (np.abs(up) < 5)
    return np.asarray(mask & (back | (along < 8)))


@pytest.mark.parametrize("tilt_deg", [-20.0, 0.0, 25.0])
def test_a_guess_in_front_of_the_middle_is_moved_to_the_middle(tilt_deg: float) -> None:
    truth = np.array([1.0, 2.0, -1.0])
    found = ring_center(ring(truth, tilt_deg=tilt_deg), GRID, truth + np.array([0.0, -5.0, 2.0]))
    np.testing.assert_allclose(found, truth, atol=1.0)


def test_without_a_posterior_arch_the_guess_stands() -> None:
    guess = np.array([1.0, -2.0, 0.0])
    np.testing.assert_array_equal(ring_center(ring(np.zeros(3), back=False), GRID, guess), guess)


def test_an_outline_too_short_for_a_ring_leaves_the_guess() -> None:
    guess = np.zeros(3)
    blob = np.abs(WORLD[..., 1]) < 9
    np.testing.assert_array_equal(ring_center(blob, GRID, guess), guess)
