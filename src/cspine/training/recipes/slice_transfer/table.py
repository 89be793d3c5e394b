"""The table of `slice-transfer`: every network with every optimizer, their ensemble, tuned thresholds, and doubt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cspine.domain import ConfigError
from cspine.evaluation import Confusion, Estimate, RiskCoverage, best_threshold, confusion, risk_coverage
from cspine.training.learning import Hardware
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.slice_transfer.config import SliceTransferTable
from cspine.training.recipes.slice_transfer.images import FolderImages
from cspine.training.recipes.slice_transfer.run import Answers, RunResult, run_slice_transfer

# Moustafa et al. 2025, percent on 800 images split by image: accuracy, precision, recall, F1.
PUBLISHED = {
    ("vgg16", "nadam"): (98.37, 99.01, 97.75, 98.35),
    ("vgg16", "adam"): (96.88, 94.96, 99.00, 96.94),
    ("densenet121", "nadam"): (95.63, 99.46, 91.75, 95.45),
    ("densenet121", "adam"): (97.62, 100.0, 95.25, 97.57),
    ("mobilenet-v1", "nadam"): (95.50, 98.66, 92.25, 95.35),
    ("mobilenet-v1", "adam"): (93.37, 100.0, 86.75, 92.90),
}
FIGURES = ("accuracy", "precision", "recall", "f1")


@dataclass(frozen=True)
class TableRow:
    """One line of the table, on the test part.

    Attributes
    ----------
    threshold
        At or above it an image counts as positive.
    published
        The paper's figures in percent, where it has them.
    """

    name: str
    optimizer: str
    threshold: float
    counts: Confusion
    estimates: dict[str, Estimate]
    published: tuple[float, ...] | None
    seconds: float

    @property
    def n(self) -> int:
        """Images of the test part."""
        return self.counts.n


@dataclass(frozen=True)
class Table:
    """The finished experiment."""

    recipe: SliceTransferTable
    runs: dict[tuple[str, str], RunResult]
    rows: tuple[TableRow, ...]
    doubt: dict[str, RiskCoverage]

    @property
    def about(self) -> dict[str, object]:
        """Split, leaks and counts: those of every run."""
        return next(iter(self.runs.values())).about


def run_table(recipe: SliceTransferTable, images: FolderImages, out: Path, hardware: Hardware, say: Say) -> Table:
    """Train every pair below ``out/runs`` and gather the table; what was finished before is read.

    Raises
    ------
    ConfigError, TrainingStopped
        As in `run_slice_transfer`.
    """
    runs: dict[tuple[str, str], RunResult] = {}
    for backbone in recipe.backbones:
        for optimizer in recipe.optimizers:
            say(f"== {backbone}, {optimizer}")
            base = recipe.base
            pair = replace(
                base,
                backbone=backbone,
                frozen=replace(base.frozen, optimizer=optimizer),
                finetune=replace(base.finetune, optimizer=optimizer),
            )
            folder = out / "runs" / f"{backbone}-{optimizer}"
            runs[backbone, optimizer] = run_slice_transfer(pair, images, folder, hardware, say)
    return _gathered(recipe, runs)


def _gathered(recipe: SliceTransferTable, runs: dict[tuple[str, str], RunResult]) -> Table:
    rows: list[TableRow] = []
    for (backbone, optimizer), run in runs.items():
        rows.append(_row(backbone, optimizer, run.valid, run.test, run.about["seconds"], tuned=False))
    valid, test = (_mean([getattr(run, part) for run in runs.values()]) for part in ("valid", "test"))
    seconds = sum(float(run.about["seconds"]) for run in runs.values())
    if len(runs) > 1:
        rows.append(_row("ensemble", "all", valid, test, seconds, tuned=False))
    for (backbone, optimizer), run in runs.items():
        rows.append(_row(backbone, optimizer, run.valid, run.test, run.about["seconds"], tuned=True))
    if len(runs) > 1:
        rows.append(_row("ensemble", "all", valid, test, seconds, tuned=True))
    doubt = {f"{b}, {o}": risk_coverage(run.test.truth, run.test.probability) for (b, o), run in runs.items()}
    if len(runs) > 1:
        doubt["ensemble"] = risk_coverage(test.truth, test.probability)
    return Table(recipe, runs, tuple(rows), doubt)


def _mean(answers: Sequence[Answers]) -> Answers:
    if any(a.names != answers[0].names for a in answers):
        raise ConfigError("the runs of an ensemble answered different images; run them on one split")
    return replace(answers[0], probability=np.mean([a.probability for a in answers], axis=0))


def _row(name: str, optimizer: str, valid: Answers, test: Answers, seconds: float, *, tuned: bool) -> TableRow:
    threshold = best_threshold(valid.truth, valid.probability) if tuned else 0.5
    counts = confusion(test.truth, test.probability, threshold)
    estimates = {
        "accuracy": counts.accuracy(),
        "precision": counts.precision(),
        "recall": counts.recall(),
        "f1": counts.f1(np.random.default_rng(0)),
    }
    published = None if tuned else PUBLISHED.get((name, optimizer))
    return TableRow(name, optimizer, threshold, counts, estimates, published, float(seconds))
