"""Crops come without end, repeat by seed, carry their truth, and never come from what must not train."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import CERVICAL, ConfigError, Vertebra
from cspine.phantom import CropPlan, Fracture, FractureType, PhantomSpec, Scanner, crops_of, sample_crops
from cspine.phantom.kernels import OTHER_SOFT_KERNELS
from tests.phantom.subject_builders import ball_subject

PLAN = CropPlan(shape=(16, 24, 24), spacing_mm=(2.0, 1.6, 1.6), scans=2, jitter=2, back_mm=0.0)


@pytest.fixture(autouse=True)
def quick_people(monkeypatch):
    """Everybody's vertebrae are balls: cheap, and every answer is known."""
    monkeypatch.setattr("cspine.phantom.crops.make_subject", lambda _: ball_subject())


def test_each_scan_gives_one_crop_of_each_level():
    crops = list(crops_of(PhantomSpec(1), PLAN, np.random.default_rng(0)))
    assert len(crops) == 2 * len(CERVICAL)
    for scan in (crops[:7], crops[7:]):
        assert sorted(c.vertebra for c in scan) == list(CERVICAL)
        assert len({c.spec.scanner for c in scan}) == 1
    assert crops[0].spec.scanner != crops[7].spec.scanner


def test_a_crop_shows_its_vertebra_as_bone_where_the_labels_are():
    for crop in crops_of(PhantomSpec(1), replace(PLAN, scans=1), np.random.default_rng(0)):
        assert crop.volume.hu.shape == PLAN.shape
        assert crop.volume.grid == crop.labels.grid == crop.fractures.grid
        mask = crop.labels.labels == crop.vertebra
        center = crop.volume.grid.to_world(np.argwhere(mask).mean(axis=0))
        assert center == pytest.approx((0, 0, 18.0 * (Vertebra.C4 - crop.vertebra)), abs=0.5)
        assert crop.volume.hu[mask].mean() > 200 + crop.volume.hu[crop.labels.labels == 0].mean()
        assert not crop.is_fractured


def test_crops_are_the_same_for_the_same_seed_and_differ_for_another():
    first, again, other = (list(islice(sample_crops(PLAN, np.random.default_rng(seed)), 2)) for seed in (3, 3, 4))
    assert [c.volume.hu.tobytes() for c in first] == [c.volume.hu.tobytes() for c in again]
    assert [c.vertebra for c in first] == [c.vertebra for c in again]
    assert first[0].volume.hu.tobytes() != other[0].volume.hu.tobytes()


def test_a_scanner_of_family_b_and_meshes_for_evaluation_are_refused(tmp_path: Path):
    scanner = Scanner(family="B", kernel=OTHER_SOFT_KERNELS[0])
    with pytest.raises(ConfigError, match="family B is for evaluation only"):
        next(crops_of(PhantomSpec(1, scanner=scanner), PLAN, np.random.default_rng(0)))
    broken = PhantomSpec(1, fractures=(Fracture(FractureType.WEDGE, Vertebra.C5, family="B"),))
    with pytest.raises(ConfigError, match="evaluation only"):
        next(crops_of(broken, PLAN, np.random.default_rng(0)))
    meshes = tmp_path / "umtri-cspine"
    meshes.mkdir()
    with pytest.raises(ConfigError, match="umtri-cspine' is for evaluation only"):
        CropPlan(anatomies=(str(meshes),))


def test_impossible_plans_are_refused_by_name():
    with pytest.raises(ConfigError, match="jitter is -1, must be 0 … 50"):
        CropPlan(jitter=-1)
    with pytest.raises(ConfigError, match="anatomies is 0"):
        CropPlan(anatomies=())
