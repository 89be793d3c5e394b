"""Volume to analysis: pre-process, segment, label, refine, aggregate."""

from cspine.pipeline.analyze import Analyzer, Located, Progress
from cspine.pipeline.chain import NEIGHBOR_MM, NamedCenter, name_places
from cspine.pipeline.paint import paint_labels
from cspine.pipeline.places import Places, find_places
from cspine.pipeline.preprocess import (
    body_box,
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
    "NEIGHBOR_MM",
    "SEG_CLASSES",
    "Analyzer",
    "CoarseMaps",
    "CoarseSpec",
    "DecodeSpec",
    "IntensitySpec",
    "Located",
    "NamedCenter",
    "PipelineSpec",
    "Places",
    "Progress",
    "RefineSpec",
    "RefinedVertebra",
    "SliceSpec",
    "body_box",
    "coarse_grid",
    "coarse_input",
    "find_places",
    "inside_field",
    "level_code",
    "name_places",
    "normalize",
    "paint_labels",
    "prompt",
    "refine_channels",
    "refine_grid",
    "refine_input",
    "slice_grid",
    "slice_input",
]
