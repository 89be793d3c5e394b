"""The curve of a fit: a row per epoch, kept in the checkpoint, written as JSON and for TensorBoard."""

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from cspine.dicom import write_atomically
from cspine.training.learning.config import FitConfig
from cspine.training.learning.losses import Loss
from cspine.training.learning.predict import Predicted
from cspine.training.learning.scores import score


@dataclass(frozen=True)
class EpochRow:
    """One epoch.

    Attributes
    ----------
    train_loss, train_accuracy
        Means over what was trained on, augmented, while the weights changed.
    valid_loss, scores
        Of the validation part after the epoch.
    skipped
        Steps left out because their gradient was not finite.
    seconds, waited_s
        Time of the epoch since the last resume, and how much of it the training waited for samples.
    """

    epoch: int
    rate: float
    train_loss: float
    train_accuracy: float
    valid_loss: float
    scores: dict[str, float]
    skipped: int
    seconds: float
    waited_s: float

    def figures(self) -> dict[str, float]:
        """Return what a resumed run must repeat: everything but times."""
        plain = {k: float(v) for k, v in asdict(self).items() if k not in ("scores", "seconds", "waited_s")}
        return {**plain, **self.scores}


class History:
    """Rows of the epochs that ended, and sums of the one that runs."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.rows: list[EpochRow] = []
        self.skipped = 0
        self._forget()

    def _forget(self) -> None:
        self._sums, self.skipped, self._began = {"loss": 0.0, "right": 0.0, "count": 0.0}, 0, time.monotonic()

    @property
    def valid_losses(self) -> list[float]:
        """Validation losses so far."""
        return [row.valid_loss for row in self.rows]

    def watch(self, loss: float, probabilities: torch.Tensor, targets: torch.Tensor) -> None:
        """Add one forward pass."""
        right = ((probabilities >= 0.5) == (targets >= 0.5)).float().mean().item()
        for name, value in {"loss": loss, "right": right, "count": 1.0}.items():
            self._sums[name] += value * len(targets)

    def close(self, judged: Predicted, loss: Loss, rate: float, waited: float) -> EpochRow:
        """End the epoch that runs."""
        count = max(self._sums["count"], 1.0)
        row = EpochRow(
            epoch=len(self.rows) + 1,
            rate=rate,
            train_loss=self._sums["loss"] / count,
            train_accuracy=self._sums["right"] / count,
            valid_loss=loss.compute(judged.logits, judged.truth).item(),
            scores=score(judged.probabilities, judged.truth),
            skipped=self.skipped,
            seconds=time.monotonic() - self._began,
            waited_s=waited,
        )
        self.rows.append(row)
        self._forget()
        return row

    def is_best(self, row: EpochRow) -> bool:
        """Tell whether the last row has the lowest validation loss so far; a loss that is not a number never has."""
        before = [value for value in self.valid_losses[:-1] if math.isfinite(value)]
        return not before or row.valid_loss < min(before)

    def ended(self, config: FitConfig) -> bool:
        """Tell whether the validation loss has not fallen for `patience` epochs, or all epochs are over."""
        losses = self.valid_losses
        if len(losses) >= config.epochs:
            return True
        return (
            bool(config.patience) and len(losses) - 1 - losses.index(min(losses)) >= config.patience
            if losses
            else False
        )

    def state(self) -> dict[str, Any]:
        """Return all of it as plain JSON."""
        return {"rows": [asdict(row) for row in self.rows], "sums": self._sums, "skipped": self.skipped}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.rows = [EpochRow(**row) for row in state["rows"]]
        self._sums, self.skipped = state["sums"], state["skipped"]

    def write(self) -> None:
        """Write ``history.json``, and the last row for TensorBoard."""
        write_atomically(self.run / "history.json", json.dumps(self.state()["rows"], indent=2).encode())
        _to_tensorboard(self.run / "tensorboard", self.rows[-1])


def _to_tensorboard(folder: Path, row: EpochRow) -> None:
    from tensorboardX import SummaryWriter  # noqa: PLC0415  # needed here alone

    with SummaryWriter(str(folder)) as out:
        for name, value in row.figures().items():
            out.add_scalar(name, value, row.epoch)
