"""The coded phantom, whose HU say the names of its vertebrae, and a bundle of nearest-centroid graphs that read it.

The whole pipeline runs on them, so plumbing is tested without trained weights.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import helper

from cspine.domain import FractureTruth, Grid, GroundTruth, LabelMap, Vertebra, VertebraTruth, Volume, WorldBox
from cspine.evaluation import ConformalRule, ErrorLevels, LogitCalibration, Priors, StudyHead, Triage
from cspine.models import ManifestParts, ModelBundle, Parity, Precision, write_bundle
from cspine.pipeline import HEAT_CLASSES, SEG_CLASSES, FractureSpec, LocalizeSpec, PipelineSpec
from tests.models.graphs import model

TISSUE_HU = 0
# A break is brighter than this; the blocks themselves are not.
BREAK_HU = 1290
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


def broken_case() -> tuple[Volume, LabelMap, GroundTruth, np.ndarray]:
    """Return a whole coded neck with a bright plate of 4 × 3 × 12 mm in the block of C4, and the plate's center."""
    volume, labels, truth = coded_case()
    plate = np.array(truth.vertebrae[Vertebra.C4 - Vertebra.C1].center_lps_mm) + np.array([9.0, 4.0, 0.0])
    z, y, x = np.rint(volume.grid.to_index(plate)).astype(int)
    hu = volume.hu.copy()
    hu[z - 2 : z + 3, y - 1 : y + 2, x - 6 : x + 7] = 2000
    half = np.array([6.5, 1.5, 2.5])
    low, high = plate - half, plate + half
    box = WorldBox((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    fracture = FractureTruth("dens-ii", Vertebra.C4, 4, "acute", "A", box)
    return Volume(volume.grid, hu), labels, replace(truth, fractures=(fracture,)), plate


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


def coded_fracture_bundle(folder: Path, triage: Triage | None = None) -> ModelBundle:
    """Write the bundle that also sees breaks: what is brighter than `BREAK_HU` shows one."""
    spec = PipelineSpec(fracture=FractureSpec(types=1), localize=LocalizeSpec())
    assert spec.fracture is not None
    values: dict = {
        "name": "coded",
        "version": "1",
        "created_by": "tests",
        "precision": Precision.F32,
        "labels": {
            "seg": SEG_CLASSES,
            "heat": HEAT_CLASSES,
            "out": ("mask", "center"),
            "types": ("dens-ii",),
            "mimics": ("metal",),
        },
        "preprocess": spec.to_manifest(),
        "parity": {name: Parity(1e-3, 0.0) for name in ("coarse", "refine", "fracture")},
        "calibration": (triage or coded_triage()).document(),
        "thresholds": {"map": 0.5, "chosen_on": "coded"},
    }
    graphs = {"coarse": _coarse(spec), "refine": _refine(spec), "fracture": _fracture(spec.fracture)}
    return write_bundle(folder, ManifestParts(**values), graphs, "# Coded\n\nReads coded phantoms and their breaks.\n")


def coded_triage() -> Triage:
    """Return rules that rule out below −2 and in above ½, and a prior of a third of the studies."""
    rule = ConformalRule(-2.0, 0.5, ErrorLevels(), 100, 100)
    head = StudyHead((1.0, *(0.0,) * 6), 0.0, (-3.0,) * 7)
    plain = LogitCalibration()
    return Triage(plain, Priors(1 / 3, (0.1,) * 7), (rule,) * 7, rule, head, plain, "coded")


def _fracture(spec: FractureSpec) -> bytes:
    """Return ``crop`` → ``map`` (bright voxels) and ``heads`` (the brightest of the vertebra's own)."""
    d, h, w = (n // b for n, b in zip(spec.shape, spec.map_block, strict=True))
    weights = {
        "zero": np.int64([0]),
        "one": np.int64([1]),
        "two": np.int64([2]),
        "space": np.int64([2, 3, 4]),
        "flat": np.int64([-1, 1]),
        "limit": np.float32((BREAK_HU - 200) / 600),
        "steep": np.float32(300),
        "low": np.float32(-8),
        "high": np.float32(8),
        "w": np.float32([[1, 0, 0]]),
        "b": np.float32([0, 2, -8]),
    }
    nodes = [
        helper.make_node("Slice", ["crop", "zero", "one", "one"], ["ct"]),
        helper.make_node("Slice", ["crop", "one", "two", "one"], ["own"]),
        helper.make_node("Sub", ["ct", "limit"], ["over"]),
        helper.make_node("Mul", ["over", "steep"], ["sharp"]),
        helper.make_node("Clip", ["sharp", "low", "high"], ["bright"]),
        helper.make_node("MaxPool", ["bright"], ["map"], kernel_shape=[1, 2, 2], strides=[1, 2, 2]),
        helper.make_node("MaxPool", ["own"], ["mine"], kernel_shape=[1, 2, 2], strides=[1, 2, 2]),
        helper.make_node("Sub", ["map", "low"], ["raised"]),
        helper.make_node("Mul", ["raised", "mine"], ["gated"]),
        helper.make_node("ReduceMax", ["gated"], ["top"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("Reshape", ["top", "flat"], ["column"]),
        helper.make_node("Add", ["column", "low"], ["logit"]),
        helper.make_node("MatMul", ["logit", "w"], ["spread"]),
        helper.make_node("Add", ["spread", "b"], ["heads"]),
    ]
    outputs = {"map": ["n", 1, d, h, w], "heads": ["n", 3]}
    return model(nodes, {"crop": ["n", 3, *spec.shape]}, outputs, weights)


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
