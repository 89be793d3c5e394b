"""Analysis and source series in, one document out. Nothing is written, sent or computed anew here."""

from cspine.report.acceptance import acceptance_document, acceptance_html, acceptance_json
from cspine.report.content import Content, compose
from cspine.report.document import (
    INTENDED_USE,
    all_flags,
    findings_document,
    findings_json,
    findings_probabilities,
    parse_findings,
)
from cspine.report.drawing import BONE, Window
from cspine.report.html import render_html
from cspine.report.locate import ImageRegion, image_region
from cspine.report.palette import LEVEL_COLORS, css, level_color
from cspine.report.pdf import render_pdf
from cspine.report.pictures import Picture, Pictures, draw_pictures
from cspine.report.renderers import GROUPS, RENDERERS, Renderer, check_kind, chosen, file_name, render, renderer
from cspine.report.scores import (
    EvaluationTitle,
    Frames,
    case_pictures,
    curves_csv,
    evaluation_html,
    evaluation_json,
    figure_text,
    figures_csv,
    studies_csv,
)
from cspine.report.templates import data_uri, templates_of

__all__ = [
    "BONE",
    "GROUPS",
    "INTENDED_USE",
    "LEVEL_COLORS",
    "RENDERERS",
    "Content",
    "EvaluationTitle",
    "Frames",
    "ImageRegion",
    "Picture",
    "Pictures",
    "Renderer",
    "Window",
    "acceptance_document",
    "acceptance_html",
    "acceptance_json",
    "all_flags",
    "case_pictures",
    "check_kind",
    "chosen",
    "compose",
    "css",
    "curves_csv",
    "data_uri",
    "draw_pictures",
    "evaluation_html",
    "evaluation_json",
    "figure_text",
    "figures_csv",
    "file_name",
    "findings_document",
    "findings_json",
    "findings_probabilities",
    "image_region",
    "level_color",
    "parse_findings",
    "render",
    "render_html",
    "render_pdf",
    "renderer",
    "studies_csv",
    "templates_of",
]
