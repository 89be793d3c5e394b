"""What a training would cost, before anything starts: parameters, operations, memory, the time of one step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cspine.training.learning import FitConfig, Hardware, make_fabric, make_optimizer, train_mode
from cspine.training.learning.losses import Compute
from cspine.training.learning.trouble import memory_advice

MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """Of one optimizer step.

    Attributes
    ----------
    parameters, trained
        Numbers of weights, and of those that learn.
    gflop
        Floating-point operations of all its forward and backward passes, billions; a multiplication and an addition are
        two.
    memory_mib
        Weights, gradients, optimizer state and what the backward pass keeps of one forward pass.
    step_s
        Seconds of the second step: the first one warms up.
    """

    parameters: int
    trained: int
    gflop: float
    memory_mib: float
    step_s: float

    def lines(self, steps: int) -> list[str]:
        """Return the cost in words, for a run of that many steps."""
        return [
            f"parameters    {self.parameters:,}, of which {self.trained:,} learn",
            f"operations    {self.gflop:,.2f} GFLOP per step",
            f"memory        {self.memory_mib:,.0f} MiB for weights, gradients, optimizer and activations",
            f"one step      {self.step_s:.3f} s here; {steps:,} steps take about {steps * self.step_s / 60:.1f} min",
        ]


def cost_of(
    network: nn.Module,
    image: tuple[int, ...],
    compute: Compute,
    config: FitConfig,
    hardware: Hardware,
    *,
    labels: int = 1,
) -> Cost:
    """Take two steps on noise and measure. The network is changed: use a fresh one for the training.

    Parameters
    ----------
    image
        Shape of a sample.
    labels
        Numbers of a target.

    Raises
    ------
    TrainingStopped
        The memory does not suffice; the message says what to set.
    """
    torch.set_num_threads(hardware.threads)
    with memory_advice(config.batch, config.accumulate):
        fabric = make_fabric(hardware)
        optimizer = make_optimizer(config.optimizer, network.parameters(), config.learning_rate)
        placed, stepper = fabric.setup(network, optimizer)
        train_mode(placed, frozen_norm=config.freeze_norm)
        images = torch.rand(config.batch, *image, device=fabric.device)
        kept: list[int] = []
        gflop, seconds = 0.0, 0.0
        for number in range(2):
            began = time.perf_counter()
            with FlopCounterMode(display=False) if number == 0 else _timed() as counter, _watched(kept):
                logits = placed(images)
                target = torch.zeros(config.batch, labels, device=fabric.device)
                fabric.backward(compute(logits.float(), target))
            stepper.step()
            stepper.zero_grad(set_to_none=number == 1)
            seconds = time.perf_counter() - began
            if isinstance(counter, FlopCounterMode):
                gflop = counter.get_total_flops() / 1e9
        weights = list(network.parameters())
        trained = sum(p.numel() for p in weights if p.requires_grad)
        held = [p.numel() * p.element_size() for p in weights]
        state = [
            v.numel() * v.element_size() for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v)
        ]
        memory = sum(held) + 4 * trained + sum(state) + sum(kept) / 2
    passes = config.accumulate
    return Cost(sum(p.numel() for p in weights), trained, gflop * passes, memory / MIB, seconds * passes)


@contextmanager
def _timed() -> Iterator[None]:
    yield


@contextmanager
def _watched(kept: list[int]) -> Iterator[None]:
    """Add the size of each tensor that the backward pass keeps, once per storage."""
    seen: set[int] = set()

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in seen and not isinstance(tensor, nn.Parameter):
            seen.add(place)
            kept.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield
