"""Fractures with known truth: what may break, how it breaks, and where it is in the voxels."""

from cspine.phantom.fractures.breaks import Break, Breaks, Face, Fragment
from cspine.phantom.fractures.broken import BrokenBone
from cspine.phantom.fractures.fracture import Fracture, parse_fracture
from cspine.phantom.fractures.kinds import FractureAge, FractureType, Side
from cspine.phantom.fractures.placing import PlacedFracture, broken_bones, place_fractures, plan_fractures
from cspine.phantom.fractures.sampling import FractureMix, sample_fracture, sample_fractures
from cspine.phantom.fractures.table import RULES, Rule, types_at
from cspine.phantom.fractures.truth import SliceBox

__all__ = [
    "RULES",
    "Break",
    "Breaks",
    "BrokenBone",
    "Face",
    "Fracture",
    "FractureAge",
    "FractureMix",
    "FractureType",
    "Fragment",
    "PlacedFracture",
    "Rule",
    "Side",
    "SliceBox",
    "broken_bones",
    "parse_fracture",
    "place_fractures",
    "plan_fractures",
    "sample_fracture",
    "sample_fractures",
    "types_at",
]
