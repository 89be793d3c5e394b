"""The fit: it learns, resumes to the same curve, stops with a reason, and refuses what belongs to another run."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cspine.domain import ConfigError, StoreError, TrainingStopped
from cspine.training.learning import FitConfig, Fitted, Hardware, Problem, Schedule, fit, predict
from cspine.training.learning.checkpoint import load_checkpoint
from cspine.training.learning.trouble import memory_advice
from cspine.training.state_files import load_state
from tests.training.learning.toy import CONFIG, QUICK, Bright, network, problem


def run(config: FitConfig, folder: Path, train: Bright | None = None, hardware: Hardware = QUICK) -> Fitted:
    return fit(problem(train), config, folder, hardware)


def weights(fitted: Fitted) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in fitted.network.parameters()])


def figures(fitted: Fitted) -> list[dict[str, float]]:
    return [row.figures() for row in fitted.history]


def test_a_toy_is_learned_and_its_scores_say_so(tmp_path: Path) -> None:
    row = run(CONFIG, tmp_path).history[-1]
    assert row.scores["auc"] > 0.9
    assert row.valid_loss < 0.4
    assert json.loads((tmp_path / "history.json").read_text())[-1]["valid_loss"] == row.valid_loss
    assert list((tmp_path / "tensorboard").iterdir())


def test_who_watches_is_told_after_each_step_also_of_a_resumed_run(tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    hardware = replace(QUICK, watch=lambda stage, share: seen.append((stage, share)))
    run(replace(CONFIG, epochs=2), tmp_path, hardware=hardware)
    assert [stage for stage, _ in seen] == ["epoch 1/2"] * 4 + ["epoch 2/2"] * 4
    assert [share for _, share in seen] == pytest.approx([k / 8 for k in range(1, 9)])


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_a_run_broken_within_an_epoch_resumes_to_the_same_curve_and_weights(tmp_path: Path, ema: float) -> None:
    config = replace(CONFIG, ema=ema, optimizer="nadam", schedule=Schedule("one-cycle"))
    whole = run(config, tmp_path / "whole")
    calls = {"count": 0}

    class Breaking(Bright):
        def draw(self, number: int, rng: object) -> torch.Tensor:
            calls["count"] += 1
            if calls["count"] == 28:
                raise KeyboardInterrupt
            return super().draw(number, rng)

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "broken", Breaking())
    resumed = run(config, tmp_path / "broken")
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert figures(resumed) == figures(whole)


def test_a_finished_run_is_read_and_not_trained_again(tmp_path: Path) -> None:
    first = run(CONFIG, tmp_path)
    again = run(CONFIG, tmp_path, Bright(stop_at=0))
    torch.testing.assert_close(weights(again), weights(first), rtol=0, atol=0)
    assert figures(again) == figures(first)


def test_accumulated_passes_step_like_one_large_batch(tmp_path: Path) -> None:
    def plain() -> Problem:
        torch.manual_seed(1)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1))
        return Problem(net, Bright(), Bright(8, seed=1), {})

    large = fit(plain(), replace(CONFIG, batch=8), tmp_path / "large", QUICK)
    small = fit(plain(), replace(CONFIG, batch=2, accumulate=4), tmp_path / "small", QUICK)
    torch.testing.assert_close(weights(small), weights(large), rtol=1e-4, atol=1e-5)


def test_a_loss_that_is_not_a_number_stops_names_the_batch_and_saves_what_was_before(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match=r"epoch 1, step \d: the loss is nan on the batch of .*image-5"):
        run(CONFIG, tmp_path, Bright(poison=5))
    saved = torch.load(tmp_path / "stopped.pt", weights_only=True)["content"]["network"]
    assert all(torch.isfinite(value).all() for value in saved.values())


def test_out_of_memory_advises_a_batch_and_accumulation_that_make_the_same_step() -> None:
    with pytest.raises(TrainingStopped, match="batch=16 and accumulate=4"), memory_advice(32, 2):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(TrainingStopped, match="one sample per forward pass"), memory_advice(1, 1):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")
    with pytest.raises(RuntimeError, match="shapes differ"), memory_advice(32, 2):
        raise RuntimeError("shapes differ")


def test_a_checkpoint_of_another_recipe_setting_or_version_is_refused_with_the_difference(tmp_path: Path) -> None:
    run(CONFIG, tmp_path)
    with pytest.raises(ConfigError, match=r"fit.learning_rate: 0.05 → 0.01"):
        run(replace(CONFIG, learning_rate=0.01), tmp_path)
    with pytest.raises(ConfigError, match=r"run.recipe: toy → other"):
        fit(problem(recipe="other"), CONFIG, tmp_path, QUICK)
    torch.save({"version": 99, "document": "{}", "content": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(ConfigError, match="checkpoint of version 99"):
        run(CONFIG, tmp_path)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt", {})


def test_a_full_disk_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"(?i)space|full"):
        run(CONFIG, tmp_path)


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))],
)
def test_training_validation_and_test_run_on_the_device_that_was_asked_for(tmp_path: Path, device: str) -> None:
    hardware = replace(QUICK, device=device)
    seen: list[tuple[bool, str, str]] = []

    class Watched(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = network()

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append((self.training, image.device.type, next(self.parameters()).device.type))
            answer: torch.Tensor = self.body(image)
            return answer

    fitted = fit(Problem(Watched(), Bright(), Bright(8, seed=1), {}), CONFIG, tmp_path, hardware)
    during = len(seen)
    found = predict(fitted.network, Bright(8, seed=2), fitted.loss, CONFIG.batch, hardware)
    assert {training for training, *_ in seen[:during]} == {True, False}
    assert {training for training, *_ in seen[during:]} == {False}
    assert {place for _, *places in seen for place in places} == {device}
    assert found.probabilities.device.type == "cpu"
    assert load_state(tmp_path / "network.safetensors")["body.0.weight"].device.type == "cpu"


def test_early_stopping_ends_a_run_whose_validation_loss_does_not_fall(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=12, learning_rate=3.0, optimizer="sgd", patience=2)
    history = run(config, tmp_path).history
    losses = [row.valid_loss for row in history]
    assert len(losses) < 12
    assert losses.index(min(losses)) == len(losses) - 3


def test_the_best_weights_are_kept_unless_the_last_are_asked_for(tmp_path: Path) -> None:
    best = run(replace(CONFIG, epochs=4, learning_rate=1.0, optimizer="sgd"), tmp_path)
    last = run(replace(CONFIG, epochs=4, learning_rate=1.0, optimizer="sgd", keep="last"), tmp_path / "last")
    kept = load_state(tmp_path / "best.safetensors")
    for name, value in best.network.state_dict().items():
        torch.testing.assert_close(value, kept[name], rtol=0, atol=0)
    losses = [row.valid_loss for row in best.history]
    if losses.index(min(losses)) < len(losses) - 1:
        assert not torch.equal(weights(best), weights(last))


def test_frozen_batch_norm_keeps_its_statistics(tmp_path: Path) -> None:
    def with_norm() -> Problem:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 1))
        return Problem(net, Bright(), Bright(8, seed=1), {})

    still = fit(with_norm(), replace(CONFIG, freeze_norm=True), tmp_path / "still", QUICK).network
    moved = fit(with_norm(), CONFIG, tmp_path / "moved", QUICK).network
    assert still.state_dict()["0.running_mean"].item() == 0
    assert moved.state_dict()["0.running_mean"].item() != 0


def test_mixed_precision_learns_the_toy_too(tmp_path: Path) -> None:
    assert run(CONFIG, tmp_path, hardware=replace(QUICK, precision="bf16")).history[-1].scores["auc"] > 0.9


def test_settings_that_cannot_be_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="unknown optimizer 'adamx', did you mean 'adamax'"):
        FitConfig(optimizer="adamx")
    with pytest.raises(ConfigError, match="epochs must be at least 1, got 0"):
        FitConfig(epochs=0)
    with pytest.raises(ConfigError, match="unknown precision 'fp16'"):
        Hardware(precision="fp16")


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(ConfigError, match="device 'cuda' cannot be used here"):
        fit(Problem(network(), Bright(), Bright(8), {}), CONFIG, tmp_path, replace(QUICK, device="cuda"))
