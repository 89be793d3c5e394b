"""Score findings against truth; NumPy and SciPy only."""

from cspine.evaluation.acceptance import (
    AcceptanceRecord,
    Check,
    Expectation,
    ExpectedFracture,
    ExpectedLevel,
    Verdict,
    check_study,
)
from cspine.evaluation.intervals import Estimate, bootstrap_ci, wilson
from cspine.evaluation.necks import NeckCheck, check_neck, cord_axis
from cspine.evaluation.rsna import Normalization, rsna_column_losses, rsna_log_loss, submitted_probability
from cspine.evaluation.two_classes import Confusion, RiskCoverage, best_threshold, confusion, risk_coverage
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
    "AcceptanceRecord",
    "CaseScore",
    "Check",
    "Confusion",
    "Estimate",
    "Expectation",
    "ExpectedFracture",
    "ExpectedLevel",
    "NeckCheck",
    "Normalization",
    "RiskCoverage",
    "Verdict",
    "VertebraScore",
    "VertebraSummary",
    "best_threshold",
    "bootstrap_ci",
    "check_neck",
    "check_study",
    "confusion",
    "cord_axis",
    "dice",
    "risk_coverage",
    "rsna_column_losses",
    "rsna_log_loss",
    "score_case",
    "submitted_probability",
    "summarize",
    "wilson",
]
