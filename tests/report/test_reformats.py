from itertools import pairwise

import numpy as np
import pytest

from cspine.domain import AXIS_ORDERS, CERVICAL, AxisOrder, Grid, LabelMap, Vertebra, Volume
from cspine.report.drawing import LARGE, Marks, Window, draw, position_text
from cspine.report.palette import BEYOND_SCAN, INK, LEVEL_COLORS, level_color
from cspine.report.reformats import AIR_HU, axial, coronal, sagittal, sample
from tests.report.builders import centers_lps_mm, coded_labels, coded_volume, default_grid, finding, nothing_found

NO_MARKS = Marks("", (), (), phantom=False)


@pytest.fixture(scope="module")
def neck() -> tuple[Volume, LabelMap]:
    grid = default_grid()
    labels = coded_labels(grid)
    return coded_volume(grid, labels), LabelMap(grid, labels)


@pytest.fixture(scope="module")
def found(neck):
    return tuple(finding(v, neck[1]) for v in CERVICAL)


@pytest.mark.parametrize("surface", [sagittal, coronal])
def test_the_curved_surfaces_go_through_every_body(surface, neck, found):
    volume, labels = neck
    reformat = surface(found, volume.grid)
    sampled = sample(reformat, volume, labels)
    for vertebra, center in centers_lps_mm().items():
        if vertebra == Vertebra.C1:
            continue  # the center of its ring is canal
        row, column = reformat.pixel_of(center)
        assert sampled.labels[round(row), round(column)] == vertebra
        assert np.linalg.norm(reformat.points_lps_mm[round(row), round(column)] - center) < 2.5


def test_the_coronal_surface_ignores_the_ring_of_the_atlas(neck, found):
    reformat = coronal(found, neck[0].grid)
    row = round(reformat.pixel_of(centers_lps_mm()[Vertebra.C1])[0])
    body_of_c2 = centers_lps_mm()[Vertebra.C2][1]
    assert abs(reformat.points_lps_mm[row, 0, 1] - body_of_c2) < 2
    assert centers_lps_mm()[Vertebra.C1][1] - body_of_c2 > 8


@pytest.mark.parametrize("axes", AXIS_ORDERS, ids=str)
def test_pictures_are_the_same_from_every_orientation(axes: AxisOrder, neck, found):
    volume, labels = neck
    turned = Volume(volume.grid.reordered(axes), axes.apply(volume.hu))
    turned_labels = LabelMap(turned.grid, axes.apply(labels.labels))
    for surface in (sagittal, coronal):
        straight = sample(surface(found, volume.grid), volume, labels)
        other = sample(surface(found, turned.grid), turned, turned_labels)
        assert np.abs(straight.hu - other.hu).max() < 0.01
        assert (straight.labels != other.labels).mean() < 1e-3  # points on the border of two voxels may fall either way


def test_pictures_hang_head_up_front_left_and_right_side_left(neck, found):
    side, front = sagittal(found, neck[0].grid).points_lps_mm, coronal(found, neck[0].grid).points_lps_mm
    across = axial(centers_lps_mm()[Vertebra.C4]).points_lps_mm
    assert side[0, 0, 2] > side[-1, 0, 2]
    assert side[0, 0, 1] < side[0, -1, 1]
    assert front[0, 0, 2] > front[-1, 0, 2]
    assert front[0, 0, 0] < front[0, -1, 0]
    assert across[0, 0, 0] < across[0, -1, 0]
    assert across[0, 0, 1] < across[-1, 0, 1]


def test_a_world_point_is_drawn_where_its_pixel_lies(neck, found):
    for reformat in (sagittal(found, neck[0].grid), coronal(found, neck[0].grid), axial((1.0, 2.0, 3.0))):
        point = reformat.points_lps_mm[17, 23]
        assert reformat.pixel_of(point) == pytest.approx((17, 23))


def test_beyond_the_scan_there_is_air_without_labels_and_another_tone(neck, found):
    volume, labels = neck
    reformat = sagittal(found, volume.grid)
    sampled = sample(reformat, volume, labels)
    assert not sampled.inside[0].any()  # a strip above the first slice
    assert (sampled.hu[~sampled.inside] == AIR_HU).all()
    assert (sampled.labels[~sampled.inside] == 0).all()
    picture = np.asarray(draw(reformat, sampled, NO_MARKS, LARGE))
    assert tuple(picture[3, picture.shape[1] // 3]) == BEYOND_SCAN


def test_a_scan_without_vertebrae_is_cut_in_its_middle():
    analysis, source = nothing_found()
    grid = source.volume.grid
    middle = grid.to_world((np.array(grid.shape) - 1) / 2)
    for surface, axis in ((sagittal, 0), (coronal, 1)):
        reformat = surface(analysis.findings.vertebrae, grid)
        assert np.ptp(reformat.points_lps_mm[..., axis]) == 0
        assert reformat.points_lps_mm[0, 0, axis] == pytest.approx(middle[axis])


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 40), (900, 8, 8)])
def test_odd_fields_give_a_picture_of_bounded_size(shape: tuple[int, int, int]):
    grid = Grid.from_axes(shape, (1.0, 0.5, 0.5))
    volume = Volume(grid, np.zeros(shape, dtype=np.int16))
    labels = LabelMap(grid, np.zeros(shape, dtype=np.uint8))
    for surface in (sagittal, coronal):
        reformat = surface((), grid)
        picture = draw(reformat, sample(reformat, volume, labels), NO_MARKS, LARGE)
        assert max(picture.size) == 900
        assert min(picture.size) > 200


def test_every_seen_level_is_outlined_in_its_color(neck, found):
    volume, labels = neck
    reformat = sagittal(found, volume.grid)
    picture = np.asarray(draw(reformat, sample(reformat, volume, labels), NO_MARKS, LARGE)).reshape(-1, 3)
    for vertebra in CERVICAL:
        close = np.abs(picture.astype(int) - level_color(vertebra)).max(axis=1) < 3
        assert close.sum() > 50, vertebra


def test_a_phantom_is_marked_in_the_middle_of_the_picture(neck, found):
    volume, labels = neck
    reformat = sagittal(found, volume.grid)
    sampled = sample(reformat, volume, labels)
    plain = np.asarray(draw(reformat, sampled, NO_MARKS, LARGE)).astype(int)
    marked = np.asarray(draw(reformat, sampled, Marks("", (), (), phantom=True), LARGE)).astype(int)
    height, width, _ = plain.shape
    middle = np.s_[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
    assert (marked[middle] - plain[middle]).max() > 30
    assert (marked >= plain).all()


def test_a_window_maps_its_ends_to_black_and_white():
    window = Window(400, 1800)
    assert window.gray(np.array([-2000.0, -500.0, 400.0, 1300.0, 4000.0])).tolist() == [0, 0, 127, 255, 255]
    assert window.text == "W 1800 L 400"


def test_positions_are_said_in_letters():
    assert position_text(0, -2.6) == "R 3 mm"
    assert position_text(1, -1.2, 3.4) == "A 1 to P 3 mm"
    assert position_text(2, 1412.0, 1412.3) == "H 1412 mm"
    assert position_text(0, -0.3) == "R/L 0 mm"


# Machado, Oliveira and Fernandes, IEEE TVCG 2009: severity 1.0, on linear RGB.
VISION = {
    "all": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def _lab(rgb: tuple[int, int, int], vision: str) -> np.ndarray:
    coded = np.array(rgb) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    x, y, z = np.array(to_xyz) @ seen / [0.95047, 1, 1.08883]
    fx, fy, fz = (np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("vision", VISION)
def test_neighbors_differ_and_stand_out_from_black_for_every_kind_of_vision(vision: str):
    colors = [_lab(color, vision) for color in LEVEL_COLORS.values()]
    assert min(np.linalg.norm(a - b) for a, b in pairwise(colors)) > 20
    assert min(color[0] for color in colors) > 45
    assert len({*LEVEL_COLORS.values(), INK, BEYOND_SCAN}) == 9
