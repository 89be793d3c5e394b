"""Bodies of several parts (RFC 2046 5.1.1), written whole and read as they come, within bounds."""

import re
import uuid
from collections.abc import Iterable, Iterator

from cspine.domain import Rejected

DICOM = "application/dicom"
# A part has a few short headers; what has more is not what was asked for.
HEADER_LIMIT_BYTES = 16 * 1024

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;,]+))', re.IGNORECASE)
_LONGEST_BOUNDARY = 200


def written(documents: Iterable[bytes]) -> tuple[str, bytes]:
    """Return the content type and the body that hold DICOM objects."""
    parts = list(documents)
    boundary = uuid.uuid4().hex
    while any(boundary.encode() in part for part in parts):
        boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return f'multipart/related; type="{DICOM}"; boundary={boundary}', body


def boundary_of(content_type: str) -> bytes | None:
    """Return the boundary that a content type names; ``None`` when it is not of several parts."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().strip().startswith("multipart/") or found is None:
        return None
    boundary = str(found[1] or found[2])
    return boundary.encode("latin-1", "replace") if len(boundary) <= _LONGEST_BOUNDARY else None


class PartReader:
    """Reads the parts of a body one after the other; holds one at a time.

    Parameters
    ----------
    limit_bytes
        Of one part.
    """

    def __init__(self, chunks: Iterable[bytes], boundary: bytes, limit_bytes: int):
        self._chunks, self._limit = iter(chunks), limit_bytes
        self._mark = b"\r\n--" + boundary
        self._held = bytearray(b"\r\n")  # so that the first boundary looks like the others
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content of each part.

        Raises
        ------
        Rejected
            A part is larger than the limit, or the body ends within one.
        """
        self._upto(self._mark, HEADER_LIMIT_BYTES)  # what stands before the first boundary is nobody's
        while not self._last():
            self._upto(b"\r\n\r\n", HEADER_LIMIT_BYTES)
            yield self._upto(self._mark, self._limit)

    def _last(self) -> bool:
        """Whether the boundary just read is the closing one."""
        while len(self._held) < 2 and self._more():
            pass
        return self._held[:2] == b"--"

    def _upto(self, mark: bytes, limit: int) -> bytes:
        """Take everything before a mark, and the mark."""
        searched = 0
        while (at := self._held.find(mark, searched)) < 0:
            searched = max(0, len(self._held) - len(mark))
            if len(self._held) > limit + len(mark):
                raise Rejected(f"a part of more than {limit} bytes")
            if not self._more():
                raise Rejected("the answer ends in the midst of an object; try again")
        taken = bytes(self._held[:at])
        del self._held[: at + len(mark)]
        return taken

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._held += chunk
        return True
