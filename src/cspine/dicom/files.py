"""Write files so that a crash or a full disk leaves nothing half-written, and say what went wrong in our words."""

import errno
import os
import tempfile
from pathlib import Path

from cspine.domain import Rejected, StoreError, Unreachable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside its place, make it durable, then rename it; make its folder.

    Raises
    ------
    Rejected
        The disk is full.
    Unreachable
        The folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise translated(error, path) from error


def translated(error: OSError, path: Path) -> StoreError:
    """Return the error of a failed write in our own words."""
    if error.errno in _FULL:
        return Rejected(
            f"{path}: no space left on the disk; nothing was written", status=errno.errorcode[error.errno or 0]
        )
    return Unreachable(f"{path}: cannot be written: {error.strerror or error}")


def _umask() -> int:
    """Return the file mode mask; it can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Raises
    ------
    OSError
        It cannot be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
