"""Begin from the networks of a bundle instead of from noise.

A bundle holds graphs whose batch normalization was folded into the convolutions. Loading puts the folded weights
back into a network with normalization and sets each normalization so that it undoes itself on a few samples: the
network then computes what the graph computes, and trains on as if it had never been exported.
"""

from collections.abc import Iterable

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from cspine.domain import BundleIncompatible
from cspine.models import ModelBundle

_SMALLEST_SD = 1e-3


def start_from(bundle: ModelBundle, graph: str, network: nn.Module, samples: Iterable[torch.Tensor]) -> nn.Module:
    """Return `network` with the weights of a bundle's graph.

    Parameters
    ----------
    network
        A fresh network of the shape that the graph was exported from; changed in place.
    samples
        Inputs (N, channels, slice, row, column) as training gives them, from which the statistics are taken.

    Raises
    ------
    BundleIncompatible
        The graph was exported from another network.
    """
    weights = _weights(bundle, graph)
    own = dict(network.named_parameters())
    convolutions = {name for name in own if ".adn." not in name}
    odd = sorted(convolutions ^ weights.keys()) or sorted(n for n in convolutions if own[n].shape != weights[n].shape)
    if odd:
        raise BundleIncompatible(
            f"bundle {bundle.short_id}, graph {graph}: differs from the network of this version in "
            f"{', '.join(odd[:3])} ({len(odd)} in all); start from a bundle of this version, or without one"
        )
    with torch.no_grad():
        for name in convolutions:
            own[name].copy_(weights[name])
    _undo_normalization(network, torch.cat(list(samples)))
    return network


def _weights(bundle: ModelBundle, graph: str) -> dict[str, torch.Tensor]:
    model = onnx.load_model_from_string(bundle.graph_bytes(graph))
    return {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }


def _undo_normalization(network: nn.Module, samples: torch.Tensor) -> None:
    """Set weight and bias of each normalization to the spread and mean of what it gets, in the order of the pass."""
    handles = [m.register_forward_pre_hook(_adopt) for m in network.modules() if isinstance(m, nn.BatchNorm3d)]
    network.eval()
    with torch.no_grad():
        network(samples)
    for handle in handles:
        handle.remove()


def _adopt(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    assert isinstance(module, nn.BatchNorm3d)
    assert module.running_mean is not None
    assert module.running_var is not None
    mean = inputs[0].mean(dim=(0, 2, 3, 4))
    sd = inputs[0].std(dim=(0, 2, 3, 4)).clamp_min(_SMALLEST_SD)
    module.weight.copy_(torch.sqrt(sd**2 + module.eps))
    module.bias.copy_(mean)
    module.running_mean.copy_(mean)
    module.running_var.copy_(sd**2)
