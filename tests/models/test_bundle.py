"""A bundle is what its hash says, or it is refused by name."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspine.domain import BundleCorrupt, BundleError, BundleIncompatible, BundleMissing
from cspine.models import Parity, Precision, load_bundle, write_bundle
from cspine.models.manifest import canonical_bytes, parse_manifest, sha256
from tests.models.graphs import affine, conv3d, parts, tiny_bundle


def _rewrite(bundle_folder: Path, change) -> None:
    """Change the manifest and give it the id that fits."""
    path = bundle_folder / "manifest.json"
    document = json.loads(path.read_text())
    del document["id"]
    change(document)
    path.write_bytes(canonical_bytes(document | {"id": sha256(canonical_bytes(document))}))


def test_what_is_written_is_read_back(tmp_path):
    written = tiny_bundle(tmp_path / "b")
    read = load_bundle(tmp_path / "b")
    assert read == written
    assert read.manifest.preprocess["coarse"]["spacing_mm"] == (3.0, 4.0, 4.0)
    assert read.manifest.parity["conv"] == Parity(1e-3, 1e-5)
    assert read.manifest.labels["y"] == ("a", "b", "c")
    assert read.manifest.precision is Precision.F32
    assert read.card().startswith("# Tiny")


def test_the_manifest_names_inputs_and_outputs_with_dynamic_dimensions(tmp_path):
    graph = tiny_bundle(tmp_path / "b").graph("conv")
    assert [(t.name, t.shape) for t in graph.inputs] == [("ct", (1, 1, None, None, None))]
    assert [(t.name, t.shape) for t in graph.outputs] == [("y", (1, 3, None, None, None))]


def test_the_identity_is_the_hash_of_the_manifest_without_it(tmp_path):
    bundle = tiny_bundle(tmp_path / "b")
    document = json.loads((tmp_path / "b" / "manifest.json").read_text())
    said = document.pop("id")
    assert said == bundle.id == hashlib.sha256(canonical_bytes(document)).hexdigest()
    assert bundle.short_id == bundle.id[:12]


def test_equal_content_has_an_equal_identity_wherever_it_lies(tmp_path):
    assert tiny_bundle(tmp_path / "a").id == tiny_bundle(tmp_path / "b").id


@pytest.mark.parametrize(
    ("graphs", "card", "changes"),
    [
        ({"affine": affine(2, 2)}, "card", {}),
        ({"affine": affine(2, 1)}, "other card", {}),
        ({"affine": affine(2, 1)}, "card", {"version": "1.0.1"}),
        ({"affine": affine(2, 1)}, "card", {"calibration": {"slope": 1.5}}),
    ],
    ids=["graph", "card", "version", "calibration"],
)
def test_any_change_changes_the_identity(tmp_path, graphs, card, changes):
    first = write_bundle(tmp_path / "a", parts(), {"affine": affine(2, 1)}, "card")
    assert write_bundle(tmp_path / "b", parts(**changes), graphs, card).id != first.id


@pytest.mark.parametrize("name", ["manifest.json", "MODEL_CARD.md", "conv.onnx", "affine.onnx"])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_in_any_file_is_refused(tmp_path_factory, name, where, bit):
    folder = tmp_path_factory.mktemp("flip") / "b"
    tiny_bundle(folder)
    path = folder / name
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    path.write_bytes(data)
    # A flip inside the schema's own name or number reads as another schema; everything else is corruption.
    with pytest.raises((BundleCorrupt, BundleIncompatible), match=name) as caught:
        load_bundle(folder)
    assert isinstance(caught.value, BundleCorrupt) or "schema" in str(caught.value)


def test_the_message_about_a_changed_graph_says_file_expected_and_got(tmp_path):
    bundle = tiny_bundle(tmp_path / "b")
    (tmp_path / "b" / "conv.onnx").write_bytes(b"other")
    with pytest.raises(BundleCorrupt) as caught:
        load_bundle(tmp_path / "b")
    for part in ("conv.onnx", bundle.graph("conv").sha256, hashlib.sha256(b"other").hexdigest()):
        assert part in str(caught.value)


def test_a_graph_changed_after_loading_is_refused_when_it_is_used(tmp_path):
    bundle = tiny_bundle(tmp_path / "b")
    (tmp_path / "b" / "conv.onnx").write_bytes(conv3d(seed=1))
    with pytest.raises(BundleCorrupt, match=r"conv\.onnx"):
        bundle.graph_bytes("conv")


def test_a_manifest_with_other_white_space_is_refused(tmp_path):
    tiny_bundle(tmp_path / "b")
    path = tmp_path / "b" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(BundleCorrupt, match="other bytes"):
        load_bundle(tmp_path / "b")


@pytest.mark.parametrize("gone", ["manifest.json", "MODEL_CARD.md", "conv.onnx"])
def test_a_missing_file_is_named(tmp_path, gone):
    tiny_bundle(tmp_path / "b")
    (tmp_path / "b" / gone).unlink()
    with pytest.raises(BundleMissing, match=gone):
        load_bundle(tmp_path / "b")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(BundleMissing, match="nowhere"):
        load_bundle(tmp_path / "nowhere")


def test_an_unknown_graph_is_answered_with_those_that_exist(tmp_path):
    with pytest.raises(BundleMissing, match="no graph 'refine', only affine, conv"):
        tiny_bundle(tmp_path / "b").graph("refine")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(schema="2.0"),
        lambda d: d.update(surprise=1),
        lambda d: d.pop("training"),
        lambda d: d.update(precision="int8"),
        lambda d: d.update(name="../../etc"),
        lambda d: d.update(preprocess=[1]),
        lambda d: d["graphs"]["conv"].update(file="../conv.onnx"),
        lambda d: d["graphs"]["conv"].update(sha256="0"),
        lambda d: d["graphs"]["conv"].update(inputs="ct"),
        lambda d: d["parity"]["conv"].update(max_abs_diff=1.0),
        lambda d: d.update(thresholds={"rule_in": 0.5}),
        lambda d: d["card"].update(file="/etc/passwd"),
    ],
    ids=[
        "schema",
        "extra",
        "lacking",
        "precision",
        "name",
        "kind",
        "traversal",
        "hash",
        "inputs",
        "parity",
        "chosen",
        "card",
    ],
)
def test_a_manifest_that_this_version_does_not_understand_is_incompatible(tmp_path, change):
    tiny_bundle(tmp_path / "b")
    _rewrite(tmp_path / "b", change)
    with pytest.raises(BundleIncompatible, match=r"manifest\.json"):
        load_bundle(tmp_path / "b")


@given(st.binary(max_size=200))
def test_any_bytes_that_are_no_manifest_are_refused_without_a_foreign_error(data):
    with pytest.raises((BundleCorrupt, BundleIncompatible), match="somewhere"):
        parse_manifest(data, "somewhere")


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"schema": "1.0", "id": NaN}', b"[]", b"\xff"])
def test_hostile_manifests_are_refused_without_a_foreign_error(data):
    with pytest.raises(BundleCorrupt, match="somewhere"):
        parse_manifest(data, "somewhere")


def test_an_existing_folder_is_never_overwritten(tmp_path):
    before = tiny_bundle(tmp_path / "b").id
    with pytest.raises(BundleError, match="exists already"):
        tiny_bundle(tmp_path / "b", version="2.0.0")
    assert load_bundle(tmp_path / "b").id == before


def test_a_graph_that_is_no_model_leaves_nothing_behind(tmp_path):
    with pytest.raises(BundleIncompatible, match="'conv' is no ONNX model"):
        write_bundle(tmp_path / "b", parts(), {"conv": b"junk"}, "card")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(self: Path, data: bytes) -> int:
        if self.name == "MODEL_CARD.md":
            raise OSError(28, "No space left on device")
        return write(self, data)

    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BundleError, match="No space left on device"):
        tiny_bundle(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_parity_beyond_its_tolerance_is_never_stated():
    with pytest.raises(ValueError, match=r"0\.5 is beyond the tolerance 0\.1"):
        Parity(tolerance=0.1, max_abs_diff=0.5)
    with pytest.raises(ValueError, match="beyond the tolerance"):
        Parity(tolerance=0.1, max_abs_diff=float("nan"))


def test_what_the_manifest_holds_cannot_be_changed(tmp_path):
    bundle = tiny_bundle(tmp_path / "b")
    with pytest.raises(TypeError):
        bundle.manifest.preprocess["coarse"]["multiple"] = 8
