"""The coded phantom, whose HU say the names of its vertebrae, and a bundle of nearest-centroid graphs that read it.

The whole pipeline runs on them, so plumbing is tested without trained weights.
"""

from pathlib import Path

import numpy as np
from onnx import helper

from cspine.domain import Grid, GroundTruth, LabelMap, Vertebra, VertebraTruth, Volume
from cspine.models import ManifestParts, ModelBundle, Parity, Precision, write_bundle
from cspine.pipeline import HEAT_CLASSES, SEG_CLASSES, PipelineSpec
from tests.models.graphs import model

TISSUE_HU = 0
# Distances of neighboring centers from C1 to T1, mm.
STEPS_MM = (17.0, 18.5, 16.0, 16.0, 16.0, 17.5, 19.0)
# Half size of a block along x, y, z, mm.
HALF_MM = np.array([18.0, 15.0, 6.5])
_SHARPNESS = 400.0


def code_hu(vertebra: Vertebra) -> int:
    """Return the HU of a block."""
    return 250 + 130 * (int(vertebra) - 1)


def coded_case(
    top: Vertebra = Vertebra.C1,
    bottom: Vertebra = Vertebra.T1,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> tuple[Volume, LabelMap, GroundTruth]:
    """Return a neck of blocks, whole ones only, in a cylinder of tissue; canonical axes, int16."""
    depth = np.concatenate([[0.0], np.cumsum(STEPS_MM)])
    levels = [Vertebra(v) for v in range(top, bottom + 1)]
    height = depth[bottom - 1] - depth[top - 1] + 36
    shape = [round(n / s) for n, s in zip((height, 130, 130), spacing_mm, strict=True)]
    grid = Grid.from_axes((shape[0], shape[1], shape[2]), spacing_mm, (-65.0, -65.0, 500.0))
    world = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    hu = np.where(np.hypot(world[..., 0], world[..., 1]) < 60, TISSUE_HU, -1000).astype(np.int16)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    truths = []
    for level in levels:
        center = np.array([2.0, 5.0, 500.0 - 18 - (depth[level - 1] - depth[top - 1])])
        block = (np.abs(world - center) < HALF_MM).all(axis=-1)
        hu[block], labels[block] = code_hu(level), level
        x, y, z = center.tolist()
        truths.append(VertebraTruth(level, (x, y, z), 1.0))
    return Volume(grid, hu), LabelMap(grid, labels), GroundTruth(tuple(truths))


def coded_bundle(folder: Path, **changes: object) -> ModelBundle:
    """Write the bundle that reads coded phantoms."""
    spec = PipelineSpec()
    values: dict = {
        "name": "coded",
        "version": "1",
        "created_by": "tests",
        "precision": Precision.F32,
        "labels": {"seg": SEG_CLASSES, "heat": HEAT_CLASSES, "out": ("mask", "center")},
        "preprocess": spec.to_manifest(),
        "parity": {"coarse": Parity(1e-3, 0.0), "refine": Parity(1e-3, 0.0)},
    }
    graphs = {"coarse": _coarse(spec), "refine": _refine(spec)}
    return write_bundle(folder, ManifestParts(**(values | changes)), graphs, "# Coded\n\nReads coded phantoms.\n")


def _coarse(spec: PipelineSpec) -> bytes:
    """Return ``ct`` → ``seg`` (nearest code per voxel) and ``heat`` (its share in a small box)."""
    hu = [TISSUE_HU, *(code_hu(Vertebra(v)) for v in range(1, 9))]
    codes = [(value - spec.intensity.center_hu) / spec.intensity.scale_hu for value in hu]
    codes += [30.0] * (len(SEG_CLASSES) - len(codes))  # classes that no voxel is near
    centroids = np.array(codes, dtype=np.float32)
    heat = len(HEAT_CLASSES)
    weights = {
        "w": (2 * _SHARPNESS * centroids).reshape(-1, 1, 1, 1, 1),
        "b": -_SHARPNESS * centroids**2,
        "box": np.full((heat, 1, 3, 5, 5), 1 / 75, dtype=np.float32),
        "gain": np.float32([20]),
        "shift": np.float32([-10]),
        "first": np.int64([1]),
        "last": np.int64([1 + heat]),
        "channel": np.int64([1]),
    }
    nodes = [
        helper.make_node("Conv", ["ct", "w", "b"], ["seg"]),
        helper.make_node("Softmax", ["seg"], ["share"], axis=1),
        helper.make_node("Slice", ["share", "first", "last", "channel"], ["levels"]),
        helper.make_node("Conv", ["levels", "box"], ["mean"], pads=[1, 2, 2, 1, 2, 2], group=heat),
        helper.make_node("Mul", ["mean", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["heat"]),
    ]
    outputs = {"seg": [1, len(SEG_CLASSES), "d", "h", "w"], "heat": [1, heat, "d", "h", "w"]}
    return model(nodes, {"ct": [1, 1, "d", "h", "w"]}, outputs, weights)


def _refine(spec: PipelineSpec) -> bytes:
    """Return ``crop`` → ``out``: the voxels that are as bright as the prompted place, and their middle."""
    shape = list(spec.refine.shape)
    weights = {
        "zero": np.int64([0]),
        "one": np.int64([1]),
        "two": np.int64([2]),
        "space": np.int64([2, 3, 4]),
        "eight": np.float32([8]),
        "steep": np.float32([-8000]),
        "low": np.float32(-8),
        "high": np.float32(8),
        "gain": np.float32([16]),
    }
    nodes = [
        helper.make_node("Slice", ["crop", "zero", "one", "one"], ["ct"]),
        helper.make_node("Slice", ["crop", "one", "two", "one"], ["prompt"]),
        helper.make_node("Pow", ["prompt", "eight"], ["narrow"]),
        helper.make_node("Mul", ["ct", "narrow"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "space"], ["sum"], keepdims=1),
        helper.make_node("ReduceSum", ["narrow", "space"], ["total"], keepdims=1),
        helper.make_node("Div", ["sum", "total"], ["code"]),
        helper.make_node("Sub", ["ct", "code"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["square"]),
        helper.make_node("Mul", ["square", "steep"], ["far"]),
        helper.make_node("Add", ["far", "eight"], ["near"]),
        helper.make_node("Clip", ["near", "low", "high"], ["mask"]),
        helper.make_node("Sigmoid", ["mask"], ["share"]),
        # Windows as wide as a block: the mean has one peak, in its middle.
        helper.make_node(
            "AveragePool", ["share"], ["m1"], kernel_shape=[9, 1, 1], pads=[4, 0, 0] * 2, count_include_pad=1
        ),
        helper.make_node(
            "AveragePool", ["m1"], ["m2"], kernel_shape=[1, 21, 1], pads=[0, 10, 0] * 2, count_include_pad=1
        ),
        helper.make_node(
            "AveragePool", ["m2"], ["mean"], kernel_shape=[1, 1, 25], pads=[0, 0, 12] * 2, count_include_pad=1
        ),
        helper.make_node("Mul", ["mean", "gain"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "eight"], ["center"]),
        helper.make_node("Concat", ["mask", "center"], ["out"], axis=1),
    ]
    return model(nodes, {"crop": ["n", 4, *shape]}, {"out": ["n", 2, *shape]}, weights)
