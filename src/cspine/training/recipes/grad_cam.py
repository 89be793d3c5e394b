"""Where in an image a classifier finds its evidence (Grad-CAM, Selvaraju et al. 2017).

Legend: C channels of the last map, h and w its size, R rows, W columns of the image.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch.nn import functional

from cspine.training.backbones import SliceClassifier


def grad_cam(
    network: SliceClassifier, image: torch.Tensor, answer: Callable[[torch.Tensor], torch.Tensor]
) -> np.ndarray:
    """Return how much each pixel speaks for an answer, float32 (R, W), 0 … 1; all 0 where nothing does.

    With global pooling and one linear layer this is the class activation map of Zhou et al. 2016.

    Parameters
    ----------
    image
        (channels, R, W), as the network gets it.
    answer
        Logits (1, outputs) → the number that is asked about.
    """
    network.eval()
    backbone = cast("Any", network.backbone)
    with torch.enable_grad():
        map_1Chw = backbone.forward_features(image[None]).detach().requires_grad_()
        said = answer(network.head(backbone.forward_head(map_1Chw)))
        (change_1Chw,) = torch.autograd.grad(said, map_1Chw)
    weight_1C = change_1Chw.mean(dim=(2, 3))
    evidence = torch.einsum("nchw,nc->nhw", map_1Chw.detach(), weight_1C)[:, None].clamp(min=0)
    grown = functional.interpolate(evidence, image.shape[-2:], mode="bilinear")[0, 0]
    top = float(grown.max())
    found: np.ndarray = (grown / top if top > 0 else torch.zeros_like(grown)).numpy().astype(np.float32)
    return found
