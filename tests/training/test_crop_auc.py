"""Stored crops are put to a bundle's network as they are, and told apart by severity."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from cspine.domain import Vertebra
from cspine.evaluation import Estimate
from cspine.models import default_bundle_path
from cspine.pipeline import FractureSpec, LocalizeSpec, PipelineSpec
from cspine.training.fracture_cases import MIMICS, OWN_FRACTURE, TWIN_FRACTURE, TYPES, load_crops, middle
from tools.crop_auc import inputs, main, score, table

SHAPE = (16, 32, 32)
SPEC = PipelineSpec(fracture=FractureSpec(shape=SHAPE), localize=LocalizeSpec())
STORED = (20, 36, 36)


def write_person(root: Path, number: int, severity: int) -> Path:
    """Write a person whose C5 has a gap, the deeper the more severe, and the same one unbroken."""
    folder = root / f"person_{number:05d}"
    folder.mkdir(parents=True)
    hu = np.full((2, *STORED), 40, dtype=np.int16)
    codes = np.zeros((2, *STORED), dtype=np.uint8)
    body = np.s_[:, 6:14, 10:26, 10:26]
    hu[body], codes[body] = 600 + 10 * number, int(Vertebra.C5)
    hu[0, 9:11, 10:26, 10:26] -= 90 * severity
    codes[0, 9:11, 10:26, 10:26] |= OWN_FRACTURE
    codes[1, 9:11, 10:26, 10:26] |= TWIN_FRACTURE
    np.save(folder / "hu.npy", hu)
    np.save(folder / "codes.npy", codes)
    truth = {"vertebra": [5, 5], "fractured": [1, 0], "severity": [severity, 0], "twin": [0, 1]}
    flags = {"types": np.zeros((2, len(TYPES)), bool), "mimics": np.zeros((2, len(MIMICS)), bool)}
    np.savez(folder / "truth.npz", **{k: np.array(v) for k, v in truth.items()}, **flags)
    return folder


class Darkness:
    """A network that tells how dark the middle of its own vertebra is."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        crop = inputs["crop"]
        own = crop[:, 1] > 0.9
        logit = -np.array([c[0][o].mean() for c, o in zip(crop, own, strict=True)])
        heads = np.zeros((len(crop), 1 + len(TYPES) + len(MIMICS)), np.float32)
        heads[:, 0] = logit
        return {"map": np.zeros((len(crop), 1, 16, 16, 16), np.float32), "heads": heads}


def test_the_input_is_the_middle_of_the_crop_with_its_outlines(tmp_path: Path):
    crops = load_crops(write_person(tmp_path, 0, 5))
    broken, whole = inputs(crops, SPEC.fracture or FractureSpec(), SPEC.intensity)
    assert broken.shape == (3, *SHAPE)
    assert broken[1, 8, 16, 16] > 0.9
    assert broken[1, 0, 0, 0] < 0.01
    assert broken[0, 7, 16, 16] < whole[0, 7, 16, 16]
    assert middle(np.ones((2, 4, 4)), (4, 4, 2), 7).tolist() == [[[7, 7]] * 4, [[1, 1]] * 4, [[1, 1]] * 4, [[7, 7]] * 4]


def test_severe_breaks_are_parted_better_than_faint_ones_with_intervals(tmp_path: Path):
    persons = [write_person(tmp_path, k, 1 + k % 5) for k in range(20)]
    scores = score(persons, [Darkness()], SPEC)
    rows = {row[0]: row for row in table(scores)}
    assert list(rows) == ["any", "1–2", "3–5", "1", "2", "3", "4", "5"]
    assert rows["any"][1:4] == (20, 20, 20)
    assert rows["5"][1:4] == (4, 20, 20)
    areas = [rows[str(k)][4] for k in (1, 5)]
    assert all(isinstance(area, Estimate) for area in areas)
    faint, severe = (area.value for area in areas if isinstance(area, Estimate))
    assert severe > faint
    against = rows["any"][6]
    assert isinstance(against, Estimate)
    assert against.low <= against.value <= against.high


def test_a_folder_without_persons_and_a_bundle_without_the_stage_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="the bundle has no fracture stage"):
        score([], [], PipelineSpec())
    with pytest.raises(SystemExit, match="no folder person_…"):
        main([str(default_bundle_path()), "--cases", str(tmp_path)])
