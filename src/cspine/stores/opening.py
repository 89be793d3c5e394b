"""Look at a path and open what is there."""

from pathlib import Path

from cspine.domain import Unreachable
from cspine.stores.archive import ZipSource
from cspine.stores.folder import FolderSource
from cspine.stores.nifti import NiftiSource, is_nifti_name

_ZIP_START = (b"PK\x03\x04", b"PK\x05\x06")
_NIFTI_MAGIC = (b"n+1\0", b"ni1\0")


def open_source(path: Path, member_limit: int | None = None) -> FolderSource | ZipSource | NiftiSource:
    """Open a folder, a zip archive, a DICOM file, a DICOMDIR or a NIfTI volume; its content decides, not its name.

    Nothing is read yet; `studies` does that.

    Parameters
    ----------
    member_limit
        An archive with more members is refused; ``None``: the limit of `ZipSource`.

    Raises
    ------
    Unreachable
        The path does not exist or may not be read.
    """
    try:
        if path.is_dir():
            next(path.iterdir(), None)
            return FolderSource([path], str(path))
        with open(path, "rb") as file:
            head = file.read(352)
    except FileNotFoundError as error:
        raise Unreachable(f"{path} does not exist") from error
    except PermissionError as error:
        raise Unreachable(f"{path}: no permission to read it") from error
    except OSError as error:
        raise Unreachable(f"{path} cannot be read: {error.strerror or error}") from error
    if head.startswith(_ZIP_START):
        return ZipSource(path, member_limit)
    if is_nifti_name(path.name) or head[344:348] in _NIFTI_MAGIC:
        return NiftiSource(path)
    return FolderSource([path], str(path))
