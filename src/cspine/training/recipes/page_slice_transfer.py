"""The page of `slice-transfer`: one HTML file that loads nothing, and its tables as CSV."""

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from cspine import __version__
from cspine.dicom import write_atomically
from cspine.training.recipes.table_slice_transfer import FIGURES, Table, TableRow

_TEMPLATES = Environment(
    loader=PackageLoader("cspine.training.recipes", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Colors that people with any color vision tell apart (Okabe & Ito 2008).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999", "#f0e442")


def write_page(table: Table, out: Path, command: str, origin: str) -> Path:
    """Write ``index.html`` and the CSV files; return the page.

    Parameters
    ----------
    command
        What was typed.
    origin
        Where the images come from, in words; phantoms are said to be phantoms.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    for name, rows in _tables(table).items():
        write_atomically(out / name, _csv(rows))
    page = _TEMPLATES.get_template("slice_transfer.html.jinja").render(
        table=table,
        figures=FIGURES,
        cell=_cell,
        origin=origin,
        command=command,
        version=__version__,
        curves=_uri(_curves(table)),
        doubt=_uri(_doubt(table)),
    )
    write_atomically(out / "index.html", page.encode())
    return out / "index.html"


def _cell(row: TableRow, figure: str) -> str:
    found = row.estimates[figure]
    return "–" if found.value != found.value else f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"


def _tables(table: Table) -> dict[str, list[list[object]]]:
    head = ["network", "optimizer", "threshold", "n", "tn", "fp", "fn", "tp"]
    head += [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
    rows: list[list[object]] = [[*head, *(f"published_{name}" for name in FIGURES), "seconds"]]
    for row in table.rows:
        c = row.counts
        estimates = [v for name in FIGURES for e in (row.estimates[name],) for v in (e.value, e.low, e.high)]
        published = row.published or ("",) * len(FIGURES)
        rows.append([row.name, row.optimizer, row.threshold, c.n, c.tn, c.fp, c.fn, c.tp, *estimates, *published])
        rows[-1].append(round(row.seconds, 1))
    curves: list[list[object]] = [["network", "optimizer", "stage", "epoch", "figure", "value"]]
    for (backbone, optimizer), run in table.runs.items():
        for stage, epoch in run.history:
            curves += [[backbone, optimizer, stage, epoch.epoch, k, v] for k, v in epoch.figures().items()]
    doubt: list[list[object]] = [["network", "coverage", "risk"]]
    for name, found in table.doubt.items():
        doubt += [[name, c, r] for c, r in zip(found.coverage, found.risk, strict=True)]
    return {"table.csv": rows, "curves.csv": curves, "risk_coverage.csv": doubt}


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _curves(table: Table) -> Figure:
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for color, ((backbone, optimizer), run) in zip(_colors(), table.runs.items(), strict=False):
        rows = [row for _, row in run.history]
        epochs = np.arange(1, len(rows) + 1)
        loss.plot(epochs, [r.train_loss for r in rows], color=color, linestyle=":")
        loss.plot(epochs, [r.valid_loss for r in rows], color=color, label=f"{backbone}, {optimizer}")
        accuracy.plot(epochs, [r.train_accuracy for r in rows], color=color, linestyle=":")
        accuracy.plot(epochs, [r.scores["accuracy"] for r in rows], color=color)
        thawed = sum(stage == "frozen" for stage, _ in run.history)
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        axes.axvline(thawed + 0.5, color="#bbbbbb", linewidth=1)
        axes.set(xlabel="epoch", ylabel=name)
        axes.spines[["top", "right"]].set_visible(False)
    loss.legend(frameon=False, fontsize=7)
    return figure


def _doubt(table: Table) -> Figure:
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for color, (name, found) in zip(_colors(), table.doubt.items(), strict=False):
        axes.plot(found.coverage, found.risk, color=color, label=f"{name} (area {found.area:.3f})")
    axes.set(xlabel="share of images answered, surest first", ylabel="share of wrong answers", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7)
    return figure


def _colors() -> list[str]:
    return [color for _ in range(8) for color in COLORS]


def _uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "cspine", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
