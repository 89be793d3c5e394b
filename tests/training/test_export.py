"""Export: the bundle computes what the networks computed, in both engines."""

import numpy as np
import pytest
import torch

from cspine.models import ModelBundle, load_bundle, open_session
from cspine.pipeline import HEAT_CLASSES, SEG_CLASSES, PipelineSpec
from cspine.training.export import TOLERANCE, BundleAbout, export_bundle
from cspine.training.networks import CoarseNet, RefineNet

pytestmark = [
    pytest.mark.slow,
    # the exporter's own dependencies warn about themselves
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def networks() -> tuple[CoarseNet, RefineNet]:
    torch.manual_seed(0)
    return CoarseNet().eval(), RefineNet().eval()


@pytest.fixture(scope="module")
def bundle(networks: tuple[CoarseNet, RefineNet], tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    about = BundleAbout("vertebrae", "test", {"seed": 0}, "# Card\n")
    return export_bundle(tmp_path_factory.mktemp("export") / "bundle", *networks, PipelineSpec(), about)


def test_the_manifest_carries_a_measured_parity_within_its_tolerance(bundle: ModelBundle) -> None:
    for graph in ("coarse", "refine"):
        parity = load_bundle(bundle.folder).manifest.parity[graph]
        assert 0 < parity.max_abs_diff <= parity.tolerance == TOLERANCE


def test_the_parameters_of_the_pipeline_come_back_from_the_manifest(bundle: ModelBundle) -> None:
    assert PipelineSpec.from_manifest(load_bundle(bundle.folder).manifest.preprocess) == PipelineSpec()


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_coarse_graph_takes_other_shapes_and_agrees_with_torch(
    bundle: ModelBundle, networks: tuple[CoarseNet, RefineNet], engine: str
) -> None:
    x = np.random.default_rng(0).normal(size=(1, 1, 80, 48, 64)).astype(np.float32)
    out = open_session(bundle, "coarse", engine=engine, threads=2, precision="f32").run({"ct": x})
    with torch.no_grad():
        seg, heat = networks[0](torch.from_numpy(x))
    assert out["seg"].shape == (1, len(SEG_CLASSES), 80, 48, 64)
    assert out["heat"].shape == (1, len(HEAT_CLASSES), 80, 48, 64)
    np.testing.assert_allclose(out["seg"], seg.numpy(), atol=TOLERANCE)
    np.testing.assert_allclose(out["heat"], heat.numpy(), atol=TOLERANCE)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_refine_graph_takes_any_number_of_vertebrae(
    bundle: ModelBundle, networks: tuple[CoarseNet, RefineNet], engine: str
) -> None:
    session = open_session(bundle, "refine", engine=engine, threads=2, precision="f32")
    for count in (1, 4):
        x = np.random.default_rng(count).normal(size=(count, 4, *PipelineSpec().refine.shape)).astype(np.float32)
        with torch.no_grad():
            wanted = networks[1](torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(session.run({"crop": x})["out"], wanted, atol=TOLERANCE)


def test_no_graph_tells_where_it_was_made(bundle: ModelBundle) -> None:
    for graph in ("coarse", "refine"):
        assert b"stack_trace" not in bundle.graph_bytes(graph)
        assert b"site-packages" not in bundle.graph_bytes(graph)
