"""A model bundle: a directory with a manifest, ONNX graphs and a model card, each covered by one hash.

Made by `cspine.training` alone. Nothing is downloaded, nothing is unpickled, every byte is checked before use.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from cspine.domain import BundleCorrupt, BundleError, BundleMissing
from cspine.models.manifest import (
    CARD_FILE,
    MANIFEST_FILE,
    GraphSpec,
    Manifest,
    ManifestParts,
    parse_manifest,
    sha256,
)

SHORT_ID_DIGITS = 12


@dataclass(frozen=True)
class ModelBundle:
    """A bundle whose every file was checked.

    Attributes
    ----------
    folder
        Where it lies.
    id
        Its identity: SHA-256 over the canonical manifest, 64 hex digits.
    """

    folder: Path
    manifest: Manifest
    id: str

    @property
    def short_id(self) -> str:
        """First twelve digits of the identity, for people."""
        return self.id[:SHORT_ID_DIGITS]

    def graph(self, name: str) -> GraphSpec:
        """Return what the manifest says of a graph.

        Raises
        ------
        BundleMissing
            The bundle has no such graph.
        """
        found = self.manifest.graphs.get(name)
        if found is None:
            have = ", ".join(sorted(self.manifest.graphs)) or "none"
            raise BundleMissing(f"bundle {self.manifest.name} at {self.folder} has no graph {name!r}, only {have}")
        return found

    def graph_bytes(self, name: str) -> bytes:
        """Read a graph and check its hash.

        Raises
        ------
        BundleMissing
            The bundle has no such graph, or its file is gone.
        BundleCorrupt
            The file differs from what the manifest promises.
        """
        spec = self.graph(name)
        return _read_checked(self.folder / spec.file, spec.sha256)

    def card(self) -> str:
        """Read the model card and check its hash; errors as in `graph_bytes`."""
        return _read_checked(self.folder / CARD_FILE, self.manifest.card_sha256).decode()


def default_bundle_path() -> Path:
    """Return the folder of the bundle that ships inside the package."""
    return Path(__file__).parent / "data" / "cspine"


def load_bundle(path: Path | str) -> ModelBundle:
    """Read a bundle and check every file of it.

    Raises
    ------
    BundleMissing
        No folder, no manifest, or a file that the manifest names is not there.
    BundleCorrupt
        A file differs from what the manifest promises.
    BundleIncompatible
        The manifest has another schema or lacks a field.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise BundleMissing(f"{folder}: no such folder; a bundle is a folder with {MANIFEST_FILE} inside")
    where = folder / MANIFEST_FILE
    manifest = parse_manifest(_read(where), str(where))
    bundle = ModelBundle(folder, manifest, manifest.id)
    for name in manifest.graphs:
        bundle.graph_bytes(name)
    bundle.card()
    return bundle


def write_bundle(
    folder: Path | str, parts: ManifestParts, graphs: Mapping[str, bytes | Path], card: str
) -> ModelBundle:
    """Write a bundle under a temporary name, check it, and move it into place.

    Parameters
    ----------
    folder
        Must not exist yet.
    graphs
        By graph name: an ONNX model that holds its own weights, or the file with it.
    card
        The model card, Markdown.

    Raises
    ------
    BundleError
        The folder exists, a graph cannot be read, or the disk refuses.
    """
    folder = Path(folder)
    if folder.exists():
        raise BundleError(f"{folder}: exists already; choose another folder or remove it first")
    # Imported here: reading a bundle must not need an engine.
    from cspine.models.openvino_engine import describe_graph  # noqa: PLC0415  # see above

    data = {name: g if isinstance(g, bytes) else _read(Path(g)) for name, g in graphs.items()}
    specs = {}
    for name, content in data.items():
        inputs, outputs = describe_graph(content, name)
        specs[name] = GraphSpec(f"{name}.onnx", sha256(content), inputs, outputs)
    card_bytes = card.encode()
    stated = {f.name: getattr(parts, f.name) for f in fields(ManifestParts)}
    manifest = Manifest(**stated, graphs=specs, card_sha256=sha256(card_bytes))
    files = {specs[name].file: content for name, content in data.items()}
    _write_files(folder, files | {CARD_FILE: card_bytes, MANIFEST_FILE: manifest.to_bytes()})
    return load_bundle(folder)


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files or none: a temporary sibling folder, renamed when complete and readable as a bundle."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            for name, content in files.items():
                (made / name).write_bytes(content)
            load_bundle(made)
            shutil.move(made, folder)
    except OSError as error:
        raise BundleError(f"{folder}: the bundle could not be written ({error.strerror or error})") from error


def _read_checked(path: Path, expected: str) -> bytes:
    content = _read(path)
    got = sha256(content)
    if got != expected:
        raise BundleCorrupt(
            f"{path}: expected SHA-256 {expected}, got {got}; the file was changed, get the bundle again"
        )
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BundleMissing(f"{path}: no such file; the bundle is not complete") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
