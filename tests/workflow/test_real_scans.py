"""Real scans through the shipped bundle: what is named, what is called cut, what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import CERVICAL, Analysis, Box, Grid, InputError, OutOfScope, Vertebra, Volume
from cspine.models import default_bundle_path, load_bundle
from cspine.pipeline import Analyzer
from cspine.stores import open_source

pytestmark = pytest.mark.slow

VISIBLE_HUMAN = "real/visible-human-female-head/vhf_head_1mm_hu.nii.gz"
CTHEAD = "real/unc-cthead/cthead_1x1x2mm_hu_approx.nii.gz"
THORAX = "real/onkodicom-thorax"

Find = Callable[[str], Path]


@pytest.fixture(scope="module")
def shipped() -> Analyzer:
    return Analyzer(load_bundle(default_bundle_path()), threads=2)


def read(path: Path) -> Volume:
    with open_source(path) as source:
        return source.studies()[0].load().volume


def part(volume: Volume, first: int, last: int) -> Volume:
    """Return the canonical slices `first` … `last` − 1 of a volume."""
    canonical = volume.canonical()
    return canonical.crop(Box((first, 0, 0), (last, *canonical.grid.shape[1:])))


@pytest.fixture(scope="module")
def head(shipped: Analyzer, shared_data: Find) -> Analysis:
    return shipped.analyze(read(shared_data(VISIBLE_HUMAN)))


def test_a_head_shows_c1_to_c4_whole_and_c5_cut(head: Analysis) -> None:
    fractions = [head.findings.of(v).visible_fraction for v in CERVICAL]
    assert all(f > 0.9 for f in fractions[:4])
    assert 0 < fractions[4] < 0.97
    assert fractions[5:] == [0.0, 0.0]


def test_the_centers_of_a_head_lie_in_the_middle_of_the_bodies_that_a_person_sees(head: Analysis) -> None:
    # Heights read off the sagittal reformat of this scan, mm above its lowest slice.
    seen = {Vertebra.C1: 72.0, Vertebra.C2: 53.0, Vertebra.C3: 34.0, Vertebra.C4: 18.0}
    for vertebra, height in seen.items():
        center = head.findings.of(vertebra).center_lps_mm
        assert center is not None
        assert abs(center[2] - height) < 6


def test_the_vertebra_at_the_cut_of_a_head_is_not_found_a_second_time(shipped: Analyzer, shared_data: Find) -> None:
    found = shipped.analyze(read(shared_data(CTHEAD))).findings
    fractions = [found.of(v).visible_fraction for v in CERVICAL]
    assert fractions[:4] == [1.0] * 4
    assert 0 < fractions[4] < 0.97
    assert fractions[5:] == [0.0, 0.0]


def test_a_thorax_shows_c3_to_c7_evenly_apart_and_no_more_of_c2_than_is_in_view(
    shipped: Analyzer, shared_data: Find
) -> None:
    found = shipped.analyze(read(shared_data(THORAX))).findings
    fractions = [found.of(v).visible_fraction for v in CERVICAL]
    assert fractions[0] == 0.0
    assert 0.2 < fractions[1] < 0.7  # by eye, the lowest 14 mm of its body
    assert fractions[2:] == [1.0] * 5
    centers = np.array([found.of(v).center_lps_mm for v in CERVICAL[2:]])
    steps = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    assert 12 < steps.min() <= steps.max() < 20


def test_a_chest_below_the_neck_is_out_of_scope(shipped: Analyzer, shared_data: Find) -> None:
    chest = read(shared_data(THORAX))
    with pytest.raises(OutOfScope, match=r"no cervical vertebra found: strongest evidence 0\.\d+, limit 0\.\d+"):
        shipped.analyze(part(chest, chest.grid.shape[0] // 2, chest.grid.shape[0]))


def test_a_head_above_c1_is_out_of_scope(shipped: Analyzer, shared_data: Find) -> None:
    with pytest.raises(OutOfScope, match=r"no cervical vertebra found"):
        shipped.analyze(part(read(shared_data(VISIBLE_HUMAN)), 0, 90))


def test_an_empty_volume_is_out_of_scope(shipped: Analyzer) -> None:
    grid = Grid.from_axes((40, 64, 64), (2.0, 2.0, 2.0))
    with pytest.raises(OutOfScope, match=r"the volume is empty"):
        shipped.analyze(Volume(grid, np.full(grid.shape, -1000, dtype=np.int16)))


def test_single_slices_of_other_parts_are_refused_whatever_their_headers_say(shared_data: Find) -> None:
    for path in sorted(shared_data("real/wrong-part").glob("*.dcm")):
        with pytest.raises(InputError):
            read(path)
