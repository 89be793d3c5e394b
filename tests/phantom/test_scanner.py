"""The scanner: what goes in sharp comes out as the kernel, the slice and the dose say."""

from dataclasses import replace

import numpy as np
import pytest

from cspine.domain import Box, Grid, Volume
from cspine.phantom.kernels import BONE_KERNELS, OTHER_BONE_KERNELS, SOFT_KERNELS, Kernel
from cspine.phantom.scanner import HU_MAX, HU_MIN, Scanner, native_grid, sample_scanner, scan
from cspine.phantom.scanner_fit import edge_spread, noise_power_spectrum

QUIET = Scanner(
    field_of_view_mm=64.0,
    matrix=(128, 128),
    spacing_mm=1.0,
    thickness_mm=1.0,
    kernel=Kernel("GAUSS", 0.3, 0.0),
    noise_hu=0.0,
    hardening=0.0,
)


def cube(shape=(16, 160, 160), hu=0.0, step=0.5):
    grid = Grid.from_axes(shape, (1.0, step, step), (-step * (shape[2] - 1) / 2, -step * (shape[1] - 1) / 2, 0.0))
    return np.full(shape, hu, dtype=np.float32), grid


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_thin_wire_comes_out_as_wide_as_the_kernel_says():
    hu, grid = cube()
    hu[:, 79:81, 79:81] = 2000.0
    image = scan(hu, grid, QUIET, rng()).hu[8].astype(float)
    coordinates = np.arange(128) * 0.5
    profile = image.sum(axis=0)
    middle = (coordinates * profile).sum() / profile.sum()
    sigma = np.sqrt(((coordinates - middle) ** 2 * profile).sum() / profile.sum())
    # A transfer of exp(−2 π² σ² f²) is one half at 0.1874 / σ; the wire itself is 1 mm wide.
    assert sigma == pytest.approx(np.hypot(0.1874 / 0.3, 1 / np.sqrt(12)), rel=0.05)


@pytest.mark.parametrize("kernel", [*SOFT_KERNELS, *BONE_KERNELS, *OTHER_BONE_KERNELS])
def test_the_transfer_is_one_at_zero_and_one_half_where_the_kernel_says(kernel):
    assert kernel.transfer(np.array([0.0, kernel.half_per_mm])) == pytest.approx([1.0, 0.5], abs=1e-6)
    assert abs(float(kernel.transfer(np.array(4 * kernel.half_per_mm)))) < 0.02


def edge_of(kernel, pixel_scanner):
    hu, grid = cube((6, 320, 320), -1000.0, 0.25)
    row = 150 + 0.08 * np.arange(320)
    hu[:, np.arange(320)[:, None] > row[None, :]] = 40.0
    seen = scan(hu, grid, replace(pixel_scanner, kernel=kernel, family=kernel.family), rng())
    return edge_spread(Volume(seen.grid, seen.hu), Box((0, 20, 30), (6, 110, 98)))


def test_sharp_kernels_have_steeper_edges_and_overshoot():
    soft, bone = edge_of(SOFT_KERNELS[0], QUIET), edge_of(BONE_KERNELS[2], QUIET)
    assert soft.rise_mm == pytest.approx(2.563 * 0.1874 / SOFT_KERNELS[0].half_per_mm, rel=0.12)
    assert bone.rise_mm < 0.6 * soft.rise_mm
    assert bone.overshoot > 0.04 > abs(soft.overshoot) + 0.01


@pytest.mark.parametrize("kernel", [SOFT_KERNELS[1], BONE_KERNELS[0], OTHER_BONE_KERNELS[0]])
def test_noise_of_a_flat_region_has_the_spectrum_of_the_kernel(kernel):
    hu, grid = cube((40, 200, 200), 0.0)
    scanner = replace(
        QUIET, kernel=kernel, family=kernel.family, noise_hu=30.0, field_of_view_mm=96.0, matrix=(192, 192)
    )
    seen = scan(hu, grid, scanner, rng())
    noise = noise_power_spectrum(Volume(seen.grid, seen.hu), Box((0, 24, 24), (40, 168, 168)))
    expected = kernel.noise_power(noise.frequency_per_mm)
    shape = noise.power / noise.power.sum()
    assert np.abs(shape - expected / expected.sum()).max() < 0.12 * (expected / expected.sum()).max()
    assert abs(noise.slice_correlation) < 0.05


def test_noise_is_as_strong_as_asked_for_in_an_average_neck_and_grows_with_thickness():
    std = []
    for half in (65.0, 110.0):
        hu, grid = cube((6, 240, 240), -1000.0, 1.0)
        y, x = np.mgrid[:240, :240] - 119.5
        hu[:, np.hypot(x, y) < half] = 0.0
        seen = scan(hu, grid, replace(QUIET, noise_hu=20.0, field_of_view_mm=240.0, matrix=(240, 240)), rng())
        std.append(seen.hu[:, 108:132, 108:132].std())
    assert std[0] == pytest.approx(20.0, rel=0.1)
    assert std[1] > 1.25 * std[0]


def test_noise_streaks_run_from_shoulder_to_shoulder():
    hu, grid = cube((6, 200, 300), -1000.0, 1.5)
    hu[:, 70:130, 20:280] = 40.0
    scanner = replace(QUIET, noise_hu=10.0, field_of_view_mm=200.0, matrix=(256, 256), modulation=0.4)
    body = Volume(grid, hu)
    plane = scan(hu, grid, scanner, rng(), whole_body=body).hu[3, 100:156, 60:196].astype(float)
    along = np.corrcoef(plane[:, :-4].ravel(), plane[:, 4:].ravel())[0, 1]
    across = np.corrcoef(plane[:-4].ravel(), plane[4:].ravel())[0, 1]
    assert along > 0.3 > across + 0.2


def test_slices_thicker_than_their_spacing_share_noise_and_blur_what_is_thin():
    hu, grid = cube((40, 160, 160), 0.0)
    hu[20] = 1000.0
    thin, thick = (
        scan(hu, grid, replace(QUIET, thickness_mm=t, noise_hu=10.0), rng()).hu.astype(float) for t in (1.0, 2.0)
    )
    assert thin[20].mean() == pytest.approx(1000, abs=5)
    assert thick[20].mean() == pytest.approx(500, abs=5)
    assert thick[19].mean() == pytest.approx(250, abs=5)
    calm = thick[2:12, 40:90, 40:90]
    assert np.corrcoef(calm[:-1].ravel(), calm[1:].ravel())[0, 1] == pytest.approx(0.67, abs=0.08)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_noise():
    hu, grid = cube()
    hu[5:9, 60:64, 60:64] = 9000.0
    scanner = replace(QUIET, noise_hu=15.0, motion_mm=1.0)
    first, again, other = (scan(hu, grid, scanner, rng(seed)).hu for seed in (7, 7, 8))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_pixels_outside_the_reconstruction_circle_are_padded_and_none_inside():
    hu, grid = cube(hu=-1000.0)
    scanner = replace(QUIET, circle_mm=64.0, padding_hu=-2000)
    seen = scan(hu, grid, scanner, rng()).hu
    y, x = (np.mgrid[:128, :128] - 63.5) * 0.5
    outside = np.hypot(x, y) > 32
    assert (seen[:, outside] == -2000).all()
    assert (seen[:, ~outside] == -1000).all()


def test_metal_saturates_and_throws_bright_and_dark_streaks():
    hu, grid = cube((8, 200, 200), 40.0)
    for column in (60, 130):
        hu[2:6, 95:105, column : column + 10] = 12000.0
    wide = replace(QUIET, field_of_view_mm=100.0, matrix=(200, 200))
    seen = scan(hu, grid, wide, rng()).hu
    assert seen.max() == HU_MAX
    assert seen[3, 100, 65] == HU_MAX
    assert seen[3, 98:102, 90:110].mean() < -100  # the dark band between two fillings
    ring = seen[3, 20:80, 20:180]
    assert ring.max() > 90
    assert ring.min() < -10
    assert np.abs(seen[0].astype(int) - 40).max() <= 1  # slices without metal stay clean
    assert np.abs(scan(hu, grid, replace(wide, metal=0.0), rng()).hu[3, 20:80].astype(int) - 40).max() <= 1


def test_beam_hardening_darkens_the_band_between_two_dense_bones():
    hu, grid = cube((6, 200, 200), 40.0)
    hu[:, 90:110, 30:60] = hu[:, 90:110, 140:170] = 1500.0
    wide = replace(QUIET, field_of_view_mm=100.0, matrix=(200, 200))
    without, with_it = (scan(hu, grid, replace(wide, hardening=h), rng()).hu[3].astype(float) for h in (0.0, 0.06))
    change = with_it - without
    assert -60 < change[95:105, 90:110].mean() < -5
    assert change[95:105, 90:110].mean() < 2 * change[20:40, 90:110].mean()


def test_a_moving_patient_shifts_slices_and_leaves_most_of_them_in_place():
    hu, grid = cube((60, 160, 160), -1000.0)
    hu[:, 50:110, 50:110] = 40.0
    still, moved = (scan(hu, grid, replace(QUIET, motion_mm=m), rng(3)).hu.astype(float) for m in (0.0, 2.0))
    changed = np.abs(moved - still).max(axis=(1, 2)) > 20
    assert 1 <= changed.sum() <= 50
    assert np.abs(moved - still)[~changed].max() < 2


def test_a_tilted_series_shows_every_point_where_its_grid_says():
    hu, grid = cube((64, 160, 160), -1000.0)
    z, y, x = np.meshgrid(*(np.arange(n) for n in hu.shape), indexing="ij")
    world = grid.to_world(np.stack([z, y, x], axis=-1))
    ball = np.array([4.0, -9.0, -25.0])
    hu[np.linalg.norm(world - ball, axis=-1) < 6] = 1000.0
    scanner = replace(QUIET, tilt_deg=15.0)
    target = native_grid(scanner, (0.0, 0.0, -30.0), -5.0, -55.0)
    seen = scan(hu, grid, scanner, rng(), target=target)
    found = target.to_world(np.argwhere(seen.hu > 0).mean(axis=0))
    assert np.linalg.norm(found - ball) < 0.3
    normal = target.directions[0]
    assert np.rad2deg(np.arccos(abs(normal[2]))) == pytest.approx(15.0, abs=1e-6)


def test_the_native_grid_is_canonical_and_centered():
    scanner = replace(QUIET, matrix=(96, 128), spacing_mm=0.8)
    grid = native_grid(scanner, (3.0, -4.0, 0.0), 50.0, -50.0)
    assert grid.shape == (126, 96, 128)
    assert grid.spacing_mm == pytest.approx((0.8, 0.5, 0.5))
    assert grid.canonical() == grid
    assert grid.to_world(np.array([0, 47.5, 63.5])) == pytest.approx([3.0, -4.0, 50.0])


def test_every_sampled_scanner_is_valid_and_family_b_is_another_one():
    for family in ("A", "B"):
        drawn = [sample_scanner(rng(seed), family) for seed in range(300)]
        assert {s.family for s in drawn} == {s.kernel.family for s in drawn} == {family}
        assert 0.75 < np.mean([0.4 <= s.spacing_mm <= 1.0 for s in drawn]) < 1
        assert all(120 <= s.field_of_view_mm <= 500 and s.thickness_mm >= s.spacing_mm for s in drawn)
        assert {s.matrix for s in drawn} >= {(512, 512), (768, 768)}


def test_values_stay_within_twelve_bits():
    hu, grid = cube(hu=-1000.0)
    hu[:, 40:80, 40:80] = 30000.0
    seen = scan(hu, grid, replace(QUIET, noise_hu=100.0), rng()).hu
    assert seen.min() == HU_MIN
    assert seen.max() == HU_MAX


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thickness_mm": 0.5}, "thickness must be at least the spacing, got 0.5 mm at 1.0 mm"),
        ({"field_of_view_mm": 5.0}, "field_of_view_mm must be 20 … 700, got 5.0"),
        ({"tilt_deg": 45.0}, "tilt_deg must be −30 … 30, got 45.0"),
        ({"family": "B"}, "that of the kernel"),
    ],
)
def test_impossible_scanners_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(QUIET, **change)
