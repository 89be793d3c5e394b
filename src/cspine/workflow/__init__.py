"""The only place that composes read, analyze, render and send.

Every name is imported when it is first asked for: the job boundary is part of every command, and phantoms, archives and
models are not.
"""

from typing import TYPE_CHECKING

from cspine.late import late_names as _late_names

if TYPE_CHECKING:
    from cspine.workflow.acceptance import UnderTest, run_acceptance
    from cspine.workflow.archive import DICOM_GROUP, dicom_results, has_dicom, send_folder, send_results
    from cspine.workflow.case import Analyzing, CaseResult, Order, Progress, StageClock, no_progress, run_case
    from cspine.workflow.demo import DemoResult, demo_spec, run_demo
    from cspine.workflow.detector import (
        AnsweredSet,
        Beside,
        answered_by_bundle,
        answered_by_findings,
        run_evaluation,
        stated_errors,
        tuning_priors,
        write_evaluation,
    )
    from cspine.workflow.evaluation import EvaluationPlan, make_evaluation_cases, score_cases, score_stored, summaries
    from cspine.workflow.incoming import Incoming
    from cspine.workflow.merge import with_series_flags
    from cspine.workflow.recalibration import SiteStudies, recalibrated, score_site
    from cspine.workflow.run import Done, Failed, attempt
    from cspine.workflow.studies import StudyOutcome, Wish, run_opened, run_source, run_studies
    from cspine.workflow.tuning import (
        Tuned,
        TunedStudy,
        judged_study,
        spared_words,
        study_of,
        tune,
        unbroken_studies,
        volumes_below,
    )
    from cspine.workflow.variant import Variant, variant_of, with_card

__all__ = [
    "DICOM_GROUP",
    "Analyzing",
    "AnsweredSet",
    "Beside",
    "CaseResult",
    "DemoResult",
    "Done",
    "EvaluationPlan",
    "Failed",
    "Incoming",
    "Order",
    "Progress",
    "SiteStudies",
    "StageClock",
    "StudyOutcome",
    "Tuned",
    "TunedStudy",
    "UnderTest",
    "Variant",
    "Wish",
    "answered_by_bundle",
    "answered_by_findings",
    "attempt",
    "demo_spec",
    "dicom_results",
    "has_dicom",
    "judged_study",
    "make_evaluation_cases",
    "no_progress",
    "recalibrated",
    "run_acceptance",
    "run_case",
    "run_demo",
    "run_evaluation",
    "run_opened",
    "run_source",
    "run_studies",
    "score_cases",
    "score_site",
    "score_stored",
    "send_folder",
    "send_results",
    "spared_words",
    "stated_errors",
    "study_of",
    "summaries",
    "tune",
    "tuning_priors",
    "unbroken_studies",
    "variant_of",
    "volumes_below",
    "with_card",
    "with_series_flags",
    "write_evaluation",
]

# Module below this one → the names that come from it.
_LATE = {
    "acceptance": ("UnderTest", "run_acceptance"),
    "archive": ("DICOM_GROUP", "dicom_results", "has_dicom", "send_folder", "send_results"),
    "case": ("Analyzing", "CaseResult", "Order", "Progress", "StageClock", "no_progress", "run_case"),
    "demo": ("DemoResult", "demo_spec", "run_demo"),
    "detector": (
        "AnsweredSet",
        "Beside",
        "answered_by_bundle",
        "answered_by_findings",
        "run_evaluation",
        "stated_errors",
        "tuning_priors",
        "write_evaluation",
    ),
    "evaluation": ("EvaluationPlan", "make_evaluation_cases", "score_cases", "score_stored", "summaries"),
    "incoming": ("Incoming",),
    "merge": ("with_series_flags",),
    "recalibration": ("SiteStudies", "recalibrated", "score_site"),
    "run": ("Done", "Failed", "attempt"),
    "studies": ("StudyOutcome", "Wish", "run_opened", "run_source", "run_studies"),
    "tuning": (
        "Tuned",
        "TunedStudy",
        "judged_study",
        "spared_words",
        "study_of",
        "tune",
        "unbroken_studies",
        "volumes_below",
    ),
    "variant": ("Variant", "variant_of", "with_card"),
}
__getattr__ = _late_names(__name__, _LATE)
