"""A training may begin from a bundle: the network then computes what the bundle's graph computes."""

from pathlib import Path

import pytest
import torch

from cspine.domain import BundleIncompatible
from cspine.models import load_bundle, open_session
from cspine.pipeline import PipelineSpec
from cspine.training.export import BundleAbout, export_bundle
from cspine.training.networks import CoarseNet, RefineNet
from cspine.training.warm_start import start_from

pytestmark = [
    pytest.mark.slow,
    # the exporter's own dependencies warn about themselves
    pytest.mark.filterwarnings("ignore"),
]


def test_a_network_started_from_a_bundle_gives_the_outputs_of_the_graph_and_trains(tmp_path: Path) -> None:
    torch.manual_seed(0)
    noise = torch.randn(2, 1, 32, 32, 32)
    trained = CoarseNet()
    trained.train()
    trained(noise)  # statistics that are not those of a fresh network
    about = BundleAbout("toy", "1", {}, "# Toy\n")
    export_bundle(tmp_path / "bundle", trained, RefineNet(), PipelineSpec(), about)
    bundle = load_bundle(tmp_path / "bundle")
    network = start_from(bundle, "coarse", CoarseNet(), [noise]).eval()
    with torch.no_grad():
        seg, heat = network(noise[:1])
    wanted = open_session(bundle, "coarse", engine="onnxruntime", threads=1).run({"ct": noise[:1].numpy()})
    torch.testing.assert_close(seg, torch.from_numpy(wanted["seg"]), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(heat, torch.from_numpy(wanted["heat"]), atol=1e-3, rtol=1e-3)
    network.train()
    again, _ = network(noise)
    assert float((again[:1] - seg).abs().mean().detach()) < 0.2 * float(seg.abs().mean())


def test_a_graph_of_another_network_is_refused_by_the_names_that_differ(tmp_path: Path) -> None:
    about = BundleAbout("toy", "1", {}, "# Toy\n")
    export_bundle(tmp_path / "bundle", CoarseNet(), RefineNet(), PipelineSpec(), about)
    bundle = load_bundle(tmp_path / "bundle")
    with pytest.raises(BundleIncompatible, match=r"graph refine: differs .* in .*weight \(\d+ in all\)"):
        start_from(bundle, "refine", CoarseNet(), [torch.zeros(1, 1, 32, 32, 32)])
