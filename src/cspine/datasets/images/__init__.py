"""Slices as JPEG or PNG, enhanced and labeled: the small image set of two papers. Needs the extra ``data``."""

from cspine.datasets.images.enhance import ENHANCEMENTS, FILTERS, Look
from cspine.datasets.images.export import Exported, ExportLayout, ExportSource, ImagePlan, export_images, hashed_part
from cspine.datasets.images.preview import look_preview
from cspine.datasets.images.slice_labels import LabelSource, SliceLabel, label_slices

__all__ = [
    "ENHANCEMENTS",
    "FILTERS",
    "ExportLayout",
    "ExportSource",
    "Exported",
    "ImagePlan",
    "LabelSource",
    "Look",
    "SliceLabel",
    "export_images",
    "hashed_part",
    "label_slices",
    "look_preview",
]
