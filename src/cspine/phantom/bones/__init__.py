"""Procedural bones of the neck, upper chest and skull: signed distances made from measured dimensions."""

from cspine.phantom.bones.ribs import procedural_ribs, rib_vertebra
from cspine.phantom.bones.sizes import VertebraSize, sample_vertebra_sizes
from cspine.phantom.bones.stacking import neutral_offset_mm
from cspine.phantom.bones.vertebrae import procedural_vertebrae

__all__ = [
    "VertebraSize",
    "neutral_offset_mm",
    "procedural_ribs",
    "procedural_vertebrae",
    "rib_vertebra",
    "sample_vertebra_sizes",
]
