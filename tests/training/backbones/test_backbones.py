"""Backbones: every name builds what was published, and begins where it is told to, or says why not."""

from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import timm.models._hub as timm_hub
import torch

from cspine.domain import ConfigError
from cspine.training.backbones import (
    BACKBONES,
    HeadPlan,
    SliceClassifier,
    begin,
    blocks_of,
    build_classifier,
    normalized,
    stage_channels,
    thaw_last,
)
from cspine.training.state_files import load_state, save_state

# Parameters without classifier in millions, as published.
PUBLISHED = {"efficientnet-b0": 4.0, "densenet121": 7.0, "mobilenet-v1": 3.2, "mobilenet-v2": 2.2}


@pytest.fixture(scope="module")
def v2(shared_data) -> Path:
    return shared_data("weights/mobilenet/tf2_mobilenet_v2_1.0_224_dequant.npz")


@pytest.fixture(scope="module")
def v1(shared_data) -> Path:
    return shared_data("weights/mobilenet/mobilenet_v1_1.0_224_backbone_dequant.npz")


def answer(network: SliceClassifier, size: int = 32) -> torch.Tensor:
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return network.eval()(x)


@pytest.mark.parametrize(("name", "millions"), PUBLISHED.items())
def test_a_backbone_has_the_published_number_of_parameters_and_answers(name: str, millions: float) -> None:
    network = build_classifier(name, 1, HeadPlan(16, 0.3), seed=0)
    assert sum(p.numel() for p in network.backbone.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)
    assert answer(network).shape == (1, 1)


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - set(PUBLISHED)))
def test_every_other_backbone_builds_and_answers_in_shape(name: str) -> None:
    with torch.device("meta"):  # shapes without memory: B7 and VGG16 are large
        network = build_classifier(name, 8, HeadPlan(), seed=0).eval()
        assert network(torch.zeros(1, 3, 96, 96)).shape == (1, 8)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("efficientnet-b0", [32, 16, 24, 40, 80, 112, 192, 320, 1280]),
        ("efficientnet-b3", [40, 24, 32, 48, 96, 136, 232, 384, 1536]),
    ],
)
def test_channels_per_stage_are_those_of_the_publication(name: str, channels: list[int]) -> None:
    assert stage_channels(name) == channels


def test_the_same_seed_builds_the_same_network_and_an_unknown_name_is_answered_with_the_nearest() -> None:
    a, b = (answer(build_classifier("tiny", 2, HeadPlan(), seed=3)) for _ in range(2))
    torch.testing.assert_close(a, b, rtol=0, atol=0)
    with pytest.raises(ConfigError, match="unknown backbone 'densenet12', did you mean 'densenet121'"):
        build_classifier("densenet12", 1, HeadPlan(), seed=0)


def test_thawing_goes_from_the_features_back_until_the_share_is_reached() -> None:
    network = build_classifier("tiny", 1, HeadPlan(), seed=0)
    total = sum(p.numel() for p in network.backbone.parameters())
    names = [name for name, _ in blocks_of(network)]
    for share in (0.0, 0.3, 1.0):
        thawed = thaw_last(network, share)
        free = sum(p.numel() for p in network.backbone.parameters() if p.requires_grad)
        assert thawed == names[len(names) - len(thawed) :]
        assert share * total <= free
        assert all(p.requires_grad for p in network.head.parameters())
    assert free == total
    assert thaw_last(network, 0.0) == []


def reference_forward(arrays: dict[str, np.ndarray], image_HWC: np.ndarray) -> np.ndarray:
    """Compute MobileNetV2's logits from the folded arrays in NumPy: the published network without any library."""

    def pad_same(x: np.ndarray, stride: int) -> np.ndarray:
        total = [max((-(-n // stride) - 1) * stride + 3 - n, 0) for n in x.shape[:2]]
        return np.pad(x, [(t // 2, t - t // 2) for t in total] + [(0, 0)])

    def windows(x: np.ndarray, stride: int) -> np.ndarray:
        view = np.lib.stride_tricks.sliding_window_view(pad_same(x, stride), (3, 3), axis=(0, 1))
        return view[::stride, ::stride]  # (rows, columns, channels, 3, 3)

    def relu6(x: np.ndarray) -> np.ndarray:
        return np.clip(x, 0, 6)

    def point(x: np.ndarray, layer: str) -> np.ndarray:
        return x @ arrays[f"{layer}_w"][:, 0, 0].T + arrays[f"{layer}_b"]

    def depth(x: np.ndarray, layer: str, stride: int) -> np.ndarray:
        return np.einsum("rckij,ijk->rck", windows(x, stride), arrays[f"{layer}_w"][0]) + arrays[f"{layer}_b"]

    x = relu6(np.einsum("rckij,oijk->rco", windows(image_HWC, 2), arrays["00_conv_w"]) + arrays["00_conv_b"])
    x = point(relu6(depth(x, "01_dw", 1)), "02_conv")
    layer = 3
    for repeats, first_stride in ((2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)):
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            y = relu6(point(x, f"{layer:02d}_conv"))
            y = point(relu6(depth(y, f"{layer + 1:02d}_dw", stride)), f"{layer + 2:02d}_conv")
            x = x + y if repeat else y
            layer += 3
    return relu6(point(x, "51_conv")).mean(axis=(0, 1))


def test_the_converted_mobilenet_v2_computes_what_its_arrays_compute_without_torch(v2: Path) -> None:
    network = build_classifier("mobilenet-v2", 1, HeadPlan(), seed=0)
    start = begin(network, "mobilenet-v2", str(v2))
    image = np.random.default_rng(0).uniform(0, 1, (50, 50, 3)).astype(np.float32)
    x = normalized(torch.from_numpy(image).movedim(-1, 0), start)
    assert x.min() >= -1
    assert x.max() <= 1
    with torch.no_grad():
        got = network.eval().backbone(x[None])[0].numpy()
    with np.load(v2) as arrays:
        wanted = reference_forward(dict(arrays), 2 * image - 1)
    assert wanted.std() > 0.05
    np.testing.assert_allclose(got, wanted, atol=1e-3)
    assert start.folded


def test_the_converted_mobilenet_v1_answers_differently_to_different_images(v1: Path) -> None:
    network = build_classifier("mobilenet-v1", 1, HeadPlan(), seed=0)
    assert begin(network, "mobilenet-v1", str(v1)).source == v1.name
    images = torch.stack([torch.zeros(3, 64, 64), torch.ones(3, 64, 64)])
    images[0, :, ::8] = -1.0
    with torch.no_grad():
        features = network.eval().backbone(images)
    assert torch.isfinite(features).all()
    assert 0.1 < features.std() < 10
    assert (features[0] - features[1]).abs().max() > 0.5


def test_arrays_of_another_mobilenet_are_refused(v1: Path, v2: Path) -> None:
    for name, path in (("mobilenet-v2", v1), ("mobilenet-v1", v2)):
        with pytest.raises(ConfigError, match="it is of another MobileNet"):
            begin(build_classifier(name, 1, HeadPlan(), seed=0), name, str(path))


def test_weights_of_a_whole_classifier_of_other_classes_begin_a_backbone(tmp_path: Path) -> None:
    source = build_classifier("tiny", 5, HeadPlan(), seed=1)
    save_state(source.state_dict(), tmp_path / "w.safetensors")
    network = build_classifier("tiny", 1, HeadPlan(), seed=2)
    begin(network, "tiny", str(tmp_path / "w.safetensors"))
    for name, value in network.backbone.state_dict().items():
        torch.testing.assert_close(value, load_state(tmp_path / "w.safetensors")[f"backbone.{name}"], rtol=0, atol=0)


def test_weights_of_another_network_are_refused_with_counts(tmp_path: Path) -> None:
    save_state(build_classifier("tiny", 1, HeadPlan(), seed=1).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=r"not weights of this network: \d+ arrays absent"):
        begin(build_classifier("mobilenet-v2", 1, HeadPlan(), seed=0), "mobilenet-v2", str(tmp_path / "w.safetensors"))


def test_offline_and_absent_is_one_sentence_with_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*args: object, **kwargs: object) -> None:
        raise huggingface_hub.errors.LocalEntryNotFoundError("offline")

    monkeypatch.setattr(timm_hub, "hf_hub_download", absent)
    with pytest.raises(ConfigError, match=r"neither on this machine.*--weights FILE.*--weights none"):
        begin(build_classifier("mobilenet-v2", 1, HeadPlan(), seed=0), "mobilenet-v2", "imagenet")


def test_the_hub_weights_of_timm_are_taken_when_they_can_be_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = build_classifier("mobilenet-v2", 1, HeadPlan(), seed=9).backbone.state_dict()
    save_state({**source, "classifier.weight": torch.zeros(1000, 1280)}, tmp_path / "model.safetensors")
    monkeypatch.setattr(timm_hub, "hf_hub_download", lambda **kwargs: str(tmp_path / "model.safetensors"))
    network = build_classifier("mobilenet-v2", 1, HeadPlan(), seed=0)
    assert begin(network, "mobilenet-v2", "imagenet").source.startswith("timm/mobilenetv2_100")
    torch.testing.assert_close(
        *(state["conv_stem.weight"] for state in (network.backbone.state_dict(), source)), rtol=0, atol=0
    )
