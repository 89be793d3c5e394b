"""Slice classifiers: backbones from timm by name, and where they begin."""

from cspine.training.backbones.build import (
    HeadPlan,
    SliceClassifier,
    blocks_of,
    build_classifier,
    stage_channels,
    thaw_last,
)
from cspine.training.backbones.catalog import BACKBONES, Backbone
from cspine.training.backbones.mobilenet import unfold_mobilenet
from cspine.training.backbones.start import Start, begin, normalized

__all__ = [
    "BACKBONES",
    "Backbone",
    "HeadPlan",
    "SliceClassifier",
    "Start",
    "begin",
    "blocks_of",
    "build_classifier",
    "normalized",
    "stage_channels",
    "thaw_last",
    "unfold_mobilenet",
]
