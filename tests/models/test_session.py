"""Both engines give the same numbers, and their failures are ours to name."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from cspine.domain import BundleError, BundleIncompatible, BundleMissing, ConfigError
from cspine.models import Engine, Precision, available_engines, open_session, write_bundle
from cspine.models.openvino_engine import has_bf16
from tests.models.graphs import affine, model, parts, tiny_bundle

ENGINES = [Engine.OPENVINO, Engine.ONNXRUNTIME]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b")


@pytest.fixture(params=ENGINES, ids=str)
def engine(request):
    if request.param is Engine.ONNXRUNTIME:
        pytest.importorskip("onnxruntime")
    return request.param


def test_a_graph_computes_what_it_says(bundle, engine):
    out = open_session(bundle, "affine", engine=engine).run({"x": np.arange(4.0)})
    assert list(out) == ["y"]
    np.testing.assert_array_equal(out["y"], [1, 3, 5, 7])


def test_both_engines_agree_on_a_3d_convolution_of_changing_shape(bundle):
    pytest.importorskip("onnxruntime")
    sessions = [open_session(bundle, "conv", engine=e, threads=2) for e in ENGINES]
    rng = np.random.default_rng(1)
    for shape in [(16, 32, 16), (32, 16, 48), (16, 32, 16)]:
        ct = rng.normal(size=(1, 1, *shape)).astype(np.float32)
        first, second = (s.run({"ct": ct})["y"] for s in sessions)
        assert first.shape == (1, 3, *shape)
        np.testing.assert_allclose(first, second, atol=2e-5)
        assert np.abs(first).max() > 0.1


def test_a_convolution_is_that_of_scipy(tmp_path, engine):
    from onnx import helper  # noqa: PLC0415  # the graph of this test alone

    kernel = np.random.default_rng(2).normal(size=(3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["ct", "w"], ["y"], pads=[1] * 6)
    data = model([node], {"ct": [1, 1, 8, 9, 10]}, {"y": [1, 1, 8, 9, 10]}, {"w": kernel[None, None]})
    bundle = write_bundle(tmp_path / "b", parts(), {"one": data}, "card")
    ct = np.random.default_rng(3).normal(size=(8, 9, 10)).astype(np.float32)
    out = open_session(bundle, "one", engine=engine).run({"ct": ct[None, None]})["y"][0, 0]
    np.testing.assert_allclose(out, ndimage.correlate(ct, kernel, mode="constant"), atol=1e-5)


def test_equal_input_gives_equal_bytes_in_f32(bundle, engine):
    ct = np.random.default_rng(4).normal(size=(1, 1, 32, 32, 32)).astype(np.float32)
    runs = [open_session(bundle, "conv", engine=engine, precision="f32").run({"ct": ct})["y"] for _ in range(2)]
    assert runs[0].tobytes() == runs[1].tobytes()


def test_outputs_are_float32_contiguous_and_stay_when_the_graph_runs_again(bundle, engine):
    session = open_session(bundle, "affine", engine=engine)
    first = session.run({"x": np.zeros(4)})["y"]
    session.run({"x": np.ones(4)})
    np.testing.assert_array_equal(first, np.ones(4))
    assert first.dtype == np.float32
    assert first.flags.c_contiguous


def test_outputs_of_a_scan_stay_when_the_next_scan_is_run(bundle, engine):
    session = open_session(bundle, "conv", engine=engine)
    small, large = np.ones((1, 1, 16, 16, 16)), np.full((1, 1, 32, 32, 32), 5.0)
    first = session.run({"ct": small})["y"]
    kept = first.copy()
    session.run({"ct": large})
    assert first.shape == (1, 3, 16, 16, 16)
    np.testing.assert_array_equal(first, kept)


def test_a_scan_gets_the_same_bytes_from_a_graph_compiled_for_its_size(bundle, monkeypatch):
    session = open_session(bundle, "conv", threads=1, precision="f32")
    ct = np.random.default_rng(6).normal(size=(1, 1, 32, 48, 16)).astype(np.float32)
    first = session.run({"ct": ct})["y"]
    monkeypatch.setattr("cspine.models.openvino_engine.LARGE_VALUES", ct.size)
    again = session.run({"ct": ct})["y"]
    assert again.shape == (1, 3, 32, 48, 16)
    assert again.tobytes() == first.tobytes()


def test_strided_and_float64_input_is_taken_as_it_means(bundle, engine):
    flipped = np.arange(4.0)[::-1]
    out = open_session(bundle, "affine", engine=engine).run({"x": flipped})["y"]
    np.testing.assert_array_equal(out, [7, 5, 3, 1])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"z": np.zeros(4)}, r"takes \['x'\], got \['z'\]"),
        ({}, r"takes \['x'\], got \[\]"),
        ({"x": np.zeros(5)}, r"shape \(4,\), got \(5,\)"),
        ({"x": np.zeros((4, 1))}, r"shape \(4,\), got \(4, 1\)"),
    ],
    ids=["name", "none", "size", "rank"],
)
def test_input_that_does_not_fit_is_named(bundle, engine, inputs, message):
    with pytest.raises(ValueError, match=message):
        open_session(bundle, "affine", engine=engine).run(inputs)


def test_a_failure_inside_the_engine_is_a_bundle_error(tmp_path, engine):
    from onnx import helper  # noqa: PLC0415  # the graph of this test alone

    # Two dynamic inputs that must have equal sizes: only the engine can notice.
    node = helper.make_node("Add", ["a", "b"], ["y"])
    data = model([node], {"a": ["n"], "b": ["m"]}, {"y": ["k"]}, {})
    bundle = write_bundle(tmp_path / "b", parts(), {"add": data}, "card")
    session = open_session(bundle, "add", engine=engine)
    with pytest.raises(BundleError, match=f"{engine} failed in graph 'add' on input"):
        session.run({"a": np.zeros(3), "b": np.zeros(4)})


def test_the_graph_must_have_the_names_that_the_manifest_says(tmp_path, engine, monkeypatch):
    bundle = tiny_bundle(tmp_path / "b")
    other = affine(2, 1).replace(b"\x01x", b"\x01q").replace(b"x", b"q")
    monkeypatch.setattr(type(bundle), "graph_bytes", lambda self, name: other)
    with pytest.raises(BundleIncompatible, match=r"names the inputs \['x'\], the graph has \['q'\]"):
        open_session(bundle, "affine", engine=engine)


def test_a_graph_that_the_engine_cannot_load_is_incompatible(bundle, engine, monkeypatch):
    monkeypatch.setattr(type(bundle), "graph_bytes", lambda self, name: b"\x08\x08junk")
    with pytest.raises(BundleIncompatible, match=f"{engine} cannot load it"):
        open_session(bundle, "affine", engine=engine)


def test_an_unknown_graph_is_missing(bundle, engine):
    with pytest.raises(BundleMissing, match="no graph 'coarse'"):
        open_session(bundle, "coarse", engine=engine)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "tensorrt"}, "unknown engine 'tensorrt'; known are openvino, onnxruntime"),
        ({"precision": "int4"}, "unknown precision 'int4'; known are f32, bf16"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
    ],
    ids=["engine", "precision", "threads"],
)
def test_an_impossible_setting_is_refused_with_those_that_exist(bundle, settings, message):
    with pytest.raises(ConfigError, match=message):
        open_session(bundle, "affine", **settings)


def test_bf16_that_was_asked_for_is_never_silently_f32(bundle):
    pytest.importorskip("onnxruntime")
    with pytest.raises(ConfigError, match="onnxruntime on this processor computes in f32 only"):
        open_session(bundle, "affine", engine="onnxruntime", precision="bf16")
    if has_bf16():
        assert open_session(bundle, "affine", precision="bf16").precision is Precision.BF16
    else:
        with pytest.raises(ConfigError, match="openvino on this processor"):
            open_session(bundle, "affine", precision="bf16")


def test_the_wish_of_the_bundle_yields_to_what_the_processor_has(tmp_path):
    bundle = tiny_bundle(tmp_path / "b", precision=Precision.BF16)
    expected = Precision.BF16 if has_bf16() else Precision.F32
    assert open_session(bundle, "affine").precision is expected
    assert open_session(bundle, "affine", precision="f32").precision is Precision.F32


def test_an_absent_onnxruntime_is_answered_with_how_to_install_it(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'cspine\[onnxruntime\]'"):
        open_session(bundle, "affine", engine="onnxruntime")


def test_available_engines_tell_versions():
    assert available_engines()[Engine.OPENVINO]


def test_importing_models_loads_no_engine():
    code = "import sys, cspine.models; print(sorted({'openvino', 'onnxruntime', 'onnx', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SIGNALED = """
import faulthandler, gc, signal, sys
from pathlib import Path
from cspine.models import load_bundle, open_session
faulthandler.enable()  # gives the thread a stack for signals, as every tool does that shows crashes
bundle = load_bundle(Path(sys.argv[1]))
first, second = (open_session(bundle, "affine", engine="openvino") for _ in range(2))
del first
gc.collect()
del second
gc.collect()
seen = []
signal.signal(signal.SIGCHLD, lambda number, frame: seen.append(number))
signal.raise_signal(signal.SIGCHLD)
print(len(seen))
"""


def test_signals_are_handled_when_sessions_have_ended_in_any_order(bundle):
    # What fails without one core for all: processors with AMX, where the engine brings a stack for signals.
    command = [sys.executable, "-c", SIGNALED, str(bundle.folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr
