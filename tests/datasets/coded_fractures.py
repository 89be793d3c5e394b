"""Coded necks with the fractures of a specification: a slot in a block, in place of a phantom of half a minute."""

import numpy as np

from cspine.domain import Box, FractureTruth, Grid, LabelMap, MimicTruth, Vertebra, Volume, WorldBox
from cspine.phantom import Case, Fracture, FractureAge, PhantomSpec
from tests.models.coded import coded_case

SPACING_MM = (4.0, 3.0, 3.0)
SLOT_HU = 40
_HALF_SLOT_MM = np.array([7.0, 5.0, 4.5])


def coded_with_fractures(spec: PhantomSpec, threads: int = 1) -> Case:
    """Return a neck of blocks over the levels that a specification covers; below T1 there is one block, T1."""
    last = min(spec.coverage.bottom, Vertebra.T1)
    volume, labels, truth = coded_case(min(spec.coverage.top, last), last, SPACING_MM)
    noise = np.random.default_rng(spec.seed).normal(0, 8, volume.hu.shape)
    hu = (volume.hu + noise).astype(np.float32)
    centers = {v.vertebra: np.array(v.center_lps_mm) for v in truth.vertebrae}
    world = volume.grid.to_world(np.moveaxis(np.indices(volume.grid.shape), 0, -1))
    maps = [np.zeros(volume.grid.shape, dtype=np.uint8) for _ in range(2)]
    found: tuple[list, list] = ([], [])
    for fracture in spec.fractures:
        healed = fracture.age is FractureAge.HEALED
        box = None
        if fracture.vertebra in centers:
            slot = (np.abs(world - centers[fracture.vertebra]) < _HALF_SLOT_MM).all(axis=-1)
            hu[slot] = SLOT_HU
            maps[healed][slot] = len(found[healed]) + 1
            box = _box(volume.grid, slot)
        found[healed].append(_mimic(fracture, box) if healed else _fracture(fracture, box))
    known = type(truth)(truth.vertebrae, tuple(found[0]), tuple(found[1]))
    fractures, mimics = (LabelMap(volume.grid, one) for one in maps)
    return Case(Volume(volume.grid, hu), labels, known, fractures, mimics)


def _box(grid: Grid, mask: np.ndarray) -> WorldBox:
    box = Box.of_mask(mask)
    assert box is not None
    return grid.box_to_world(box)


def _fracture(fracture: Fracture, box: WorldBox | None) -> FractureTruth:
    return FractureTruth(
        fracture.type.value, fracture.vertebra, fracture.severity, fracture.age.value, fracture.family, box
    )


def _mimic(fracture: Fracture, box: WorldBox | None) -> MimicTruth:
    return MimicTruth("healed-fracture", fracture.vertebra, box)
