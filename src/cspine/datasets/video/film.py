"""Frames to GIF, MP4 or WebM, by imageio; the two video formats by the ffmpeg that imageio-ffmpeg brings."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np

from cspine.dicom import translated
from cspine.domain import ConfigError

# H.264 in 4:2:0 is what every browser plays; VP9 as fast as it goes, at a quality that keeps thin lines.
_VIDEO: dict[str, dict[str, Any]] = {
    ".mp4": {"codec": "libx264", "pixelformat": "yuv420p", "output_params": ["-crf", "20", "-movflags", "+faststart"]},
    ".webm": {
        "codec": "libvpx-vp9",
        "pixelformat": "yuv420p",
        "output_params": ["-crf", "30", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "6"],
    },
}
SUFFIXES = (".gif", *_VIDEO)
# A disk with less is full: the failed film still takes its place on it.
SPARE_BYTES = 1 << 20


def encode(frames: Iterable[np.ndarray], path: Path, frames_per_second: float) -> None:
    """Write a film; the suffix of the path names the format. Frames are taken one by one, never all at once.

    Raises
    ------
    ConfigError
        Another suffix, or a video format without imageio-ffmpeg.
    StoreError
        The file cannot be written, or the disk is full.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"{path.name}: films are written as {', '.join(SUFFIXES)}")
    if suffix in _VIDEO and find_spec("imageio_ffmpeg") is None:
        raise ConfigError(
            f"{suffix} needs packages that are not installed; install them with: pip install 'cspine[video]'"
        )
    options = _options(suffix, frames_per_second)
    _atomically(path, lambda temporary: _write(frames, temporary, options))


def _options(suffix: str, frames_per_second: float) -> dict[str, Any]:
    if suffix == ".gif":
        return {"format": "GIF-PIL", "duration": 1000 / frames_per_second, "loop": 0}
    steady = {"format": "FFMPEG", "fps": frames_per_second, "macro_block_size": 2, "ffmpeg_log_level": "error"}
    return steady | _VIDEO[suffix]


def _write(frames: Iterable[np.ndarray], path: Path, options: dict[str, Any]) -> None:
    film: Any = imageio.get_writer(path, **options)
    count = 0
    with film:
        for frame in frames:
            film.append_data(frame)
            count += 1
    if path.suffix in _VIDEO:
        _check(path, count)


def _check(path: Path, count: int) -> None:
    """Raise where the file holds fewer frames: of ffmpeg's failure on a full disk imageio says nothing."""
    from imageio_ffmpeg import count_frames_and_secs  # noqa: PLC0415  # part of the extra video

    try:
        found, _ = count_frames_and_secs(str(path))
    except RuntimeError:
        found = 0
    if found < count:
        full = shutil.disk_usage(path.parent).free < SPARE_BYTES
        raise OSError(errno.ENOSPC if full else errno.EIO, f"ffmpeg wrote {found} of {count} frames")


def _atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name beside the place, then rename."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        try:
            write(Path(name))
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise translated(error, path) from error
