"""Grad-CAM points at what decides."""

import numpy as np
import pytest
import torch

from cspine.training.backbones import HeadPlan, SliceClassifier, build_classifier
from cspine.training.recipes.grad_cam import grad_cam


def told_by_brightness() -> SliceClassifier:
    """Return a network of one linear layer on pooled maps whose first output is the mean brightness."""
    network = build_classifier("basic-cnn", 2, HeadPlan(0, 0.0), 0)
    for module in network.backbone.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data.fill_(1 / module.weight[0].numel())
    last = network.head[-1]
    assert isinstance(last, torch.nn.Linear)
    last.weight.data[0].fill_(1.0)
    last.weight.data[1].fill_(-1.0)
    return network


def test_the_bright_corner_speaks_for_bright_and_nothing_speaks_for_dark() -> None:
    image = torch.zeros(3, 64, 64)
    image[:, :16, 48:] = 1.0
    network = told_by_brightness()
    heat = grad_cam(network, image, lambda logits: logits[0, 0])
    assert heat.shape == (64, 64)
    assert heat.max() == pytest.approx(1.0)
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    assert row < 20
    assert column > 44
    assert heat[40:, :24].max() < 0.1
    assert not grad_cam(network, image, lambda logits: logits[0, 1]).any()
    assert all(p.grad is None for p in network.parameters())
