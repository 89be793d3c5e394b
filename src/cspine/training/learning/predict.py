"""Run a network over samples in their order."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cspine.training.learning.config import Hardware
from cspine.training.learning.losses import Loss
from cspine.training.learning.stream import Samples, test_batches


@dataclass(frozen=True)
class Predicted:
    """Answers to samples 0 … N−1: logits (N, O), probabilities and truth (N, K), all float32 on the CPU."""

    logits: torch.Tensor
    probabilities: torch.Tensor
    truth: torch.Tensor


def predict(
    network: nn.Module, samples: Samples, loss: Loss, batch: int, hardware: Hardware | None = None
) -> Predicted:
    """Return what a network says of every plain sample, where it lies; its mode is as before afterwards."""
    hardware = hardware or Hardware()
    device = next(network.parameters()).device
    kind = {"bf16": torch.bfloat16, "f16": torch.float16}.get(hardware.precision)
    was_training = network.training
    network.eval()
    logits, truth = [], []
    with torch.no_grad(), torch.autocast(device.type, dtype=kind, enabled=kind is not None):
        for part in test_batches(samples, np.arange(len(samples.labels)), batch, hardware):
            logits.append(network(part.images.to(device)).float().cpu())
            truth.append(part.targets)
    network.train(was_training)
    found = torch.cat(logits)
    return Predicted(found, loss.probabilities(found), torch.cat(truth))
