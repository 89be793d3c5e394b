"""Data on disk and cases: phantoms written as studies."""

from cspine.datasets.nifti import nifti_bytes
from cspine.datasets.phantom_studies import (
    Layout,
    PhantomPlan,
    layout_named,
    phantom_header,
    truth_document,
    write_phantoms,
)

__all__ = ["Layout", "PhantomPlan", "layout_named", "nifti_bytes", "phantom_header", "truth_document", "write_phantoms"]
