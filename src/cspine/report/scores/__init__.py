"""An evaluation as a page, as JSON and as CSV; charts without a drawing library."""

from cspine.report.scores.case_picture import Frames, case_pictures
from cspine.report.scores.charts import figure_text
from cspine.report.scores.page import evaluation_html
from cspine.report.scores.tables import EvaluationTitle, curves_csv, evaluation_json, figures_csv, studies_csv

__all__ = [
    "EvaluationTitle",
    "Frames",
    "case_pictures",
    "curves_csv",
    "evaluation_html",
    "evaluation_json",
    "figure_text",
    "figures_csv",
    "studies_csv",
]
