"""Fit a network to labeled samples: config, data, model, optimizer, schedule, loop, checkpoint, in this order.

A step is a pure function of the state before it and of (seed, step): the order of samples, augmentation and dropout are
drawn from these numbers. So a run that was killed goes on to the same weights, and checkpoints hold no random state.
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn

from cspine.domain import ConfigError
from cspine.training.averages import warm_average
from cspine.training.devices import fabric_on
from cspine.training.learning.checkpoint import load_checkpoint, save_checkpoint
from cspine.training.learning.config import FitConfig, Hardware
from cspine.training.learning.consistency import Unlabeled, consistency_loss, consistency_weight
from cspine.training.learning.history import EpochRow, History
from cspine.training.learning.losses import Loss, make_loss
from cspine.training.learning.optimizers import make_optimizer
from cspine.training.learning.predict import Predicted, predict
from cspine.training.learning.schedules import rate_factor
from cspine.training.learning.stream import Batch, Samples, Walk, training_batches
from cspine.training.learning.trouble import memory_advice, stopped_by_loss
from cspine.training.state_files import load_state, save_state

Report = Callable[[EpochRow], None]
CHECKPOINT = "checkpoint.pt"
BEST = "best.safetensors"
NETWORK = "network.safetensors"


@dataclass(frozen=True)
class Problem:
    """What is learned.

    Attributes
    ----------
    network
        Images (N, C, H, W) → outputs (N, O). Changed by the fit.
    document
        What the run is, plain JSON; a checkpoint of another document is refused.
    unlabeled
        Images without labels that are learned from, too.
    """

    network: nn.Module
    train: Samples
    valid: Samples
    document: Mapping[str, Any]
    unlabeled: Unlabeled | None = None


@dataclass(frozen=True)
class Fitted:
    """A network after its fit, in evaluation mode on the device where it learned, with its curve."""

    network: nn.Module
    history: tuple[EpochRow, ...]
    loss: Loss


def fit(
    problem: Problem, config: FitConfig, run: Path, hardware: Hardware | None = None, report: Report | None = None
) -> Fitted:
    """Train from the checkpoint in `run` when there is one, to the end or until the validation loss stops falling.

    Parameters
    ----------
    run
        Receives ``checkpoint.pt``, ``history.json``, ``tensorboard`` and at the end ``network.safetensors``.
    report
        Receives a row per epoch.

    Raises
    ------
    ConfigError
        The checkpoint belongs to another run, or there is no such device.
    TrainingStopped
        The loss is not a number, or the memory does not suffice; the message says which batch, or what to set.
    StoreError
        The run folder cannot be written, or the disk is full.
    """
    hardware = hardware or Hardware()
    torch.set_num_threads(hardware.threads)
    with _repeatable(hardware.deterministic), memory_advice(config.batch, config.accumulate):
        fabric = make_fabric(hardware)
        if (config.batch // fabric.world_size) * fabric.world_size != config.batch:
            raise ConfigError(f"batch {config.batch} cannot be shared by {fabric.world_size} processes; use a multiple")
        session = _Session(problem, config, run, fabric)
        session.resume()
        waited = time.monotonic()
        place = fabric.global_rank, fabric.world_size
        pairs = None if problem.unlabeled is None else problem.unlabeled.pairs
        for batch in training_batches(session.walk, hardware, session.step, place, pairs):
            session.waited += time.monotonic() - waited
            session.forward_pass(batch)
            session.tell(hardware)
            if session.epoch_is_over and session.close_epoch(hardware, report):
                break
            waited = time.monotonic()
        return session.finish()


def make_fabric(hardware: Hardware) -> lightning.Fabric:
    """Return the place to run; below ``torchrun`` one process of several.

    Raises
    ------
    ConfigError
        There is no such device here.
    """
    world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    several: dict[str, Any] = {"strategy": "ddp", "num_nodes": world // local} if world > 1 else {}
    return fabric_on(hardware.place, joined=world > 1, devices=local, **several)


class _Session:
    """The state of one fit."""

    def __init__(self, problem: Problem, config: FitConfig, run: Path, fabric: lightning.Fabric) -> None:
        self.problem, self.config, self.run, self.fabric = problem, config, run, fabric
        self.walk = Walk(problem.train, config)
        self.loss = make_loss(config.loss, problem.train.labels)
        # Channels beside each other in memory: convolutions of images are a third faster so, on CPU and GPU.
        self.plain: nn.Module = problem.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        if problem.unlabeled is not None and problem.unlabeled.plan.by_teacher and not config.ema:
            raise ConfigError("consistency by mean-teacher needs averaged weights: set ema, for example to 0.99")
        self.optimizer = make_optimizer(
            config.optimizer, self.plain.parameters(), config.learning_rate, config.weight_decay
        )
        self.average = _averaged(self.plain, config.ema) if config.ema else None
        self.history = History(run)
        self.step, self.passes, self.waited = 0, 0, 0.0
        self.document = {"fit": asdict(config), "run": dict(problem.document), "optimizer steps": self.walk.steps}

    def resume(self) -> None:
        """Take the state from the checkpoint, if there is one, and place everything on the device."""
        path = self.run / CHECKPOINT
        if path.exists():
            saved = load_checkpoint(path, self.document)
            self.step = int(saved["step"])
            self.plain.load_state_dict(saved["network"])
            self.optimizer.load_state_dict(saved["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(saved["average"])
            self.history.restore(json.loads(saved["history"]))
            self.fabric.strategy.precision.load_state_dict(saved["precision"])
        self.network, self.placed = self.fabric.setup(self.plain, self.optimizer)
        if self.average is not None:
            self.average.to(self.fabric.device)
        if self.history.ended(self.config):
            self.step = self.walk.steps

    @property
    def epoch_is_over(self) -> bool:
        return self.passes == 0 and self.step % self.walk.steps_per_epoch == 0

    def forward_pass(self, batch: Batch) -> None:
        """Add one forward pass to the gradient, and take the optimizer's step after the last of a step."""
        count = -(-self.walk.per_step // self.config.batch)
        if self.passes == 0:
            self._begin_step()
        torch.manual_seed(hash_of(self.config.seed, self.step, self.passes, self.fabric.global_rank))
        last = self.passes == count - 1
        with self.fabric.no_backward_sync(self.network, enabled=not last and self.fabric.world_size > 1):
            images, targets = self._mixed(*self.fabric.to_device((batch.images, batch.targets)))
            logits, agreement = self._answers(images, batch)
            loss = self.loss.compute(logits, targets) + agreement
            value = loss.item()
            if not math.isfinite(value):
                raise self._stop(value, batch)
            share = len(targets) * self.fabric.world_size / self.walk.per_step
            self.fabric.backward(loss * share)
        self.history.watch(value, self.loss.probabilities(logits.detach()), targets)
        self.passes = 0 if last else self.passes + 1
        if last:
            self._end_step()

    def _mixed(self, images: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.config.mixup:
            return images, targets
        share = torch.distributions.Beta(self.config.mixup, self.config.mixup).sample().item()
        other = torch.randperm(len(images)).to(images.device)
        return torch.lerp(images[other], images, share), torch.lerp(targets[other], targets, share)

    def _answers(self, images: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits of the labeled images, and the loss of those without labels; one pass sees both."""
        extra = self.problem.unlabeled
        if extra is None or batch.mild is None or batch.strong is None:
            return self.network(images).float(), torch.zeros((), device=images.device)
        mild, strong = self.fabric.to_device((batch.mild, batch.strong))
        teacher = self.plain if self.average is None else self.average.module
        with torch.no_grad(), self.fabric.autocast():
            teacher.eval()
            said = teacher(mild).float()
            train_mode(self.plain, frozen_norm=self.config.freeze_norm)
        logits = self.network(torch.cat([images, strong])).float()
        weight = consistency_weight(extra.plan, self.step, self.walk.steps)
        return logits[: len(images)], weight * consistency_loss(extra.plan, logits[len(images) :], said)

    def _begin_step(self) -> None:
        train_mode(self.network, frozen_norm=self.config.freeze_norm)
        factor = rate_factor(self.config.schedule, self.step, self.walk.steps, self.history.valid_losses)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * factor
        self.placed.zero_grad(set_to_none=True)

    def _end_step(self) -> None:
        """Step, unless the gradient is not finite; then the step is left out and counted."""
        norm = self.fabric.clip_gradients(
            self.network, self.placed, max_norm=self.config.clip or math.inf, error_if_nonfinite=False
        )
        scaled = self.fabric.strategy.precision.state_dict()  # of f16: its scaler must see the overflow to back off
        if scaled or bool(torch.isfinite(norm)):
            self.placed.step()
        else:
            self.history.skipped += 1
        if self.average is not None:
            self.average.update_parameters(self.plain)
        self.step += 1
        if self.step % self.config.save_every == 0 and self.step % self.walk.steps_per_epoch:
            self.save(self.run / CHECKPOINT)

    def close_epoch(self, hardware: Hardware, report: Report | None) -> bool:
        """Validate, note the row, save; return whether the run ends here."""
        rate = self.optimizer.param_groups[0]["lr"]
        judged = self.validated(hardware)
        row = self.history.close(judged, self.loss, rate, self.waited)
        self.waited = 0.0
        if self.fabric.global_rank == 0:
            if self.history.is_best(row):
                save_state(self._kept().state_dict(), self.run / BEST)
            self.history.write()
        self.save(self.run / CHECKPOINT)
        if report is not None and self.fabric.global_rank == 0:
            report(row)
        return self.history.ended(self.config)

    def tell(self, hardware: Hardware) -> None:
        """Say how far the run is, once and not from every process."""
        if self.passes == 0 and self.fabric.global_rank == 0:
            epoch = (self.step - 1) // self.walk.steps_per_epoch + 1
            hardware.watch(f"epoch {epoch}/{self.config.epochs}", self.step / self.walk.steps)

    def validated(self, hardware: Hardware) -> Predicted:
        return predict(self._kept(), self.problem.valid, self.loss, self.config.batch, hardware)

    def _kept(self) -> nn.Module:
        if self.average is None:
            return self.plain
        module: nn.Module = self.average.module
        return module

    def save(self, path: Path) -> None:
        if self.fabric.global_rank:
            return
        content: dict[str, Any] = {
            "step": self.step,
            "network": self.plain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": json.dumps(self.history.state()),
            "precision": self.fabric.strategy.precision.state_dict(),
        }
        if self.average is not None:
            content["average"] = self.average.state_dict()
        save_checkpoint(path, self.document, content)

    def _stop(self, value: float, batch: Batch) -> Exception:
        path = self.run / "stopped.pt"
        self.save(path)
        epoch, place = divmod(self.step, self.walk.steps_per_epoch)
        names = [self.problem.train.name(int(n)) for n in batch.numbers]
        return stopped_by_loss(value, f"epoch {epoch + 1}, step {place + 1}", names, str(path))

    def finish(self) -> Fitted:
        """Return the kept weights and write them."""
        network = self._kept()
        self.fabric.barrier()  # the first process writes the best weights, and all read them
        if self.config.keep == "best":
            network.load_state_dict(load_state(self.run / BEST))
        for parameter in network.parameters():
            parameter.grad = None
        if self.fabric.global_rank == 0:
            save_state(network.state_dict(), self.run / NETWORK)
        return Fitted(network.eval(), tuple(self.history.rows), self.loss)


def train_mode(network: nn.Module, *, frozen_norm: bool = False) -> None:
    """Set training mode; batch norms whose weights are frozen, or all when asked for, keep their statistics."""
    network.train()
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        frozen = bool(own) and not any(p.requires_grad for p in own)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (frozen_norm or frozen):
            module.eval()


def hash_of(*numbers: int) -> int:
    """Return one seed from several numbers, far apart for neighbors."""
    value = 0
    for number in numbers:
        value = (value * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return value


def _averaged(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=warm_average(decay), use_buffers=True)


class _repeatable:  # noqa: N801 - used like a function
    """Deterministic operations inside, what was set before outside."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted

    def __enter__(self) -> None:
        self.before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
        if self.wanted:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by torch's page on randomness
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.benchmark = False

    def __exit__(self, *error: object) -> None:
        torch.use_deterministic_algorithms(self.before[0])
        torch.backends.cudnn.benchmark = self.before[1]
