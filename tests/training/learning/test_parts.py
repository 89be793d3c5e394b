"""Optimizers, schedules, losses, balance and weights files, each against torch or a hand-made figure."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cspine.domain import ConfigError
from cspine.training.learning import (
    OPTIMIZERS,
    LossPlan,
    Schedule,
    epoch_order,
    make_loss,
    make_optimizer,
    positive_weights,
    rate_factor,
    segmentation_loss,
)
from cspine.training.learning.scores import score
from cspine.training.state_files import load_state, save_state


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_a_parabola_and_leaves_frozen_weights_alone(name: str) -> None:
    moved, frozen = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]), requires_grad=False)
    optimizer = make_optimizer(name, [moved, frozen], 0.05)
    for _ in range(30):
        optimizer.zero_grad()
        (moved**2 + frozen).sum().backward()
        optimizer.step()
    assert abs(moved.item()) < 0.7
    assert frozen.item() == 1.0


def torch_rates(make: Callable, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_one_cycle_is_that_of_torch() -> None:
    wanted = torch_rates(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=40), 39)
    assert [rate_factor(Schedule("one-cycle"), s, 40) for s in range(39)] == pytest.approx(wanted, abs=1e-9)


def test_cosine_is_that_of_torch_and_warms_up_in_a_line() -> None:
    wanted = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40), 40)
    assert [rate_factor(Schedule("cosine"), s, 40) for s in range(40)] == pytest.approx(wanted, abs=1e-9)
    warm = [rate_factor(Schedule("cosine", warmup_steps=4), s, 40) for s in range(5)]
    assert warm == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_the_plateau_falls_where_torch_lets_it_fall() -> None:
    losses = [1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0]
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=2)
    for count, loss in enumerate(losses):
        assert rate_factor(Schedule("plateau"), 0, 1, losses[:count]) == pytest.approx(optimizer.param_groups[0]["lr"])
        scheduler.step(loss)
    assert optimizer.param_groups[0]["lr"] < 0.1


def test_weighted_bce_takes_its_weight_from_the_labels() -> None:
    labels = np.array([[1.0], [0.0], [0.0], [0.0]])
    assert positive_weights(labels) == pytest.approx([3.0])
    logits, target = torch.tensor([[0.3], [-0.2]]), torch.tensor([[1.0], [0.0]])
    by_hand = (3 * math.log1p(math.exp(-0.3)) + math.log1p(math.exp(-0.2))) / 2
    assert make_loss(LossPlan("weighted-bce"), labels).compute(logits, target).item() == pytest.approx(by_hand)


def test_focal_loss_turns_easy_samples_down() -> None:
    logits, target = torch.tensor([[2.0]]), torch.tensor([[1.0]])
    p = 1 / (1 + math.exp(-2.0))
    by_hand = -((1 - p) ** 2) * math.log(p)
    assert make_loss(LossPlan("focal"), np.ones((1, 1))).compute(logits, target).item() == pytest.approx(
        by_hand, rel=1e-4
    )


def test_categorical_cross_entropy_has_two_outputs_and_one_probability() -> None:
    loss = make_loss(LossPlan("categorical-ce"), np.ones((2, 1)))
    logits, target = torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0]])
    p = math.exp(3) / (math.exp(1) + math.exp(3))
    assert loss.outputs == 2
    assert loss.probabilities(logits).item() == pytest.approx(p)
    assert loss.compute(logits, target).item() == pytest.approx(-math.log(p))
    with pytest.raises(ConfigError, match="3 labels"):
        make_loss(LossPlan("categorical-ce"), np.ones((2, 3)))


def test_the_competition_loss_weighs_the_study_seven_and_a_break_two() -> None:
    loss = make_loss(LossPlan("competition"), np.zeros((1, 8)))
    logits = torch.zeros(1, 8)
    logits[0, 0] = 2.0
    target = torch.zeros(1, 8)
    target[0, :2] = 1
    by_hand = (14 * math.log1p(math.exp(-2.0)) + (2 + 6) * math.log(2)) / (14 + 2 + 6)
    assert loss.compute(logits, target).item() == pytest.approx(by_hand, rel=1e-5)
    with pytest.raises(ConfigError, match="weighs 8 labels"):
        make_loss(LossPlan("competition"), np.zeros((1, 7)))


def test_dice_and_cross_entropy_fall_to_zero_on_the_right_map() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2] = 1
    right = 40 * functional.one_hot(target[:, 0].long(), 2).movedim(-1, 1).float()
    assert segmentation_loss()(right, target).item() < 0.01
    assert segmentation_loss()(-right, target).item() > 1


@pytest.mark.parametrize(("way", "negatives", "positives"), [("none", 12, 3), ("over", 12, 12), ("under", 3, 3)])
def test_balance_draws_each_class_as_often_as_it_says(way: str, negatives: int, positives: int) -> None:
    labels = np.zeros((15, 2))
    labels[[1, 5, 9], 1] = 1
    orders = [epoch_order(labels, way, seed=0, epoch=e) for e in range(2)]
    for order in orders:
        positive = labels[order].any(axis=1)
        assert (int((~positive).sum()), int(positive.sum())) == (negatives, positives)
        assert set(np.flatnonzero(labels.any(axis=1))) <= set(order)
    assert not np.array_equal(*orders)
    np.testing.assert_array_equal(orders[1], epoch_order(labels, way, seed=0, epoch=1))


def test_scores_are_those_counted_by_hand() -> None:
    p, t = torch.tensor([[0.9], [0.6], [0.4], [0.1]]), torch.tensor([[1.0], [0.0], [1.0], [0.0]])
    assert score(p, t) == pytest.approx({"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5, "auc": 0.75})
    assert score(p, torch.zeros(4, 1))["recall"] == 0
    both = score(torch.cat([p, t], dim=1), torch.cat([t, t], dim=1))
    assert both["auc"] == pytest.approx((0.75 + 1) / 2)


def test_weights_come_back_from_every_kind_of_file(tmp_path: Path) -> None:
    state = {"a": torch.arange(3.0), "b.c": torch.ones(2, 2)}
    save_state(state, tmp_path / "w.safetensors", {"recipe": "toy"})
    np.savez(tmp_path / "w.npz", **{k: v.numpy() for k, v in state.items()})
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.npz", "w.pt"):
        found = load_state(tmp_path / name)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[k], state[k]) for k in state)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('ran')",))


def test_a_weights_file_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    np.savez(tmp_path / "evil.npz", a=np.array([Evil()], dtype=object))
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pt", "evil.npz", "evil.safetensors"):
        with pytest.raises(ConfigError, match="not a readable"):
            load_state(tmp_path / name)


def test_a_weights_file_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown kind of weights file in w\.h5: '\.h5'"):
        load_state(tmp_path / "w.h5")
    with pytest.raises(ConfigError, match="no such file"):
        load_state(tmp_path / "w.npz")
