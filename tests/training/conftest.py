"""A toy case: a column of ellipsoids with codes as phantoms have."""

from pathlib import Path

import numpy as np
import pytest

from cspine.domain import Grid, Vertebra
from cspine.phantom.tissue import Tissue
from cspine.training.tissue_cases import BONE_BASE, CodeMap, TissueCase, save_case

CENTERS = {Vertebra(k): np.array([2.0, 5.0, 80.0 - 17.0 * k]) for k in range(1, 11)}


def _codes(grid: Grid) -> np.ndarray:
    points = grid.to_world(np.indices(grid.shape).reshape(3, -1).T)
    codes = np.full(len(points), int(Tissue.AIR), dtype=np.uint8)
    codes[np.hypot(points[:, 0], points[:, 1]) < 55] = int(Tissue.MUSCLE)
    for vertebra, center in CENTERS.items():
        inside = (((points - center) / [12.0, 10.0, 6.0]) ** 2).sum(axis=1) < 1
        codes[inside] = BONE_BASE + 4 * int(vertebra)
    return codes.reshape(grid.shape)


@pytest.fixture(scope="session")
def toy_case() -> TissueCase:
    field = Grid.from_axes((130, 80, 80), (1.5, 1.5, 1.5), (-60.0, -60.0, 90.0))
    spine = Grid.from_axes((180, 70, 70), (1.0, 1.0, 1.0), (-35.0, -30.0, 85.0))
    return TissueCase(CodeMap(field, _codes(field)), CodeMap(spine, _codes(spine)), CENTERS)


@pytest.fixture(scope="session")
def toy_folder(toy_case: TissueCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases") / "case_00000"
    save_case(toy_case, folder)
    return folder
