"""Score findings against truth; NumPy and SciPy only."""

from cspine.evaluation.intervals import Estimate, bootstrap_ci, wilson
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
    "VertebraScore",
    "VertebraSummary",
    "bootstrap_ci",
    "dice",
    "score_case",
    "summarize",
    "wilson",
]
