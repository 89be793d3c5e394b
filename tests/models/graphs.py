"""Tiny ONNX graphs, and bundles made of them, for tests that need no trained weights."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from cspine.models import ManifestParts, ModelBundle, Parity, Precision, write_bundle

OPSET = helper.make_opsetid("", 17)


def model(nodes: list, inputs: dict[str, list], outputs: dict[str, list], weights: dict[str, np.ndarray]) -> bytes:
    """Return a checked float32 ONNX model; a dimension given as text is dynamic."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in inputs.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in outputs.items()],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[OPSET], ir_version=8).SerializeToString()


def conv3d(seed: int = 0) -> bytes:
    """Return a graph of two 3-D convolutions with a ReLU between, ``ct`` → ``y``, dynamic in space."""
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(size=(8, 1, 3, 3, 3)).astype(np.float32) / 5,
        "b1": rng.normal(size=8).astype(np.float32),
        "w2": rng.normal(size=(3, 8, 3, 3, 3)).astype(np.float32) / 15,
    }
    nodes = [
        helper.make_node("Conv", ["ct", "w1", "b1"], ["h"], pads=[1] * 6),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Conv", ["r", "w2"], ["y"], pads=[1] * 6),
    ]
    return model(nodes, {"ct": [1, 1, "d", "h", "w"]}, {"y": [1, 3, "d", "h", "w"]}, weights)


def affine(scale: float, shift: float) -> bytes:
    """Return a graph ``x`` → ``y = scale x + shift`` of four numbers."""
    weights = {"scale": np.array([scale], dtype=np.float32), "shift": np.array([shift], dtype=np.float32)}
    nodes = [helper.make_node("Mul", ["x", "scale"], ["m"]), helper.make_node("Add", ["m", "shift"], ["y"])]
    return model(nodes, {"x": [4]}, {"y": [4]}, weights)


def parts(precision: Precision = Precision.F32, **changes: object) -> ManifestParts:
    """Return complete manifest parts, with changes."""
    values: dict = {
        "name": "tiny",
        "version": "1.0.0",
        "created_by": "tests",
        "precision": precision,
        "labels": {"y": ("a", "b", "c")},
        "preprocess": {"coarse": {"spacing_mm": [3.0, 4.0, 4.0], "multiple": 16}},
        "parity": {"conv": Parity(tolerance=1e-3, max_abs_diff=1e-5)},
        "training": {"recipe": "none", "seed": 0},
    }
    return ManifestParts(**(values | changes))


def tiny_bundle(folder: Path, **changes: object) -> ModelBundle:
    """Write a bundle with the graphs ``conv`` and ``affine``."""
    return write_bundle(folder, parts(**changes), {"conv": conv3d(), "affine": affine(2, 1)}, "# Tiny\n\nFor tests.\n")
