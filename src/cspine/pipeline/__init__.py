"""Volume to analysis: pre-process, segment, label, refine, aggregate."""

from cspine.pipeline.analyze import Analyzer, Located, Progress
from cspine.pipeline.chain import NEIGHBOR_MM, NamedCenter, name_places
from cspine.pipeline.fracture import JudgedVertebra
from cspine.pipeline.localize import Place, belonging, paint_map, places_of
from cspine.pipeline.paint import paint_labels
from cspine.pipeline.places import Places, find_places
from cspine.pipeline.preprocess import (
    body_box,
    coarse_grid,
    coarse_input,
    fracture_channels,
    fracture_grid,
    fracture_input,
    inside_field,
    level_code,
    map_grid,
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
    FractureSpec,
    IntensitySpec,
    LocalizeSpec,
    PipelineSpec,
    RefineSpec,
    SecondLookSpec,
    SliceSpec,
    UnlikeSpec,
)
from cspine.pipeline.triage import Judgment, Told, Verdict, judgment_of

__all__ = [
    "HEAT_CLASSES",
    "NEIGHBOR_MM",
    "SEG_CLASSES",
    "Analyzer",
    "CoarseMaps",
    "CoarseSpec",
    "DecodeSpec",
    "FractureSpec",
    "IntensitySpec",
    "JudgedVertebra",
    "Judgment",
    "LocalizeSpec",
    "Located",
    "NamedCenter",
    "PipelineSpec",
    "Place",
    "Places",
    "Progress",
    "RefineSpec",
    "RefinedVertebra",
    "SecondLookSpec",
    "SliceSpec",
    "Told",
    "UnlikeSpec",
    "Verdict",
    "belonging",
    "body_box",
    "coarse_grid",
    "coarse_input",
    "find_places",
    "fracture_channels",
    "fracture_grid",
    "fracture_input",
    "inside_field",
    "judgment_of",
    "level_code",
    "map_grid",
    "name_places",
    "normalize",
    "paint_labels",
    "paint_map",
    "places_of",
    "prompt",
    "refine_channels",
    "refine_grid",
    "refine_input",
    "slice_grid",
    "slice_input",
]
