"""Films of a study's slices. Needs the extra ``video`` for MP4 and WebM."""

from cspine.datasets.video.film import SUFFIXES, encode
from cspine.datasets.video.frames import PLANES, Overlay, frames
from cspine.datasets.video.run import VideoPlan, write_videos

__all__ = ["PLANES", "SUFFIXES", "Overlay", "VideoPlan", "encode", "frames", "write_videos"]
