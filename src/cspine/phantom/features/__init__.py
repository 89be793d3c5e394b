"""What makes one bone differ from a healthy one of usual shape: variants, wear, and what looks like a fracture."""

from cspine.phantom.features.alter import AlteredBone, Feature, Individual, altered
from cspine.phantom.features.measure import Landmarks, landmarks
from cspine.phantom.features.person import Lookalike, peculiarities, traces
from cspine.phantom.features.traces import Trace

__all__ = [
    "AlteredBone",
    "Feature",
    "Individual",
    "Landmarks",
    "Lookalike",
    "Trace",
    "altered",
    "landmarks",
    "peculiarities",
    "traces",
]
