"""A case is a CT with its truth, the same bytes for the same specification."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.domain import Grid, Vertebra
from cspine.phantom import Coverage, PhantomSpec, Scanner, Subject, scan_subject
from cspine.phantom.case import field_grid, fine_grid, ground_truth, in_field
from cspine.phantom.warp import sample_warp
from tests.phantom.subject_builders import STEP_MM, ball_subject

SCANNER = Scanner(matrix=(64, 64), field_of_view_mm=80.0, spacing_mm=2.0, thickness_mm=2.0)


def test_a_ball_cut_in_half_is_half_visible():
    subject = ball_subject(radius_mm=8.0)
    grid = Grid.from_axes((27, 64, 64), (2.0, 1.25, 1.25), (-39.375, -39.375, STEP_MM - 1.0))
    truth = {t.vertebra: t for t in ground_truth(subject, grid, SCANNER).vertebrae}
    assert set(truth) == {Vertebra.C3, Vertebra.C4, Vertebra.C5, Vertebra.C6}
    assert truth[Vertebra.C3].visible_fraction == pytest.approx(0.5, abs=0.03)
    assert truth[Vertebra.C4].visible_fraction == 1.0
    assert truth[Vertebra.C4].center_lps_mm == pytest.approx((0, 0, 0), abs=1e-6)


def test_lateral_cuts_count_too():
    subject = ball_subject(radius_mm=8.0)
    narrow = Scanner(matrix=(64, 64), field_of_view_mm=40.0, spacing_mm=2.0, thickness_mm=2.0)
    grid = Grid.from_axes((40, 64, 64), (2.0, 0.625, 0.625), (-40 + 0.3125, -19.7, 39.0))
    truth = {t.vertebra: t.visible_fraction for t in ground_truth(subject, grid, narrow).vertebrae}
    assert truth[Vertebra.C4] == pytest.approx(0.5, abs=0.03)


def test_what_lies_outside_the_reconstruction_circle_is_not_seen():
    grid = Grid.from_axes((3, 64, 64), (2.0, 1.25, 1.25), (-39.375, -39.375, 2.0))
    corner, middle = np.array([[38.0, 38.0, 0.0]]), np.array([[0.0, 38.0, 0.0]])
    round_field = replace(SCANNER, circle_mm=80.0)
    assert in_field(grid, SCANNER, corner)[0]
    assert not in_field(grid, round_field, corner)[0]
    assert in_field(grid, round_field, middle)[0]


def test_the_field_runs_from_the_level_that_was_asked_for():
    spec = PhantomSpec(
        1, scanner=SCANNER, coverage=Coverage(top=Vertebra.C3, top_mm=5, bottom=Vertebra.C5, bottom_mm=7)
    )
    grid = field_grid(ball_subject(), spec)
    assert grid.to_world(np.zeros(3))[2] == pytest.approx(STEP_MM + 5)
    last = grid.to_world(np.array(grid.shape) - 1)[2]
    assert -STEP_MM - 7 <= last < -STEP_MM - 7 + SCANNER.spacing_mm


@pytest.mark.parametrize("tilt_deg", [0.0, 15.0])
def test_the_fine_grid_holds_the_whole_field(tilt_deg: float):
    spec = PhantomSpec(1, scanner=replace(SCANNER, tilt_deg=tilt_deg))
    grid = field_grid(ball_subject(), spec)
    fine = fine_grid(grid)
    corners = np.array([[b >> i & 1 for i in range(3)] for b in range(8)]) * (np.array(grid.shape) - 1)
    index = fine.to_index(grid.to_world(corners))
    assert (index >= 0).all()
    assert (index <= np.array(fine.shape) - 1).all()


def test_equal_specifications_make_equal_bytes_on_one_and_on_three_threads():
    subject = ball_subject(warp=sample_warp(np.random.default_rng(3), 1.0))
    spec = PhantomSpec(
        9, scanner=SCANNER, coverage=Coverage(top=Vertebra.C3, top_mm=0, bottom=Vertebra.C5, bottom_mm=0)
    )
    one, two = (scan_subject(subject, spec, threads) for threads in (1, 3))
    assert one.volume.hu.tobytes() == two.volume.hu.tobytes()
    assert one.labels.labels.tobytes() == two.labels.labels.tobytes()
    assert one.truth == two.truth


@pytest.mark.slow
def test_a_procedural_case_shows_bone_where_its_labels_are(procedural_spec: PhantomSpec, procedural_subject: Subject):
    case = scan_subject(procedural_subject, procedural_spec)
    labels, hu = case.labels.labels, case.volume.hu
    assert case.labels.grid == case.volume.grid
    seen = [t.vertebra for t in case.truth.vertebrae]
    assert set(np.unique(labels)) - {0} <= {int(v) for v in seen}
    inside, outside = hu[labels > 0], hu[labels == 0]
    assert np.median(inside) > 250
    assert np.median(outside) < 100
    for truth in case.truth.vertebrae:
        share = (labels == truth.vertebra).sum() * case.volume.grid.voxel_mm3
        whole = share / truth.visible_fraction if truth.visible_fraction > 0.3 else None
        if whole is not None:
            assert 3_000 < whole < 22_000, f"{truth.vertebra.name} has {whole:.0f} mm³"
