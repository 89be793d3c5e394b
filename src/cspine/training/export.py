"""From trained networks to a bundle: ONNX export, and a comparison of torch with both engines' arithmetic."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from monai.networks.nets.basic_unet import UpCat
from torch import nn

from cspine import __version__
from cspine.models import ManifestParts, ModelBundle, Parity, Precision, write_bundle
from cspine.pipeline import HEAT_CLASSES, SEG_CLASSES, PipelineSpec
from cspine.training.networks import REFINE_INPUTS, REFINE_OUTPUTS

# Largest difference of logits between torch and the exported graph in f32; measured ones are about 1e-5.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class ExportedGraph:
    """An ONNX graph with the difference to the network it came from."""

    onnx: bytes
    parity: Parity


def export_coarse(network: nn.Module, multiple: int) -> ExportedGraph:
    """Export the whole-volume network with free shapes (multiples of `multiple`)."""
    dims = [torch.export.Dim(name, min=1, max=64) for name in ("slices", "rows", "columns")]
    free = {axis + 2: multiple * dim for axis, dim in enumerate(dims)}
    example = _noise(1, 1, 2 * multiple, 3 * multiple, 3 * multiple)
    graph = to_onnx(network, example, ({0: None, 1: None, **free},), (["ct"], ["seg", "heat"]))
    other = _noise(1, 1, 4 * multiple, 2 * multiple, 3 * multiple)
    return ExportedGraph(graph, compared(network, graph, ("ct", ["seg", "heat"]), (example, other)))


def export_refine(network: nn.Module, shape: tuple[int, int, int]) -> ExportedGraph:
    """Export the per-vertebra network with a free batch."""
    batch = torch.export.Dim("vertebrae", min=1, max=64)
    example = _noise(3, REFINE_INPUTS, *shape)
    graph = to_onnx(network, example, ({0: batch},), (["crop"], ["out"]))
    other = _noise(1, REFINE_INPUTS, *shape)
    return ExportedGraph(graph, compared(network, graph, ("crop", ["out"]), (example, other)))


def export_bundle(
    folder: Path,
    coarse: nn.Module,
    refine: nn.Module,
    spec: PipelineSpec,
    about: "BundleAbout",
) -> ModelBundle:
    """Write the bundle of the vertebra stage; its parity figures stand in the manifest.

    Raises
    ------
    BundleError
        The folder exists, or an exported graph differs from its network.
    """
    graphs = {
        "coarse": export_coarse(coarse, spec.coarse.multiple),
        "refine": export_refine(refine, spec.refine.shape),
    }
    parts = ManifestParts(
        name=about.name,
        version=about.version,
        created_by=f"cspine {__version__}",
        precision=Precision.F32,
        labels={"seg": SEG_CLASSES, "heat": HEAT_CLASSES, "out": ("mask", "center")[:REFINE_OUTPUTS]},
        preprocess=spec.to_manifest(),
        parity={name: graph.parity for name, graph in graphs.items()},
        training=about.training,
    )
    return write_bundle(folder, parts, {name: graph.onnx for name, graph in graphs.items()}, about.card)


@dataclass(frozen=True)
class BundleAbout:
    """What a bundle says of itself.

    Attributes
    ----------
    training
        Provenance for the manifest: recipe, data, seed, steps.
    card
        The model card, Markdown.
    """

    name: str
    version: str
    training: dict[str, Any]
    card: str


def to_onnx(
    network: nn.Module, example: torch.Tensor, shapes: tuple[dict[int, Any], ...], names: tuple[list[str], list[str]]
) -> bytes:
    """Return the ONNX graph of a network.

    Parameters
    ----------
    shapes
        Of each input, its free axes.
    names
        Of inputs and outputs.
    """
    plain = network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stub lacks it
    for module in plain.modules():
        if isinstance(module, UpCat):
            module.is_pad = False  # shapes are multiples of the network's stride: nothing to pad
    program = torch.onnx.export(
        plain,
        (example,),
        dynamo=True,
        dynamic_shapes=shapes,
        input_names=names[0],
        output_names=names[1],
        verbose=False,
    )
    if program is None:
        raise RuntimeError("the ONNX exporter returned nothing")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        program.save(path)
        return _without_traces(path.read_bytes())


def _without_traces(data: bytes) -> bytes:
    """Return a graph without the exporter's notes, which hold stack traces with paths of the machine."""
    model = onnx.load_model_from_string(data)
    for part in (model.graph, *model.functions):
        for noted in (part, *part.node, *part.value_info):
            del noted.metadata_props[:]
            noted.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _noise(*shape: int) -> torch.Tensor:
    """Return the same noise each time, so that a bundle made twice is the same bytes."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def compared(
    network: nn.Module, graph: bytes, names: tuple[str, list[str]], inputs: tuple[torch.Tensor, ...]
) -> Parity:
    """Return the largest difference of any output over the inputs."""
    run = _onnx_runner(graph, names)
    worst = 0.0
    for x in inputs:
        with torch.no_grad():
            wanted = network(x)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        got = run(x.numpy())
        worst = max([worst, *(float(np.abs(w.numpy() - g).max()) for w, g in zip(wanted, got, strict=True))])
    return Parity(TOLERANCE, worst)


def _onnx_runner(graph: bytes, names: tuple[str, list[str]]) -> Callable[[np.ndarray], list[np.ndarray]]:
    import onnxruntime  # noqa: PLC0415  # part of the train extra, slow to import

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def run(x: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(o) for o in session.run(names[1], {names[0]: x})]

    return run
