"""Names of our own for whatever arrives: hashes, so that nothing of a sender becomes a path."""

import hashlib
from pathlib import Path

from cspine.dicom import body_offset

_KEY_LENGTH = 32
SUFFIX = ".dcm"


def key_of(text: str) -> str:
    """Return the 128 bits that stand for a UID."""
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_LENGTH]


def content_key(content: bytes) -> str:
    """Return 128 bits of the data set; the file meta information, which every hop writes anew, does not count."""
    return hashlib.sha256(memoryview(content)[body_offset(content) :]).hexdigest()[:_KEY_LENGTH]


def file_name(object_key: str, content: str) -> str:
    """Return the name of a kept object: which object it is, and with which content."""
    return f"{object_key}-{content}{SUFFIX}"


def kept_files(folder: Path) -> dict[str, str]:
    """Return object key → content key of the objects in a folder; of two contents of one object the later one."""
    found = [path for path in folder.glob(f"*-*{SUFFIX}") if path.is_file()]
    in_time = sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))
    keys = (path.name.removesuffix(SUFFIX).partition("-") for path in in_time)
    return {object_key: content for object_key, _, content in keys}


def digest_of(objects: dict[str, str]) -> str:
    """Return what changes when any object of a study comes, goes or changes."""
    return hashlib.sha256("".join(sorted(f"{key}-{content};" for key, content in objects.items())).encode()).hexdigest()
