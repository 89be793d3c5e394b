"""The loop: it learns, it resumes to the same weights, it skips what is not finite, it refuses another's checkpoint."""

import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from cspine.domain import ConfigError, StoreError
from cspine.training import LoopConfig, Place, fit, rate_at
from cspine.training.averages import warm_average
from cspine.training.loop import Batch

CONFIG = LoopConfig(steps=30, batch=2, learning_rate=5e-2, warmup=3, workers=0, threads=1, save_every=10, log_every=5)


class Doubling:
    """Learn y = 2x with one 3-D convolution."""

    def __init__(self, poison: int | None = None, stop_at: int | None = None) -> None:
        self.poison, self.stop_at = poison, stop_at

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Conv3d(1, 1, 1), nn.BatchNorm3d(1, affine=False), nn.Conv3d(1, 1, 1))

    def sample(self, number: int, batch_number: int, seed: int) -> Batch:
        if self.stop_at is not None and batch_number >= self.stop_at:
            raise KeyboardInterrupt
        x = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1000 * seed + number))
        if number == self.poison:
            x = x * float("nan")
        return {"x": x, "y": 2 * x}

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        return {"square": ((network(batch["x"]) - batch["y"]) ** 2).mean()}


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


def test_the_loss_falls(tmp_path: Path) -> None:
    fit(Doubling(), replace(CONFIG, steps=60), tmp_path)
    curve = losses(tmp_path)
    assert curve[-1] < 0.2 * curve[0]


def test_the_average_of_a_short_run_is_of_its_end_not_of_its_beginning(tmp_path: Path) -> None:
    """Sixty steps with a decay that remembers two hundred: what is kept answers as what was trained."""
    kept = fit(Doubling(), replace(CONFIG, steps=60, ema=0.995), tmp_path)
    sample = Doubling().sample(9999, 0, 0)
    with torch.no_grad():
        error = Doubling().losses(kept, {name: value[None] for name, value in sample.items()})["square"]
    curve = losses(tmp_path)
    assert float(error) < 0.2 * curve[0]


def test_a_long_run_averages_as_it_was_told() -> None:
    average, at = warm_average(0.9), [torch.zeros(1)]
    average(at, [torch.ones(1)], torch.tensor(10_000))
    torch.testing.assert_close(at[0], torch.tensor([0.1]))
    average(at, [torch.ones(1)], torch.tensor(8))  # (1 + 8) / (10 + 8) = one half
    torch.testing.assert_close(at[0], torch.tensor([0.55]))


def test_a_broken_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = fit(Doubling(), CONFIG, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(Doubling(stop_at=17), CONFIG, tmp_path / "broken")
    resumed = fit(Doubling(), CONFIG, tmp_path / "broken")
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"device 'quantum' cannot be used here .*; use auto or cpu"):
        fit(Doubling(), CONFIG, tmp_path, place=Place("quantum"))
    with pytest.raises(ConfigError, match="device 'quantum' cannot be used here"):
        Place("quantum").checked()
    assert Place("cpu", "bf16").checked() == Place("cpu", "bf16")


def test_a_broken_run_in_bf16_resumes_to_the_same_weights_and_learns(tmp_path: Path) -> None:
    place = Place("cpu", "bf16")
    whole = fit(Doubling(), CONFIG, tmp_path / "whole", place=place)
    with pytest.raises(KeyboardInterrupt):
        fit(Doubling(stop_at=17), CONFIG, tmp_path / "broken", place=place)
    resumed = fit(Doubling(), CONFIG, tmp_path / "broken", place=place)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert weights(whole).dtype is torch.float32
    curve = losses(tmp_path / "whole")
    assert curve[-1] < curve[0]
    exact = fit(Doubling(), CONFIG, tmp_path / "f32", place=Place("cpu"))
    assert not torch.equal(weights(exact), weights(whole))  # layers were computed in bf16


def test_a_precision_that_this_loop_cannot_keep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="precision f16 needs gradients scaled up"):
        fit(Doubling(), CONFIG, tmp_path, place=Place("cpu", "f16"))
    with pytest.raises(ConfigError, match="unknown precision 'f8'"):
        Place("cpu", "f8")


def test_a_checkpoint_that_cannot_be_written_or_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigError, match="not a checkpoint"):
        fit(Doubling(), CONFIG, tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="no space left"):
        fit(Doubling(), CONFIG, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir() if path.name != "log.jsonl"] == []


def full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = fit(Doubling(), CONFIG, tmp_path)
    count = len(losses(tmp_path))
    second = fit(Doubling(stop_at=0), CONFIG, tmp_path)
    assert len(losses(tmp_path)) == count
    torch.testing.assert_close(weights(first), weights(second), rtol=0, atol=0)


def test_no_signal_handler_outlives_the_training(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGCHLD)
    fit(Doubling(), replace(CONFIG, steps=3, workers=1), tmp_path)
    assert signal.getsignal(signal.SIGCHLD) == before


def test_a_step_that_is_not_finite_is_skipped_and_counted(tmp_path: Path) -> None:
    network = fit(Doubling(poison=11), replace(CONFIG, freeze_norm=0.0), tmp_path)
    assert torch.isfinite(weights(network)).all()
    skipped = [json.loads(line)["skipped"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert skipped[1] == pytest.approx(1 / 5)
    assert sum(skipped) == pytest.approx(1 / 5)


def test_a_checkpoint_of_another_configuration_is_refused_by_name_and_value(tmp_path: Path) -> None:
    fit(Doubling(), CONFIG, tmp_path)
    with pytest.raises(ConfigError, match=r"batch: 2 → 4"):
        fit(Doubling(), replace(CONFIG, batch=4), tmp_path)


def test_the_rate_rises_and_then_falls_to_zero() -> None:
    rates = [rate_at(step, CONFIG) for step in range(CONFIG.steps + 1)]
    assert rates[0] == pytest.approx(CONFIG.learning_rate / CONFIG.warmup)
    assert max(rates) == pytest.approx(CONFIG.learning_rate)
    assert rates[CONFIG.warmup :] == sorted(rates[CONFIG.warmup :], reverse=True)
    assert rates[-1] == pytest.approx(0)
