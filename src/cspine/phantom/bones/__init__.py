"""Procedural bones of the neck, upper chest and skull: signed distances made from measured dimensions."""

from cspine.phantom.bones.girdle import procedural_girdle
from cspine.phantom.bones.jaw import procedural_jaw_and_larynx
from cspine.phantom.bones.ribs import procedural_ribs, rib_vertebra
from cspine.phantom.bones.sizes import VertebraSize, sample_vertebra_sizes
from cspine.phantom.bones.skull import procedural_skull
from cspine.phantom.bones.stacking import neutral_offset_mm
from cspine.phantom.bones.vertebrae import procedural_vertebrae

__all__ = [
    "VertebraSize",
    "neutral_offset_mm",
    "procedural_girdle",
    "procedural_jaw_and_larynx",
    "procedural_ribs",
    "procedural_skull",
    "procedural_vertebrae",
    "rib_vertebra",
    "sample_vertebra_sizes",
]
