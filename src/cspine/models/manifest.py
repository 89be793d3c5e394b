"""The manifest of a model bundle: what it says, how it is read and written.

The file is canonical JSON (keys sorted, two spaces, UTF-8, one newline at the end), byte for byte. Its ``id`` is the
SHA-256 of the same document without ``id``; it covers the hash of every graph and of the model card.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from cspine.domain import BundleCorrupt, BundleIncompatible

BUNDLE_SCHEMA = "1.0"
MANIFEST_FILE = "manifest.json"
CARD_FILE = "MODEL_CARD.md"

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Precision(StrEnum):
    """Arithmetic of the network."""

    F32 = "f32"
    BF16 = "bf16"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph; ``None`` is a dynamic dimension."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class GraphSpec:
    """One graph of the bundle.

    Attributes
    ----------
    file
        File name inside the bundle, ``<graph>.onnx``.
    sha256
        Hash of the file, 64 hex digits.
    """

    file: str
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Parity:
    """How close the exported graph came to the network that it was exported from."""

    tolerance: float
    max_abs_diff: float

    def __post_init__(self) -> None:
        if not 0 <= self.max_abs_diff <= self.tolerance:
            raise ValueError(
                f"parity: largest difference {self.max_abs_diff:.3g} is beyond the tolerance {self.tolerance:.3g}"
            )


@dataclass(frozen=True)
class ManifestParts:
    """What the maker of a bundle says about it. JSON objects become read-only.

    Attributes
    ----------
    created_by
        Name and version of the software that made it.
    precision
        Arithmetic that the bundle asks for where the engine and the processor have it.
    labels
        Class names of the networks, by output name, in channel order.
    preprocess
        Parameters of every stage, by stage, as `cspine.pipeline` reads them.
    calibration, thresholds
        Empty without a fracture stage; non-empty `thresholds` name their set under ``chosen_on``.
    parity
        By graph.
    training
        Provenance: recipe, data, seed, steps, measured quality.
    """

    name: str
    version: str
    created_by: str
    precision: Precision
    labels: Mapping[str, tuple[str, ...]]
    preprocess: Mapping[str, Any]
    parity: Mapping[str, Parity] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    license: str = "Apache-2.0"

    def __post_init__(self) -> None:
        if not _PLAIN_NAME.fullmatch(self.name):
            raise ValueError(f"bundle name {self.name!r} is not made of letters, digits, '.', '_' and '-'")
        if self.thresholds and not isinstance(self.thresholds.get("chosen_on"), str):
            raise ValueError("thresholds do not say under 'chosen_on' on which set they were chosen")
        for key in ("labels", "preprocess", "parity", "calibration", "thresholds", "training"):
            object.__setattr__(self, key, frozen_json(getattr(self, key)))


@dataclass(frozen=True, kw_only=True)
class Manifest(ManifestParts):
    """The whole manifest: the maker's parts, the graphs and the hash of the model card."""

    graphs: Mapping[str, GraphSpec]
    card_sha256: str

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "graphs", MappingProxyType(dict(self.graphs)))

    @property
    def id(self) -> str:
        """SHA-256 over the canonical manifest, 64 hex digits."""
        return sha256(canonical_bytes(self._document()))

    @property
    def parts(self) -> ManifestParts:
        """What its maker said, to be said of another bundle with changes (`dataclasses.replace`)."""
        return ManifestParts(**{one.name: getattr(self, one.name) for one in fields(ManifestParts)})

    def to_bytes(self) -> bytes:
        """Return the manifest file."""
        return canonical_bytes(self._document() | {"id": self.id})

    def _document(self) -> dict[str, Any]:
        return {
            "schema": BUNDLE_SCHEMA,
            "name": self.name,
            "version": self.version,
            "created_by": self.created_by,
            "precision": self.precision.value,
            "labels": plain_json(self.labels),
            "preprocess": plain_json(self.preprocess),
            "parity": {k: {"tolerance": p.tolerance, "max_abs_diff": p.max_abs_diff} for k, p in self.parity.items()},
            "calibration": plain_json(self.calibration),
            "thresholds": plain_json(self.thresholds),
            "training": plain_json(self.training),
            "license": self.license,
            "graphs": {k: _graph_document(g) for k, g in self.graphs.items()},
            "card": {"file": CARD_FILE, "sha256": self.card_sha256},
        }


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest file and check it against its own id.

    Parameters
    ----------
    where
        The file, for messages.

    Raises
    ------
    BundleCorrupt
        Not JSON, or its bytes differ from those that its id promises.
    BundleIncompatible
        Another schema, or a field is missing, unknown or of the wrong kind.
    """
    document = _decode(data, where)
    schema = document.get("schema")
    if schema != BUNDLE_SCHEMA:
        raise BundleIncompatible(
            f"{where}: schema {schema!r}, this version reads {BUNDLE_SCHEMA!r}; "
            "use a bundle made for this version of cspine"
        )
    _check_id(document, data, where)
    try:
        return _build(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleIncompatible(
            f"{where}: a field is missing or wrong ({error!r}); export the bundle again"
        ) from error


def sha256(data: bytes) -> str:
    """Return the hash as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_bytes(document: Mapping[str, Any]) -> bytes:
    """Return the one byte string of a JSON document; NaN and infinity are refused with a ``ValueError``."""
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def frozen_json(value: Any) -> Any:
    """Return a JSON value with read-only objects and tuples for arrays."""
    if isinstance(value, Mapping):
        return MappingProxyType({str(k): frozen_json(v) for k, v in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen_json(v) for v in value)
    return value


def plain_json(value: Any) -> Any:
    """Return what `frozen_json` froze as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {k: plain_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(v) for v in value]
    return value


def _decode(data: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleCorrupt(f"{where}: not a JSON document ({error}); get the bundle again") from error
    if not isinstance(document, dict):
        raise BundleCorrupt(f"{where}: expected a JSON object, got {type(document).__name__}; get the bundle again")
    return document


def _check_id(document: dict[str, Any], data: bytes, where: str) -> None:
    """Refuse a manifest whose content or whose very bytes are not those that its id was made of."""
    expected = document.get("id")
    rest = {k: v for k, v in document.items() if k != "id"}
    try:
        got = sha256(canonical_bytes(rest))
        same_bytes = canonical_bytes(document) == data
    except ValueError as error:
        raise BundleCorrupt(
            f"{where}: holds a value that JSON does not have ({error}); get the bundle again"
        ) from error
    if got != expected or not same_bytes:
        got = got if got != expected else f"other bytes, SHA-256 {sha256(data)}"
        raise BundleCorrupt(f"{where}: expected id {expected}, got {got}; the file was changed, get the bundle again")


def _build(document: dict[str, Any]) -> Manifest:
    values = {k: v for k, v in document.items() if k not in ("schema", "id", "card")}
    card = document["card"]
    if card["file"] != CARD_FILE or not _SHA256.fullmatch(card["sha256"]):
        raise ValueError(f"card {card}")
    values["precision"] = Precision(values["precision"])
    values["parity"] = {k: Parity(**p) for k, p in values["parity"].items()}
    values["graphs"] = {k: _graph(k, g) for k, g in values["graphs"].items()}
    for key in ("name", "version", "created_by", "license"):
        if not isinstance(values[key], str):
            raise TypeError(f"{key} is {values[key]!r}")
    for key in ("labels", "preprocess", "calibration", "thresholds", "training"):
        if not isinstance(values[key], dict):
            raise TypeError(f"{key} is {values[key]!r}")
    return Manifest(**values, card_sha256=card["sha256"])


def _graph(name: str, value: dict[str, Any]) -> GraphSpec:
    file, digest = value["file"], value["sha256"]
    if not _PLAIN_NAME.fullmatch(name) or file != f"{name}.onnx":
        raise ValueError(f"graph {name!r} has the file {file!r}")
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"graph {name!r} has the hash {digest!r}")
    return GraphSpec(file, digest, _tensors(value["inputs"]), _tensors(value["outputs"]))


def _tensors(values: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(v["name"], tuple(None if n is None else int(n) for n in v["shape"])) for v in values)


def _graph_document(graph: GraphSpec) -> dict[str, Any]:
    return {
        "file": graph.file,
        "sha256": graph.sha256,
        "inputs": [{"name": t.name, "shape": list(t.shape)} for t in graph.inputs],
        "outputs": [{"name": t.name, "shape": list(t.shape)} for t in graph.outputs],
    }
