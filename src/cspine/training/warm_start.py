"""Begin from the networks of a bundle instead of from noise.

A bundle holds graphs whose batch normalization was folded into the convolutions. Loading puts the folded weights
back into a network with normalization and sets each normalization so that it undoes itself on a few samples: the
network then computes what the graph computes, and trains on as if it had never been exported. Where the convolution
has no bias of its own, the normalization adds the folded one.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise

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
    weights, own = _weights(bundle, graph), dict(network.named_parameters())
    norms = {name: m for name, m in network.named_modules() if isinstance(m, nn.BatchNorm3d)}
    plain = {name: p for name, p in own.items() if name.rpartition(".")[0] not in norms}
    folded = {name: norm for name, norm in _folded(network) if name not in plain}
    wanted = {**{n: p.shape for n, p in plain.items()}, **{n: m.bias.shape for n, m in folded.items()}}
    # Constants of the graph have names without a dot.
    odd = sorted(wanted.keys() ^ {name for name in weights if "." in name})
    odd = odd or sorted(n for n, shape in wanted.items() if weights[n].shape != shape)
    if odd:
        raise BundleIncompatible(
            f"bundle {bundle.short_id}, graph {graph}: differs from the network of this version in "
            f"{', '.join(odd[:3])} ({len(odd)} in all); start from a bundle of this version, or without one"
        )
    with torch.no_grad():
        for name, parameter in plain.items():
            parameter.copy_(weights[name])
    added = {norm: weights[name] for name, norm in folded.items()}
    _undo_normalization(network, torch.cat(list(samples)), added)
    return network


def graph_shapes(bundle: ModelBundle, graph: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a graph's weights by name."""
    return {name: tuple(weight.shape) for name, weight in _weights(bundle, graph).items()}


def _folded(network: nn.Module) -> Iterator[tuple[str, nn.BatchNorm3d]]:
    """Yield the name that the exporter gives to the folded bias of a convolution without one, and what is behind it."""
    for name, module in network.named_modules():
        layers = list(module) if isinstance(module, nn.Sequential) else []
        for k, (layer, norm) in enumerate(pairwise(layers)):
            if isinstance(layer, nn.Conv3d) and layer.bias is None and isinstance(norm, nn.BatchNorm3d):
                yield f"{name}.{k}.weight_bias", norm


def _weights(bundle: ModelBundle, graph: str) -> dict[str, torch.Tensor]:
    model = onnx.load_model_from_string(bundle.graph_bytes(graph))
    return {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }


def _undo_normalization(network: nn.Module, samples: torch.Tensor, added: dict[nn.BatchNorm3d, torch.Tensor]) -> None:
    """Set weight and bias of each normalization to the spread and mean of what it gets, in the order of the pass."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm3d)]
    handles = [m.register_forward_pre_hook(partial(_adopt, added.get(m))) for m in norms]
    network.eval()
    with torch.no_grad():
        network(samples)
    for handle in handles:
        handle.remove()


def _adopt(added: torch.Tensor | None, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    assert isinstance(module, nn.BatchNorm3d)
    assert module.running_mean is not None
    assert module.running_var is not None
    mean = inputs[0].mean(dim=(0, 2, 3, 4))
    sd = inputs[0].std(dim=(0, 2, 3, 4)).clamp_min(_SMALLEST_SD)
    module.weight.copy_(torch.sqrt(sd**2 + module.eps))
    module.bias.copy_(mean if added is None else mean + added)
    module.running_mean.copy_(mean)
    module.running_var.copy_(sd**2)
