"""Figures of a labeled neck: extents, overlaps and HU of a neck made of plain blocks, where every answer is known."""

import numpy as np
import pytest

from cspine.domain import Grid, LabelMap, Vertebra, Volume
from cspine.phantom.realism import core_figures, extent_figures, level_extents, nape_figures, tissue_figures

GRID = Grid.from_axes((90, 110, 80), (1.0, 1.0, 1.0), (-39.5, -30.0, 0.0))
STEP = 16  # slices from one vertebra to the next


def blocks() -> tuple[Volume, LabelMap, dict[Vertebra, np.ndarray]]:
    """Return four vertebrae of 12 mm with a spine that hangs 8 mm lower, discs of 4 mm, cord, muscle and fat."""
    hu = np.full(GRID.shape, -1000, dtype=np.int16)
    hu[:, 10:105, 5:75] = -100
    hu[:, 55:90, 10:70] = 60
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    hu[8:72, 22:38, 30:50] = 80
    hu[:, 38:52, 32:48] = 30
    centers = {}
    for k, vertebra in enumerate((Vertebra.C3, Vertebra.C4, Vertebra.C5, Vertebra.C6)):
        top = 10 + k * STEP
        bone = np.zeros(GRID.shape, dtype=bool)
        bone[top : top + 12, 22:38, 30:50] = True
        bone[top + 4 : top + 20, 53:57, 38:42] = True
        labels[bone] = vertebra
        hu[bone] = 1000
        hu[top + 2 : top + 10, 24:36, 32:48] = 250
        centers[vertebra] = GRID.to_world(np.array([top + 5.5, 29.5, 39.5]))
    return Volume(GRID, hu), LabelMap(GRID, labels), centers


def test_extents_and_overlaps_are_those_of_the_blocks():
    _, labels, _ = blocks()
    figures = extent_figures(labels)
    assert figures["C3 extent"] == figures["C6 extent"] == 20.0
    assert figures["C3-C4 overlap"] == 4.0
    assert figures["C4-C5 middles"] == 16.0
    assert "C1-C7 length" not in figures


def test_the_longest_run_counts_and_levels_at_the_end_of_the_scan_do_not():
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[0:10, 50, 40] = Vertebra.C2
    array[20:30, 50, 40] = Vertebra.C3
    array[35, 50, 40] = Vertebra.C3
    extents = level_extents(LabelMap(GRID, array))
    assert set(extents) == {Vertebra.C3}
    assert extents[Vertebra.C3].length_mm == 10.0


def test_hu_of_each_tissue_are_read_where_it_lies():
    figures = tissue_figures(*blocks(), levels=(Vertebra.C3, Vertebra.C4))
    assert figures["cortex 90 %"] == 1000
    assert figures["cancellous 50 %"] == 250
    assert figures["disc 50 %"] == 80
    assert figures["canal 50 %"] == 30
    assert figures["muscle mode"] == pytest.approx(60, abs=2)
    assert figures["fat mode"] == pytest.approx(-100, abs=2)


def test_spongy_bone_is_read_round_the_centers_without_a_mask():
    volume, _, centers = blocks()
    assert core_figures(volume, centers, (Vertebra.C3, Vertebra.C4))["cancellous 50 %"] == 250


def test_what_lies_between_muscle_and_fat_is_counted():
    volume, _, centers = blocks()
    hu = volume.hu.copy()
    hu[:, 90:105] = -20
    sharp = nape_figures(volume, centers[Vertebra.C3])["between muscle and fat %"]
    assert nape_figures(Volume(GRID, hu), centers[Vertebra.C3])["between muscle and fat %"] > sharp + 5


def test_no_mask_gives_no_figure_of_bone():
    volume, _, centers = blocks()
    empty = LabelMap(GRID, np.zeros(GRID.shape, dtype=np.uint8))
    assert not [name for name in tissue_figures(volume, empty, centers, (Vertebra.C3,)) if "cort" in name]
