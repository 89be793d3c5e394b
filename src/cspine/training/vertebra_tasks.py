"""The two trainings of the vertebra stage as tasks of the loop."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from monai.losses import DiceCELoss, DiceLoss
from torch import nn
from torch.nn import functional

from cspine.training.coarse_samples import CoarsePlan, draw_coarse, draw_coarse_real
from cspine.training.loop import Batch
from cspine.training.networks import CoarseNet, RefineNet
from cspine.training.real_cases import load_real_case
from cspine.training.refine_samples import RefinePlan, draw_refine
from cspine.training.tissue_cases import load_case

# A center's heat covers few voxels: weigh them up. Found by looking at the first runs; see docs/experiments.
HEAT_WEIGHT = 40.0


def _heat_loss(logits: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    weight = 1 + HEAT_WEIGHT * heat
    return functional.binary_cross_entropy_with_logits(logits, heat, weight=weight)


@dataclass(frozen=True)
class CoarseTask:
    """Whole-volume network from tissue cases, and from real scans with pseudo-labels when there are any.

    Attributes
    ----------
    real_share
        Share of the samples that are real, when `real` is not empty.
    """

    cases: tuple[Path, ...]
    real: tuple[Path, ...] = ()
    real_share: float = 0.3
    plan: CoarsePlan = field(default_factory=CoarsePlan)
    _overlap: DiceCELoss = field(
        default_factory=lambda: DiceCELoss(
            include_background=False,
            to_onehot_y=True,
            softmax=True,
            batch=True,
            lambda_ce=2.0,
            smooth_nr=1.0,
            smooth_dr=1.0,
        )
    )

    @property
    def input_name(self) -> str:
        """The CT."""
        return "ct"

    def network(self) -> nn.Module:
        """Return a fresh network."""
        return CoarseNet()

    def sample(self, number: int, batch_number: int, seed: int) -> Batch:
        """Return sample `number`."""
        shape = self.shape_of(batch_number, seed)
        rng = np.random.default_rng([seed, 2, number])
        if self.real and rng.uniform() < self.real_share:
            real = load_real_case(self.real[int(rng.integers(len(self.real)))])
            made = draw_coarse_real(real, shape, self.plan, rng)
        else:
            case = load_case(self.cases[int(rng.integers(len(self.cases)))])
            made = draw_coarse(case, shape, self.plan, rng)
        return {
            "ct": torch.from_numpy(made.ct),
            "classes": torch.from_numpy(made.classes.astype(np.int64))[None],
            "heat": torch.from_numpy(made.heat),
        }

    def shape_of(self, batch_number: int, seed: int) -> tuple[int, int, int]:
        """Return the shape of a batch's patches."""
        shapes = self.plan.shapes
        return shapes[int(np.random.default_rng([seed, 1, batch_number]).integers(len(shapes)))]

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return Dice + cross entropy of the classes, weighted cross entropy of the heat."""
        seg, heat = network(batch["ct"].to(memory_format=torch.channels_last_3d))
        return {"seg": self._overlap(seg, batch["classes"]), "heat": 20 * _heat_loss(heat, batch["heat"])}


@dataclass(frozen=True)
class RefineTask:
    """Per-vertebra network from tissue cases."""

    cases: tuple[Path, ...]
    plan: RefinePlan = field(default_factory=RefinePlan)
    _overlap: DiceLoss = field(default_factory=lambda: DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0))

    @property
    def input_name(self) -> str:
        """The crop with its prompt."""
        return "crop"

    def network(self) -> nn.Module:
        """Return a fresh network."""
        return RefineNet()

    def sample(self, number: int, batch_number: int, seed: int) -> Batch:
        """Return crop `number`."""
        rng = np.random.default_rng([seed, 3, number])
        case = load_case(self.cases[int(rng.integers(len(self.cases)))])
        made = draw_refine(case, self.plan, rng)
        return {
            "crop": torch.from_numpy(made.crop),
            "target": torch.from_numpy(np.ascontiguousarray(made.target, dtype=np.float32)),
        }

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return Dice and cross entropy of the mask, weighted cross entropy of the center heat."""
        out = network(batch["crop"].to(memory_format=torch.channels_last_3d))
        mask, heat = batch["target"][:, :1], batch["target"][:, 1:]
        return {
            "dice": self._overlap(out[:, :1], mask),
            "mask": 3 * functional.binary_cross_entropy_with_logits(out[:, :1], mask),
            "heat": 5 * _heat_loss(out[:, 1:], heat),
        }
