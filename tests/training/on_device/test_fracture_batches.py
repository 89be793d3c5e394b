"""Batches that are drawn on the device show what samples show that are drawn one by one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cspine.domain import Vertebra
from cspine.training.fracture_cases import (
    LABEL_BITS,
    MIMICS,
    OWN_FRACTURE,
    TWIN_FRACTURE,
    TYPES,
    load_crops,
    save_crops,
)
from cspine.training.fracture_task import MOTION, FracturePlan, FractureTask, draw_sample
from cspine.training.loop import Batch, LoopConfig, fit
from cspine.training.on_device.filters import generator_of
from cspine.training.on_device.fracture_batches import HeldFractureTask, draw_batch, held

SHAPE = (44, 84, 100)
CPU = torch.device("cpu")
PLAIN = FracturePlan(shape=(40, 80, 96), turned=0, moving=0, noisy=0, blurred=0, thick=0, streaked=0, cut=0)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two crops of C2, in one of them a slab of it is broken; the other is its twin."""
    folder = tmp_path_factory.mktemp("cases") / "person_00000"
    rng = np.random.default_rng(0)
    hu = rng.normal(40, 10, (2, *SHAPE)).astype(np.int16)
    codes = np.zeros((2, *SHAPE), dtype=np.uint8)
    body = np.s_[:, 14:30, 20:60, 40:70]
    hu[body] += 600
    codes[body] = int(Vertebra.C2)
    codes[:, 34:40, 20:60, 30:70] = int(Vertebra.C3)
    hu[0, 20:23, 20:60, 40:70] = 50
    codes[0, 20:23, 20:60, 40:70] |= OWN_FRACTURE
    codes[1, 20:23, 20:60, 40:70] |= TWIN_FRACTURE
    truth = {
        "vertebra": np.array([2, 2]),
        "fractured": np.array([1, 0]),
        "severity": np.array([4, 0]),
        "types": np.eye(2, len(TYPES), 3, dtype=bool),
        "mimics": np.zeros((2, len(MIMICS)), dtype=bool),
        "twin": np.array([False, True]),
    }
    save_crops(folder, hu, codes, truth)
    return folder


def drawn(person: Path, crops: list[int], plan: FracturePlan, seed: int = 0) -> Batch:
    """Return a batch of these crops."""
    return draw_batch(
        [(held(person, CPU), k) for k in crops], plan, np.random.default_rng(seed), generator_of(seed, 1, 0, CPU)
    )


def test_without_chance_a_batch_holds_the_samples_themselves(person: Path) -> None:
    crops = load_crops(person)
    plan = replace(PLAIN, shape=(40, 80, 96), aimed=False)
    seen = set()
    for seed in range(8):
        batch = drawn(person, [0, 1], plan, seed)
        for k in (0, 1):
            shown = batch["map"][k, 0].amax(0)
            columns = torch.nonzero(shown.any(0)).flatten()
            assert batch["fractured"][k] == 1 - k
            assert batch["weight"][k] == 1
            assert batch["types"][k].tolist() == crops.types[k].tolist()
            if k:
                assert not shown.any()
                continue
            assert 3 * 20 * 15 <= batch["map"][k].sum() <= 3 * 21 * 16
            seen.add(int(columns[0]))
            inside = batch["map"][k, 0].repeat_interleave(2, 1).repeat_interleave(2, 2) > 0
            bone = batch["crop"][k, 1] > 0.9
            assert batch["crop"][k, 0][inside].mean() < batch["crop"][k, 0][bone & ~inside].mean() - 0.5
    assert len(seen) > 1  # mirrored, and off the middle


def test_intensities_masks_and_maps_are_drawn_from_the_same_ranges(person: Path) -> None:
    plan = FracturePlan(streaked=0.3, aspect=0.05, denser=0.2, aimed=True, shape=(24, 48, 48))
    crops = load_crops(person)
    one = [draw_sample(crops, k % 2, plan, np.random.default_rng(k)) for k in range(160)]
    many = drawn(person, [k % 2 for k in range(160)], plan, 5)
    for name, limit in (("crop", 0.1), ("map", 0.15), ("weight", 0.1), ("mimics", 0.02)):
        singles = torch.stack([sample[name] for sample in one])
        for channel in range(singles.shape[1] if singles.dim() > 2 else 1):
            a, b = (x[:, channel] if x.dim() > 2 else x for x in (singles, many[name]))
            spread = float(a.std()) or 1.0
            assert abs(float(a.mean() - b.mean())) < limit * spread, (name, channel)
            if name in ("crop", "map"):
                assert float(b.std()) == pytest.approx(float(a.std()), rel=0.12, abs=0.02), (name, channel)
    moved = MIMICS.index(MOTION)
    assert 0.03 < many["mimics"][:, moved].mean() < 0.2


def test_a_fracture_that_the_end_of_the_scan_took_away_is_not_asked_for(person: Path) -> None:
    plan = replace(PLAIN, shape=(24, 48, 48), aimed=True, cut=1.0, miss=(11, 4, 4))
    batch = drawn(person, [0] * 64, plan)
    left = batch["map"].flatten(1).sum(1)
    whole = left.max()
    assert 0 < batch["weight"].sum() < 64
    assert (batch["weight"][left < 0.2 * whole] == 0).all()
    assert (batch["weight"][left > 0.9 * whole] == 1).all()


def test_parts_lie_round_the_break_or_where_it_is_in_the_twin(person: Path) -> None:
    crops = held(person, CPU)
    for k in (0, 1):
        at = crops.codes[k][tuple(crops.aims[k].astype(int).T)]
        assert (at & (OWN_FRACTURE | TWIN_FRACTURE) > 0).all()
        assert (at & LABEL_BITS == int(Vertebra.C2)).all()


def test_the_same_number_gives_the_same_batch_and_another_another(person: Path) -> None:
    task = HeldFractureTask((person,), FracturePlan(shape=(16, 32, 32), aimed=True))
    config = LoopConfig(batch=3, seed=4)
    a, b, c = (task.draw(number, config, CPU) for number in (7, 7, 8))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["crop"], c["crop"])


def test_a_few_steps_on_drawn_batches_lower_the_loss(person: Path, tmp_path: Path) -> None:
    task = HeldFractureTask((person,), replace(PLAIN, shape=(16, 32, 32), aimed=True))
    assert isinstance(task, FractureTask)
    said: list[float] = []
    config = LoopConfig(
        steps=24, batch=4, learning_rate=5e-3, warmup=2, workers=0, threads=1, save_every=24, log_every=6
    )
    fit(task, config, tmp_path, report=lambda _, parts: said.append(parts["loss"]))
    assert said[-1] < 0.8 * said[0]
