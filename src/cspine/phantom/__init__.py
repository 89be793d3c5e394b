"""A cervical spine CT with known truth, made from nothing but a specification."""

from cspine.phantom.anatomy import PROCEDURAL
from cspine.phantom.body import Immobilizer, Table
from cspine.phantom.case import Case, fracture_boxes, make_case, make_subject, scan_subject
from cspine.phantom.crops import CropPlan, VertebraCrop, crops_of, sample_crops
from cspine.phantom.fractures import (
    RULES,
    Fracture,
    FractureAge,
    FractureMix,
    FractureType,
    Side,
    SliceBox,
    parse_fracture,
    sample_fracture,
    sample_fractures,
    types_at,
)
from cspine.phantom.insertion import (
    Inserted,
    ScanLook,
    Site,
    insert_at,
    insert_fracture,
    look_of,
    prepare_site,
)
from cspine.phantom.kernels import BONE_KERNELS
from cspine.phantom.mimics import Mimic, MimicKind, levels_of, open_until, sample_mimics
from cspine.phantom.posture import Posture
from cspine.phantom.render import RIB, SKULL, TissueMap, render_tissue
from cspine.phantom.scanner import Scanner, sample_scanner
from cspine.phantom.soft_tissue import Body, sample_body
from cspine.phantom.spec import (
    Coverage,
    Field,
    PhantomSpec,
    check_training_allowed,
    sample_coverage,
    sample_spec,
    training_allowed,
    with_mimics,
    with_variants,
)
from cspine.phantom.subject import Subject
from cspine.phantom.tissue import Tissue
from cspine.phantom.variants import (
    ArchCleft,
    Arthrosis,
    Foramina,
    Fusion,
    FusionKind,
    Spine,
    Variants,
    sample_variants,
)

__all__ = [
    "BONE_KERNELS",
    "PROCEDURAL",
    "RIB",
    "RULES",
    "SKULL",
    "ArchCleft",
    "Arthrosis",
    "Body",
    "Case",
    "Coverage",
    "CropPlan",
    "Field",
    "Foramina",
    "Fracture",
    "FractureAge",
    "FractureMix",
    "FractureType",
    "Fusion",
    "FusionKind",
    "Immobilizer",
    "Inserted",
    "Mimic",
    "MimicKind",
    "PhantomSpec",
    "Posture",
    "ScanLook",
    "Scanner",
    "Side",
    "Site",
    "SliceBox",
    "Spine",
    "Subject",
    "Table",
    "Tissue",
    "TissueMap",
    "Variants",
    "VertebraCrop",
    "check_training_allowed",
    "crops_of",
    "fracture_boxes",
    "insert_at",
    "insert_fracture",
    "levels_of",
    "look_of",
    "make_case",
    "make_subject",
    "open_until",
    "parse_fracture",
    "prepare_site",
    "render_tissue",
    "sample_body",
    "sample_coverage",
    "sample_crops",
    "sample_fracture",
    "sample_fractures",
    "sample_mimics",
    "sample_scanner",
    "sample_spec",
    "sample_variants",
    "scan_subject",
    "training_allowed",
    "types_at",
    "with_mimics",
    "with_variants",
]
