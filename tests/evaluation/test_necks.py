"""The check of real necks: a good one passes, each kind of fault is named with its figure."""

import numpy as np
import pytest

from cspine.domain import CERVICAL, Vertebra
from cspine.evaluation import check_neck, cord_axis

AXIS = np.stack([np.zeros(60), np.full(60, 20.0), np.linspace(-150, 20, 60)], axis=1)


def good() -> dict[Vertebra, tuple[float, float, float]]:
    centers = {v: (0.0, 5.0, -16.0 * v) for v in CERVICAL}
    centers[Vertebra.C1] = (0.0, 18.0, -16.0)
    return centers


def test_a_good_neck_passes() -> None:
    found = check_neck(good(), AXIS)
    assert found.passes
    assert found.spacing_mm["C3–C4"] == pytest.approx(16.0)
    assert found.depth_mm[Vertebra.C5] == pytest.approx(15.0)


def test_a_missing_vertebra_is_named() -> None:
    centers = good()
    del centers[Vertebra.C5]
    assert check_neck(centers, AXIS).problems == ("C5 was not found",)


def test_a_skipped_vertebra_shows_in_the_spacing() -> None:
    centers = good() | {Vertebra.C7: (0.0, 5.0, -128.0)}
    (problem,) = check_neck(centers, AXIS).problems
    assert problem == "C6–C7 are 32.0 mm apart, expected 12 … 26"


def test_a_center_in_the_canal_or_in_the_throat_is_refused() -> None:
    for y, depth in ((18.0, "2.0"), (-10.0, "30.0")):
        problems = check_neck(good() | {Vertebra.C4: (0.0, y, -64.0)}, AXIS).problems
        assert any(f"C4 lies {depth} mm in front of the cord" in p for p in problems)


def test_reversed_order_is_refused() -> None:
    centers = {v: (0.0, 5.0, -16.0 * (8 - v)) for v in CERVICAL}
    assert "C3 lies below C4" in check_neck(centers, AXIS).problems


def test_beyond_the_cord_mask_depth_is_not_judged() -> None:
    short = AXIS[AXIS[:, 2] > -60]
    assert set(check_neck(good(), short).depth_mm) == {Vertebra.C1, Vertebra.C2, Vertebra.C3}


def test_the_axis_is_the_mean_of_the_mask_by_height() -> None:
    rng = np.random.default_rng(0)
    z = rng.uniform(0, 90, 5000)
    points = np.stack([rng.normal(2, 3, 5000), 10 + 0.1 * z + rng.normal(0, 1, 5000), z], axis=1)
    axis = cord_axis(points)
    assert len(axis) == 30
    np.testing.assert_allclose(axis[:, 1], 10 + 0.1 * axis[:, 2], atol=0.5)
