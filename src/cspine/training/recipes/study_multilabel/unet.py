"""The U-Net of `study-multilabel`, working: all levels in three dimensions from the few segmented studies.

The report's network saw single slices, which look alike from C3 to C6; this one sees the whole neck.

Legend: C classes (0 nothing, k + 1 level k of the label set), axes (slice, row, column).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets.unet import UNet
from torch import nn

from cspine.dicom import write_atomically
from cspine.domain import Grid, LabelMap, Volume, resample, resample_labels
from cspine.evaluation import dice
from cspine.pipeline import IntensitySpec, normalize
from cspine.training.devices import device_named
from cspine.training.learning import Hardware, segmentation_loss
from cspine.training.learning.losses import Compute
from cspine.training.loop import Batch, fit
from cspine.training.recipe_file import keep_recipe
from cspine.training.recipes.run_folder import Say
from cspine.training.recipes.study_multilabel.config import UnetPlan
from cspine.training.state_files import load_state, save_state

INTENSITY = IntensitySpec()
AIR_HU = -1000.0
MULTIPLE = 8
NETWORK_FILE = "unet.safetensors"


@dataclass(frozen=True, eq=False)
class Neck:
    """A segmented study on the working grid: HU float32, and labels uint8, k + 1 for level k."""

    uid: str
    grid: Grid
    hu: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class UnetTask:
    """Patches of necks, brightness and noise changed, as a task of the loop."""

    necks: tuple[Neck, ...]
    plan: UnetPlan
    compute: Compute
    levels: int

    @property
    def input_name(self) -> str:
        """The CT."""
        return "ct"

    def network(self) -> nn.Module:
        """Return a fresh network."""
        return make_unet(self.plan, self.levels)

    def sample(self, number: int, batch_number: int, seed: int) -> Batch:
        """Return patch `number`."""
        rng = np.random.default_rng([seed, 51, number])
        neck = self.necks[int(rng.integers(len(self.necks)))]
        hu, labels = _patch(neck, self.plan.patch, rng)
        shift = rng.uniform(-1, 1) * self.plan.shift_hu
        noise = rng.normal(0, rng.uniform(0, 1) * self.plan.noise_hu + 1e-6, hu.shape)
        ct = normalize(hu + shift + noise, INTENSITY)
        return {"ct": torch.from_numpy(ct[None]), "classes": torch.from_numpy(labels.astype(np.int64)[None])}

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return Dice + cross entropy."""
        return {"seg": self.compute(network(batch["ct"]), batch["classes"])}


def make_unet(plan: UnetPlan, levels: int) -> nn.Module:
    """Return MONAI's UNet: (N, 1, D, H, W) → logits (N, 1 + levels, D, H, W), sides in multiples of 8."""
    network: nn.Module = UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1 + levels,
        channels=plan.channels,
        strides=(2, 2, 2),
        num_res_units=1,
        norm="batch",
    )
    return network


def make_neck(uid: str, volume: Volume, labels: LabelMap, spacing_mm: float) -> Neck:
    """Return a study on the working grid."""
    grid = volume.grid.at_spacing((spacing_mm,) * 3)
    hu = resample(volume.hu, volume.grid, grid, AIR_HU, threads=2)
    return Neck(uid, grid, hu, resample_labels(labels.labels, labels.grid, grid))


def train_unet(
    plan: UnetPlan, necks: Sequence[Neck], run: Path, hardware: Hardware, say: Say, *, levels: int
) -> nn.Module:
    """Train from where an earlier run stopped, or read the finished network.

    Raises
    ------
    ConfigError
        The folder holds another run.
    """
    keep_recipe({"recipe": "study-multilabel, U-Net", "plan": asdict(plan), "studies": _digest(necks)}, run)
    network = make_unet(plan, levels)
    if (run / NETWORK_FILE).exists():
        network.load_state_dict(load_state(run / NETWORK_FILE))
        return network.to(device_named(hardware.device)).eval()
    task = UnetTask(tuple(necks), plan, segmentation_loss(), levels)
    told = max(plan.fit.log_every, plan.fit.steps // 10)

    def report(step: int, means: dict[str, float]) -> None:
        if step % told < plan.fit.log_every:
            say(f"U-Net step {step}/{plan.fit.steps}: loss {means['loss']:.4f}")

    trained = fit(task, plan.fit, run, report=report, place=hardware.place)
    save_state(trained.state_dict(), run / NETWORK_FILE)
    return trained.to(device_named(hardware.device))


def segment(network: nn.Module, plan: UnetPlan, volume: Volume) -> LabelMap:
    """Return the levels on the grid of a volume, k + 1 for level k."""
    grid = volume.grid.at_spacing((plan.spacing_mm,) * 3)
    hu = resample(volume.hu, volume.grid, grid, AIR_HU, threads=2)
    found = _classes(network, hu).astype(np.uint8)
    return LabelMap(volume.grid, resample_labels(found, grid, volume.grid))


def dice_per_level(found: np.ndarray, truth: np.ndarray, levels: Sequence[str]) -> dict[str, float]:
    """Return the Dice of each level that the truth holds."""
    return {name: dice(found == k, truth == k) for k, name in enumerate(levels, start=1) if (truth == k).any()}


def write_dice(run: Path, rows: dict[str, dict[str, float]]) -> None:
    """Write the Dice of each study as JSON."""
    write_atomically(run / "dice.json", json.dumps(rows, indent=2).encode())


def _classes(network: nn.Module, hu: np.ndarray) -> np.ndarray:
    """Return the likeliest class of each voxel of a volume of any shape."""
    wide = [(0, -n % MULTIPLE) for n in hu.shape]
    ct = normalize(np.pad(hu, wide, constant_values=AIR_HU), INTENSITY)
    with torch.no_grad():
        device = next(network.parameters()).device
        classes = network(torch.from_numpy(ct)[None, None].to(device)).argmax(dim=1)[0].cpu().numpy()
    kept: np.ndarray = classes[tuple(slice(0, n) for n in hu.shape)]
    return kept


def _patch(neck: Neck, shape: Sequence[int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a part of a neck that holds a voxel of a vertebra; what lies beyond the scan is air."""
    voxels = np.argwhere(neck.labels > 0)
    inside = voxels[int(rng.integers(len(voxels)))] if len(voxels) else np.array(neck.hu.shape) // 2
    start = [int(c) - int(rng.integers(n // 4, n - n // 4)) for c, n in zip(inside, shape, strict=True)]
    start = [_settled(s, n, m) for s, n, m in zip(start, shape, neck.hu.shape, strict=True)]
    hu = np.full(tuple(shape), AIR_HU, dtype=np.float32)
    labels = np.zeros(tuple(shape), dtype=np.uint8)
    here = tuple(slice(max(0, s), min(m, s + n)) for s, n, m in zip(start, shape, neck.hu.shape, strict=True))
    there = tuple(slice(h.start - s, h.stop - s) for h, s in zip(here, start, strict=True))
    hu[there], labels[there] = neck.hu[here], neck.labels[here]
    return hu, labels


def _settled(start: int, wanted: int, there: int) -> int:
    """Return a start that wastes nothing: inside where the volume is larger, all of it where it is smaller."""
    return min(max(start, 0), there - wanted) if there > wanted else min(0, max(start, there - wanted))


def _digest(necks: Sequence[Neck]) -> str:
    digest = hashlib.sha256()
    for neck in necks:
        digest.update(neck.uid.encode() + neck.labels.tobytes())
    return digest.hexdigest()
