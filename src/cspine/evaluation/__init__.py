"""Score findings against truth; NumPy and SciPy only."""

from cspine.evaluation.intervals import Estimate, bootstrap_ci, wilson
from cspine.evaluation.necks import NeckCheck, check_neck, cord_axis
from cspine.evaluation.vertebrae import (
    CENTER_LIMIT_MM,
    CaseScore,
    VertebraScore,
    VertebraSummary,
    dice,
    score_case,
    summarize,
)

__all__ = [
    "CENTER_LIMIT_MM",
    "CaseScore",
    "Estimate",
    "NeckCheck",
    "VertebraScore",
    "VertebraSummary",
    "bootstrap_ci",
    "check_neck",
    "cord_axis",
    "dice",
    "score_case",
    "summarize",
    "wilson",
]
