"""ImageNet MobileNets from arrays with batch norm folded in, as TensorFlow's quantized models have them.

The arrays are named ``NN_conv_w``, ``NN_dw_w``, ``NN_…_b`` in the order of the layers: kernels as
(out, rows, columns, in), depthwise ones as (1, rows, columns, channels). They expect images in −1 … 1 and padding as
TensorFlow's "same".
"""

import re
from collections.abc import Iterator

import torch
from torch import nn

from cspine.domain import ConfigError
from cspine.training.state_files import State

_NAME = re.compile(r"\d\d_(conv|dw|fc)_(w|b)")


def is_folded_mobilenet(state: State) -> bool:
    """Tell whether arrays are named as such a network's."""
    return bool(state) and all(_NAME.fullmatch(name) for name in state)


def unfold_mobilenet(backbone: nn.Module, state: State, where: str) -> None:
    """Load the arrays into timm's MobileNetV1 or V2: kernels to convolutions, biases to neutral norms.

    A neutral batch norm has mean 0, variance 1 − ε, weight 1 and the folded bias, so that in evaluation mode it adds
    the bias alone. Its statistics say nothing about the data: keep them frozen.

    Raises
    ------
    ConfigError
        Number or shape of the layers differ: the arrays are of another network.
    """
    layers = sorted({name.rsplit("_", 1)[0] for name in state})
    pairs = list(_convolutions(backbone))
    if len(layers) < len(pairs):
        raise ConfigError(f"{where}: {len(layers)} layers, this network has {len(pairs)}; it is of another MobileNet")
    for layer, (conv, norm) in zip(layers, pairs, strict=False):
        kernel = state[f"{layer}_w"].permute(3, 0, 1, 2) if "_dw" in layer else state[f"{layer}_w"].permute(0, 3, 1, 2)
        if kernel.shape != conv.weight.shape:
            raise ConfigError(
                f"{where}: layer {layer} is {tuple(kernel.shape)}, this network has {tuple(conv.weight.shape)} there; "
                "it is of another MobileNet"
            )
        _set(conv, norm, kernel, state[f"{layer}_b"])


def _convolutions(backbone: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.modules.batchnorm._BatchNorm]]:
    """Yield each convolution with the batch norm that follows it, from the image on."""
    waiting: nn.Conv2d | None = None
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            waiting = module
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and waiting is not None:
            yield waiting, module
            waiting = None


def _set(conv: nn.Conv2d, norm: nn.modules.batchnorm._BatchNorm, kernel: torch.Tensor, bias: torch.Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        conv.weight.copy_(kernel)
        norm.weight.fill_(1.0)
        norm.bias.copy_(bias)
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)
