"""UIDs that follow from content: the same input gives the same UID, another input another one (PS3.5 B.2)."""

import hashlib

import numpy as np


def content_digest(*arrays: np.ndarray) -> bytes:
    """Return the SHA-256 of C-contiguous arrays: of their values, not of their shapes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.data)
    return digest.digest()


def derived_uid(*parts: str | int | bytes) -> str:
    """Return a UID below 2.25 from the SHA-256 of the parts."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return f"2.25.{int.from_bytes(digest.digest()[:16], 'big')}"
