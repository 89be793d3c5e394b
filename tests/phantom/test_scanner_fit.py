"""The measures of real scans that the two scanner families were chosen by."""

import nibabel
import numpy as np
import pytest

from cspine.domain import Box, Grid, Volume
from cspine.phantom.scanner_fit import edge_spread, noise_power_spectrum


def nifti(path):
    image = nibabel.as_closest_canonical(nibabel.load(path))
    spacing = tuple(float(s) for s in image.header.get_zooms()[:3][::-1])
    hu = np.asarray(image.dataobj, dtype=np.float32)[::-1, ::-1, ::-1].transpose(2, 1, 0)
    return Volume(Grid.from_axes(hu.shape, spacing), np.ascontiguousarray(hu))


def white(std, shape=(30, 96, 96), pixel=0.5):
    hu = np.random.default_rng(0).normal(40, std, shape).astype(np.float32)
    return Volume(Grid.from_axes(shape, (1.0, pixel, pixel)), hu)


def test_white_noise_has_a_flat_spectrum_of_variance_times_pixel_area():
    noise = noise_power_spectrum(white(12.0), Box((0, 0, 0), (30, 96, 96)))
    assert noise.power == pytest.approx(np.full_like(noise.power, 144 * 0.25), rel=0.05)
    assert noise.std_hu == pytest.approx(12.0, rel=0.02)
    assert abs(noise.slice_correlation) < 0.01


def test_a_region_smaller_than_a_patch_is_refused():
    with pytest.raises(ValueError, match="must hold a patch of 24 pixels"):
        noise_power_spectrum(white(1.0), Box((0, 0, 0), (2, 20, 20)))


def test_a_region_without_an_edge_is_refused():
    with pytest.raises(ValueError, match="no slice of region"):
        edge_spread(white(1.0), Box((0, 0, 0), (2, 90, 90)))


@pytest.mark.parametrize(
    ("path", "region", "edge", "std_hu", "mean_frequency", "rise_mm"),
    [
        (
            "real/visible-human-female-head",
            Box((32, 208, 216), (44, 256, 264)),
            Box((60, 100, 215), (80, 200, 290)),
            8.5,
            0.27,
            1.27,
        ),
        (
            "real/unc-cthead",
            Box((24, 112, 80), (28, 160, 128)),
            Box((20, 10, 100), (40, 100, 150)),
            6.5,
            0.24,
            1.80,
        ),
    ],
)
def test_noise_and_edges_of_real_heads_are_those_of_the_explanation_page(
    shared_data, path, region, edge, std_hu, mean_frequency, rise_mm
):
    (file,) = [p for p in sorted(shared_data(path).iterdir()) if ".nii" in p.name]
    volume = nifti(file)
    noise = noise_power_spectrum(volume, region)
    assert noise.std_hu == pytest.approx(std_hu, abs=0.3)
    assert noise.mean_frequency_per_mm == pytest.approx(mean_frequency, abs=0.015)
    assert edge_spread(volume, edge).rise_mm == pytest.approx(rise_mm, abs=0.05)
