"""Images without labels: drawn beside labeled ones, agreement pulls answers together, resuming changes nothing."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cspine.domain import ConfigError
from cspine.training.learning import (
    ConsistencyPlan,
    Problem,
    Unlabeled,
    consistency_loss,
    consistency_weight,
    fit,
    make_loss,
)
from cspine.training.learning.consistency import numbers_at
from cspine.training.learning.losses import EMBEDDING, LossPlan
from tests.training.learning.toy import CONFIG, QUICK, Bright, network

EMA = replace(CONFIG, ema=0.5)


@dataclass(frozen=True)
class Views:
    """Unlabeled images of the toy: the strong view is noisier."""

    images: Bright
    stop_at: int = -1

    def __len__(self) -> int:
        return self.images.count

    def pair(self, number: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        plain = self.images.plain(number)
        noise = torch.from_numpy(rng.normal(0, 0.5, plain.shape).astype(np.float32))
        return plain, plain + noise


def problem(plan: ConsistencyPlan, train: Bright | None = None) -> Problem:
    return Problem(network(), train or Bright(), Bright(8, seed=1), {}, Unlabeled(Views(Bright(10, seed=2)), plan))


@pytest.mark.parametrize("name", ["mean-teacher", "fixmatch"])
def test_agreement_is_learned_beside_labels(tmp_path: Path, name: str) -> None:
    fitted = fit(problem(ConsistencyPlan(name, ramp=0.0)), EMA, tmp_path, QUICK)
    assert fitted.history[-1].scores["auc"] > 0.9


def test_a_broken_run_with_unlabeled_images_resumes_to_the_same_weights(tmp_path: Path) -> None:
    calls = {"count": 0}

    class Breaking(Bright):
        def draw(self, number: int, rng: np.random.Generator) -> torch.Tensor:
            calls["count"] += 1
            if calls["count"] == 28:
                raise KeyboardInterrupt
            return super().draw(number, rng)

    plan = ConsistencyPlan()
    whole = fit(problem(plan), EMA, tmp_path / "whole", QUICK)
    with pytest.raises(KeyboardInterrupt):
        fit(problem(plan, Breaking()), EMA, tmp_path / "broken", QUICK)
    resumed = fit(problem(plan), EMA, tmp_path / "broken", QUICK)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=0, atol=0)


def test_agreement_changes_what_is_learned_and_its_weight_rises() -> None:
    plan = ConsistencyPlan(weight=2.0, ramp=0.5)
    weights = [consistency_weight(plan, step, 100) for step in (0, 25, 50, 99)]
    assert weights[0] < 0.05
    assert weights == sorted(weights)
    assert weights[2:] == [2.0, 2.0]


def test_a_teacher_is_followed_but_not_taught_and_doubt_is_no_label() -> None:
    strong, mild = torch.tensor([[2.0, -1.0]], requires_grad=True), torch.tensor([[0.0, 4.0]], requires_grad=True)
    for name in ("mean-teacher", "fixmatch"):
        loss = consistency_loss(ConsistencyPlan(name), strong, mild)
        gradient, none = torch.autograd.grad(loss, [strong, mild], allow_unused=True)
        assert none is None
        assert gradient[0, 1] < 0  # the second answer is to rise
    assert gradient[0, 0] == 0  # fixmatch: the teacher is not sure of the first


def test_every_unlabeled_image_is_seen_before_any_is_seen_again() -> None:
    numbers = numbers_at(0, 21, 7, seed=3)
    assert all(sorted(numbers[k : k + 7]) == list(range(7)) for k in (0, 7, 14))
    assert numbers_at(5, 9, 7, seed=3) == numbers[5:14]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'fixmatch'"):
        ConsistencyPlan("fixmach")
    with pytest.raises(ConfigError, match=r"threshold 0.3 from 0.5"):
        ConsistencyPlan(threshold=0.3)
    with pytest.raises(ConfigError, match="needs averaged weights: set ema"):
        fit(problem(ConsistencyPlan()), CONFIG, tmp_path, QUICK)


def test_mixed_samples_still_learn_the_toy(tmp_path: Path) -> None:
    plain = Problem(network(), Bright(), Bright(8, seed=1), {})
    assert fit(plain, replace(CONFIG, mixup=0.4, epochs=5), tmp_path, QUICK).history[-1].scores["auc"] > 0.9


def test_two_heads_weigh_findings_and_visibilities_alike() -> None:
    labels = np.array([[1, 0, 1, 1], [0, 0, 1, 0]], dtype=np.float32)
    loss = make_loss(LossPlan("two-heads", positive_weight=2.0), labels)
    logits = torch.zeros(2, 4)
    finding = np.log(2) * (2 + 1 + 1 + 1) / 4
    assert loss.compute(logits, torch.from_numpy(labels)).item() == pytest.approx((finding + np.log(2)) / 2, rel=1e-6)
    with pytest.raises(ConfigError, match="has 3 labels"):
        make_loss(LossPlan("two-heads"), labels[:, :3])


def test_the_contrastive_loss_is_low_when_views_agree_and_images_differ() -> None:
    loss = make_loss(LossPlan("contrastive"), np.zeros((4, 1), dtype=np.float32))
    assert loss.outputs == 2 * EMBEDDING
    apart = torch.eye(4, EMBEDDING)
    good = loss.compute(torch.cat([apart, apart], dim=1), torch.zeros(4, 1))
    bad = loss.compute(torch.cat([apart, apart.roll(1, 0)], dim=1), torch.zeros(4, 1))
    assert good < 0.2 < bad
    assert loss.probabilities(torch.cat([apart, apart], dim=1)).min() == 1
