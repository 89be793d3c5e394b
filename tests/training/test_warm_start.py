"""A training may begin from a bundle: the network then computes what the bundle's graph computes."""

from pathlib import Path

import pytest
import torch

from cspine.domain import BundleIncompatible
from cspine.models import default_bundle_path, load_bundle, open_session
from cspine.pipeline import FractureSpec, PipelineSpec
from cspine.training.export import BundleAbout, export_bundle
from cspine.training.fracture_cases import MIMICS, TYPES
from cspine.training.fracture_net import FractureNet
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


def test_a_fracture_network_started_from_the_shipped_bundle_gives_what_its_graph_gives() -> None:
    bundle = load_bundle(default_bundle_path())
    shape = FractureSpec().shape
    crops = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(3)).mul(0.5)
    crops[:, 1:] = (crops[:, 1:] > 0).float()
    network = start_from(bundle, "fracture", FractureNet(len(TYPES) + len(MIMICS)), [crops[..., :48, :64]]).eval()
    with torch.no_grad():
        broken, heads = network(crops[1:])
    wanted = open_session(bundle, "fracture", engine="onnxruntime", threads=1).run({"crop": crops[1:].numpy()})
    torch.testing.assert_close(broken, torch.from_numpy(wanted["map"]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(heads, torch.from_numpy(wanted["heads"]), atol=1e-4, rtol=1e-4)
    with pytest.raises(BundleIncompatible, match=r"graph coarse: differs from the network of this version in .*weight"):
        start_from(bundle, "coarse", FractureNet(34), [crops])


def test_a_graph_of_another_network_is_refused_by_the_names_that_differ(tmp_path: Path) -> None:
    about = BundleAbout("toy", "1", {}, "# Toy\n")
    export_bundle(tmp_path / "bundle", CoarseNet(), RefineNet(), PipelineSpec(), about)
    bundle = load_bundle(tmp_path / "bundle")
    with pytest.raises(BundleIncompatible, match=r"graph refine: differs .* in .*weight \(\d+ in all\)"):
        start_from(bundle, "refine", CoarseNet(), [torch.zeros(1, 1, 32, 32, 32)])
