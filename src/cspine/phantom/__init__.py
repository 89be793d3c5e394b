"""A cervical spine CT with known truth, made from nothing but a specification."""

from cspine.phantom.anatomy import PROCEDURAL
from cspine.phantom.case import Case, make_case, make_subject, scan_subject
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
)
from cspine.phantom.subject import Subject
from cspine.phantom.tissue import Tissue

__all__ = [
    "PROCEDURAL",
    "RIB",
    "SKULL",
    "Body",
    "Case",
    "Coverage",
    "Field",
    "PhantomSpec",
    "Posture",
    "Scanner",
    "Subject",
    "Tissue",
    "TissueMap",
    "check_training_allowed",
    "make_case",
    "make_subject",
    "render_tissue",
    "sample_body",
    "sample_coverage",
    "sample_scanner",
    "sample_spec",
    "scan_subject",
    "training_allowed",
]
