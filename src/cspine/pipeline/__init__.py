"""Volume to analysis: pre-process, segment, label, refine, aggregate."""

from cspine.pipeline.analyze import Analyzer, Located, Progress
from cspine.pipeline.label import Candidate, NamedCenter, find_candidates, name_sequence
from cspine.pipeline.paint import paint_labels
from cspine.pipeline.preprocess import (
    coarse_grid,
    coarse_input,
    inside_field,
    level_code,
    normalize,
    prompt,
    refine_channels,
    refine_grid,
    refine_input,
    slice_grid,
    slice_input,
)
from cspine.pipeline.refine import RefinedVertebra
from cspine.pipeline.segment import CoarseMaps
from cspine.pipeline.spec import (
    HEAT_CLASSES,
    SEG_CLASSES,
    CoarseSpec,
    DecodeSpec,
    IntensitySpec,
    PipelineSpec,
    RefineSpec,
    SliceSpec,
)

__all__ = [
    "HEAT_CLASSES",
    "SEG_CLASSES",
    "Analyzer",
    "Candidate",
    "CoarseMaps",
    "CoarseSpec",
    "DecodeSpec",
    "IntensitySpec",
    "Located",
    "NamedCenter",
    "PipelineSpec",
    "Progress",
    "RefineSpec",
    "RefinedVertebra",
    "SliceSpec",
    "coarse_grid",
    "coarse_input",
    "find_candidates",
    "inside_field",
    "level_code",
    "name_sequence",
    "normalize",
    "paint_labels",
    "prompt",
    "refine_channels",
    "refine_grid",
    "refine_input",
    "slice_grid",
    "slice_input",
]
