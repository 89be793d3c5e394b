"""Load, check and run trained graphs."""

from cspine.models.bundle import ModelBundle, default_bundle_path, load_bundle, write_bundle
from cspine.models.manifest import (
    BUNDLE_SCHEMA,
    GraphSpec,
    Manifest,
    ManifestParts,
    Parity,
    Precision,
    TensorSpec,
)
from cspine.models.session import Engine, Session, available_engines, open_session, processor_has_bf16

__all__ = [
    "BUNDLE_SCHEMA",
    "Engine",
    "GraphSpec",
    "Manifest",
    "ManifestParts",
    "ModelBundle",
    "Parity",
    "Precision",
    "Session",
    "TensorSpec",
    "available_engines",
    "default_bundle_path",
    "load_bundle",
    "open_session",
    "processor_has_bf16",
    "write_bundle",
]
