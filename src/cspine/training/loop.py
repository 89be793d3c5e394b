"""One training loop: numbered samples in, checkpoints out; a resumed run sees what an unbroken one would.

Sample `i` of a run is a pure function of (seed, i), the learning rate of the step, so nothing but the network, the
optimizer and the step number needs to be saved.
"""

import io
import json
import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from cspine.dicom import write_atomically
from cspine.domain import ConfigError
from cspine.training.averages import warm_average
from cspine.training.child_signals import loader_signals
from cspine.training.devices import ANYWHERE, Place, fabric_on

Batch = dict[str, torch.Tensor]
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class LoopConfig:
    """How one network is trained."""

    steps: int = 4000
    """Optimizer steps."""
    batch: int = 2
    """Samples per step."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW."""
    warmup: int = 100
    """Steps of linear rise; then cosine to zero."""
    weight_decay: float = 1e-4
    """As AdamW defines it."""
    freeze_norm: float = 0.8
    """Share of the steps after which batch statistics are frozen, so that training ends on what inference uses."""
    ema: float = 0.995
    """Decay of the averaged weights that are kept; at step t at most (1 + t)/(10 + t), so that short runs keep up."""
    clip: float = 5.0
    """Limit of the gradient's norm."""
    seed: int = 0
    """Of the first weights and of every sample."""
    workers: int = 1
    """Processes that make samples; 0 makes them in the main process."""
    threads: int = 2
    """Threads of torch on the CPU."""
    save_every: int = 200
    """Steps between checkpoints."""
    log_every: int = 20
    """Steps that a line of the log is the mean of."""
    channels_last: bool = True
    """Memory order of three-dimensional networks; faster for plain 3×3×3 layers, slower for factorized ones."""


class Task(Protocol):
    """What is trained: a network, its numbered samples, its loss."""

    @property
    def input_name(self) -> str:
        """Return the key of the network's input."""
        ...

    def network(self) -> nn.Module:
        """Return a fresh network."""
        ...

    def sample(self, number: int, batch_number: int, seed: int) -> Batch:
        """Return sample `number`; all samples of one batch number have one shape."""
        ...

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return named parts of the loss; their sum is minimized."""
        ...


@runtime_checkable
class DrawsBatches(Protocol):
    """A task that draws whole batches where the network computes: no processes make samples, `sample` is not asked."""

    def draw(self, number: int, config: LoopConfig, device: torch.device) -> Batch:
        """Return batch `number`, ``config.batch`` samples on `device`: a pure function of (seed, number)."""
        ...


def rate_at(step: int, config: LoopConfig) -> float:
    """Return the learning rate of a step."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def fit(
    task: Task,
    config: LoopConfig,
    run: Path,
    start: nn.Module | None = None,
    report: Report | None = None,
    *,
    place: Place = ANYWHERE,
) -> nn.Module:
    """Train to the end, from `run`'s checkpoint when there is one, and return the averaged network, on the CPU.

    Parameters
    ----------
    start
        A network to begin from (fine-tuning); ignored when a checkpoint exists.
    place
        Where layers are computed. In bf16 three-dimensional networks are laid out channels last, whatever `config`
        says: that is the order that such layers are quick in.

    Raises
    ------
    ConfigError
        The checkpoint belongs to another configuration or is damaged, there is no such device, or f16 is asked for.
    StoreError
        The run folder cannot be written, or the disk is full.
    """
    if place.precision == "f16":
        raise ConfigError("precision f16 needs gradients scaled up, which this training does not do; use bf16 or f32")
    torch.set_num_threads(config.threads)
    fabric = fabric_on(place, devices=1)
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    network = task.network() if start is None else start
    last = config.channels_last or place.precision == "bf16"
    if last and any(p.dim() == 5 for p in network.parameters()):
        network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch's stub lacks it
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=warm_average(config.ema), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    state = _State(network, average, optimizer)
    step = state.load(run / "checkpoint.pt", config)
    network, optimizer = fabric.setup(network, optimizer)
    average.to(fabric.device)
    torch.backends.cudnn.benchmark = True  # shapes repeat
    log = _Log(run / "log.jsonl", config.log_every, report)
    for number, batch in enumerate(_batches(task, config, step, fabric.device), start=step):
        network.train()
        if number >= config.freeze_norm * config.steps:
            _freeze_norm(network)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(number, config)
        parts = _step(task.losses(network, fabric.to_device(batch)), network, optimizer, config.clip, fabric)
        average.update_parameters(network)
        log.add(number, parts)
        if (number + 1) % config.save_every == 0 or number + 1 == config.steps:
            state.save(run / "checkpoint.pt", config, number + 1)
    averaged: nn.Module = average.module.to("cpu")
    return averaged.eval()


def _step(
    parts: dict[str, torch.Tensor], network: Any, optimizer: Any, clip: float, fabric: lightning.Fabric
) -> dict[str, float]:
    """Take one optimizer step; a step whose gradient is not finite is skipped and counted."""
    total = torch.stack(list(parts.values())).sum()
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(total)
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip)
    finite = bool(torch.isfinite(norm))
    if finite:
        optimizer.step()
    return {"loss": total.item(), "skipped": float(not finite), **{k: v.item() for k, v in parts.items()}}


def _freeze_norm(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


class _Numbered(Dataset[Batch]):
    def __init__(self, task: Task, config: LoopConfig) -> None:
        self.task, self.config = task, config

    def __len__(self) -> int:
        return self.config.steps * self.config.batch

    def __getitem__(self, number: int) -> Batch:
        return self.task.sample(number, number // self.config.batch, self.config.seed)


class _From(Sampler[int]):
    def __init__(self, first: int, stop: int) -> None:
        self.first, self.stop = first, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.stop))

    def __len__(self) -> int:
        return self.stop - self.first


def _batches(task: Task, config: LoopConfig, step: int, device: torch.device) -> Iterator[Batch]:
    if isinstance(task, DrawsBatches):
        yield from (task.draw(number, config, device) for number in range(step, config.steps))
        return
    numbers = _From(step * config.batch, config.steps * config.batch)
    loader = DataLoader(
        _Numbered(task, config),
        batch_size=config.batch,
        sampler=numbers,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
        persistent_workers=False,
        multiprocessing_context="fork" if config.workers else None,
    )
    with loader_signals():
        yield from loader


@dataclass
class _State:
    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer

    def save(self, path: Path, config: LoopConfig, step: int) -> None:
        content = io.BytesIO()
        torch.save(
            {
                "step": step,
                "config": asdict(config),
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
            content,
        )
        write_atomically(path, content.getvalue())

    def load(self, path: Path, config: LoopConfig) -> int:
        """Return the step to go on from."""
        if not path.exists():
            return 0
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise ConfigError(f"{path}: not a checkpoint ({type(error).__name__}); delete it to begin anew") from error
        fixed = {"steps", "batch", "seed", "learning_rate"}
        odd = [k for k in sorted(fixed) if saved["config"].get(k) != getattr(config, k)]
        if odd:
            changes = ", ".join(f"{k}: {saved['config'].get(k)} → {getattr(config, k)}" for k in odd)
            raise ConfigError(f"{path}: made with another configuration ({changes}); use another run folder")
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        return int(saved["step"])


class _Log:
    def __init__(self, path: Path, every: int, report: Report | None) -> None:
        self.path, self.every, self.report = path, every, report
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, number: int, parts: dict[str, float]) -> None:
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + (value if math.isfinite(value) else 0.0)
        self.count += 1
        if (number + 1) % self.every:
            return
        means = {name: value / self.count for name, value in self.sums.items()}
        with self.path.open("a") as out:
            out.write(json.dumps({"step": number + 1, **{k: round(v, 5) for k, v in means.items()}}) + "\n")
        if self.report is not None:
            self.report(number + 1, means)
        self.sums, self.count = {}, 0
