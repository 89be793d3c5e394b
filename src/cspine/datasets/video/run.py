"""All the films of one study."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

from cspine.datasets.labeled_study import LabeledStudy
from cspine.datasets.study_pass import Report
from cspine.datasets.video.film import SUFFIXES, encode
from cspine.datasets.video.frames import PLANES, Overlay, frames
from cspine.domain import ConfigError
from cspine.report import BONE, Window


@dataclass(frozen=True)
class VideoPlan:
    """Which films are made.

    Attributes
    ----------
    formats
        Suffixes without a dot.
    plain, annotated
        Without anything over the images; with mask and boxes, as far as the study has them.
    every
        Show every n-th slice.
    size_px, gif_size_px
        Longer side; a GIF holds each frame whole and grows fast.
    """

    planes: tuple[str, ...] = tuple(PLANES)
    formats: tuple[str, ...] = ("gif", "mp4")
    plain: bool = True
    annotated: bool = True
    frames_per_second: float = 20.0
    every: int = 1
    size_px: int = 512
    gif_size_px: int = 320
    window: Window = BONE

    def __post_init__(self) -> None:
        odd = [plane for plane in self.planes if plane not in PLANES]
        if odd or not self.planes:
            raise ConfigError(f"unknown plane {', '.join(odd) or '(none)'}; known are {', '.join(PLANES)}")
        odd = [name for name in self.formats if f".{name}" not in SUFFIXES]
        if odd or not self.formats:
            known = ", ".join(suffix[1:] for suffix in SUFFIXES)
            raise ConfigError(f"unknown format {', '.join(odd) or '(none)'}; known are {known}")
        if not 0.1 <= self.frames_per_second <= 120:
            raise ConfigError(f"frames per second is {self.frames_per_second:g}, must be 0.1 … 120")
        if not 64 <= min(self.size_px, self.gif_size_px) <= max(self.size_px, self.gif_size_px) <= 2048:
            raise ConfigError(f"size is {self.size_px} (GIF {self.gif_size_px}) pixels, must be 64 … 2048")
        if self.every < 1:
            raise ConfigError(f"every is {self.every}, must be at least 1")


def write_videos(study: LabeledStudy, out: Path, plan: VideoPlan, report: Report) -> list[Path]:
    """Write the films of a study as ``<uid>-<plane>-<overlay>.<format>`` and return their places.

    Raises
    ------
    ConfigError
        A video format without its package.
    StoreError
        A file cannot be written, or the disk is full.
    """
    wanted = list(_wanted(study, plan))
    written = []
    for k, (plane, overlay, suffix) in enumerate(wanted):
        path = out / f"{study.uid}-{plane}-{overlay.name}.{suffix}"
        report(path.name, k / len(wanted))
        size = plan.gif_size_px if suffix == "gif" else plan.size_px
        shown = islice(frames(study, plane, overlay, size, plan.window), 0, None, plan.every)
        encode(shown, path, plan.frames_per_second)
        written.append(path)
    return written


def _wanted(study: LabeledStudy, plan: VideoPlan) -> Iterator[tuple[str, Overlay, str]]:
    marked = Overlay(mask=study.labels is not None, boxes=bool(study.boxes))
    overlays = [Overlay()] * plan.plain
    if plan.annotated and marked != Overlay():
        overlays.append(marked)
    yield from product(plan.planes, overlays or [Overlay()], plan.formats)
