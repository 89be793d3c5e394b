"""The funnel of a selection as files: tables as CSV, the figure as PNG and SVG."""

import io
from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cspine.datasets.filters import SELECTED_SLICES, SELECTED_STUDIES, Selection
from cspine.datasets.index import TARGETS, UID
from cspine.dicom import write_atomically

_STUDY_COLUMNS = (
    UID, "PatientID", "slices", "kept_slices", "group", "TransferSyntaxUID", "PhotometricInterpretation", "BitsStored",
    "Rows", "Columns", "pixel_spacing_row_mm", "pixel_spacing_column_mm", "WindowCenter", "WindowWidth",
    "PixelRepresentation", *TARGETS,
)  # fmt: skip
_SLICE_COLUMNS = (UID, "file", "slice_number", "place", "z_mm")
_BLUE, _GRAY = "#3b6ea5", "#c9d3de"


def write_selection(selection: Selection, folder: Path) -> None:
    """Write the studies and slices that stayed, the funnel, and its figure.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    tables = {
        SELECTED_STUDIES: selection.studies[list(_STUDY_COLUMNS)],
        SELECTED_SLICES: selection.slices[list(_SLICE_COLUMNS)],
        "funnel.csv": selection.funnel,
    }
    for name, table in tables.items():
        write_atomically(folder / name, table.to_csv(index=False).encode())
    figure = funnel_figure(selection.funnel)
    for kind in ("png", "svg"):
        buffer = io.BytesIO()
        figure.savefig(
            buffer, format=kind, dpi=120, bbox_inches="tight", metadata={"Date": None} if kind == "svg" else None
        )
        write_atomically(folder / f"funnel.{kind}", buffer.getvalue())


def funnel_figure(funnel: pd.DataFrame) -> Figure:
    """Draw what is left after each rule: studies on the left, slices on the right, what the rule removed beside it."""
    figure = Figure(figsize=(9.5, 0.9 + 0.42 * len(funnel)))
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, name in ((left, "studies"), (right, "slices")):
        most = max(1, int(funnel[name].iloc[0]))
        before = funnel[name] + funnel[f"{name}_removed"]
        axes.barh(funnel.index, before, color=_GRAY, height=0.72)
        axes.barh(funnel.index, funnel[name], color=_BLUE, height=0.72)
        for row, kept, lost in zip(funnel.index, funnel[name], funnel[f"{name}_removed"], strict=True):
            said = f"{kept:,}" + (f"  (−{lost:,})" if lost else "")
            axes.text(before[row] + most * 0.015, row, said, va="center", fontsize=9)
        axes.set_xlim(0, most * 1.38)
        axes.set_title(name, fontsize=11, loc="left")
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
    left.set_yticks(funnel.index, funnel["rule"])
    left.invert_yaxis()
    figure.tight_layout()
    return figure
