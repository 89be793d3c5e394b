"""The figures that pages share: learning curves, confusion matrices, bars of paired figures."""

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cspine.evaluation import Confusion, Estimate
from cspine.training.learning import EpochRow
from cspine.training.recipes.experiment_page import PagePicture

# Colors that people with any color vision tell apart (Okabe & Ito 2008).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999", "#f0e442")
MARK = "#bbbbbb"


def colors() -> Iterator[str]:
    """Return the colors, over and over."""
    return cycle(COLORS)


def drawn(figure: Figure, alt: str, caption: str = "") -> PagePicture:
    """Return a figure as SVG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "cspine", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return PagePicture(buffer.getvalue(), "image/svg+xml", alt, caption)


def curves(
    histories: Mapping[str, Sequence[EpochRow]], marks: Sequence[float] = (), scores: Sequence[str] = ("accuracy",)
) -> PagePicture:
    """Draw loss, and scores of the validation part, of several trainings over their epochs.

    Parameters
    ----------
    marks
        Epochs at which something changed, as gray lines.
    scores
        Names in `EpochRow.scores`; of accuracy the training part is drawn, too.
    """
    figure = Figure(figsize=(4.75 * (1 + len(scores)), 3.4), layout="constrained")
    axes = np.atleast_1d(np.asarray(figure.subplots(1, 1 + len(scores))))
    for color, (name, rows) in zip(colors(), histories.items(), strict=False):
        epochs = np.arange(1, len(rows) + 1)
        marker = "o" if len(rows) == 1 else ""
        axes[0].plot(epochs, [r.train_loss for r in rows], color=color, linestyle=":", marker=marker)
        axes[0].plot(epochs, [r.valid_loss for r in rows], color=color, marker=marker, label=name)
        for place, score in zip(axes[1:], scores, strict=True):
            if score == "accuracy":
                place.plot(epochs, [r.train_accuracy for r in rows], color=color, linestyle=":", marker=marker)
            place.plot(epochs, [r.scores[score] for r in rows], color=color, marker=marker)
    for place, name in zip(axes, ("loss", *scores), strict=True):
        for mark in marks:
            place.axvline(mark, color=MARK, linewidth=1)
        _plain(place, "epoch", name)
    axes[0].legend(frameon=False, fontsize=7)
    return drawn(
        figure, "Loss and scores per epoch", "Training dotted, validation drawn through; a point is a single epoch."
    )


def confusions(counts: Mapping[str, Confusion], labels: tuple[str, str] = ("no", "yes")) -> PagePicture:
    """Draw confusion matrices side by side: truth in rows, answers in columns."""
    columns = min(4, max(1, len(counts)))
    rows = -(-len(counts) // columns)
    figure = Figure(figsize=(2.35 * columns, 2.3 * rows), layout="constrained")
    places = np.atleast_1d(np.asarray(figure.subplots(rows, columns))).ravel()
    for place in places[len(counts) :]:
        place.set_axis_off()
    for place, (name, found) in zip(places, counts.items(), strict=False):
        _matrix(place, np.array([[found.tn, found.fp], [found.fn, found.tp]]), labels)
        place.set_title(name, fontsize=8)
    return drawn(figure, "Confusion matrices", "Rows: truth; columns: answer. Shades are shares of a row.")


def _matrix(place: Axes, values: np.ndarray, labels: Sequence[str]) -> None:
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    place.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        ink = "white" if shares[row, column] > 0.55 else "#1c2328"
        place.text(column, row, f"{value:,}", ha="center", va="center", color=ink, fontsize=9)
    ticks = np.arange(len(labels))
    place.set(xticks=ticks, yticks=ticks)
    place.set_xticklabels(labels, fontsize=8)
    place.set_yticklabels(labels, fontsize=8)
    place.tick_params(length=0)


def bars(groups: Sequence[str], series: Mapping[str, Sequence[float]], ylabel: str, low: float = 0.0) -> PagePicture:
    """Draw figures of several systems in groups of bars."""
    figure = Figure(figsize=(9.5, 3.2), layout="constrained")
    place = figure.subplots()
    width = 0.8 / max(1, len(series))
    for k, (color, (name, values)) in enumerate(zip(colors(), series.items(), strict=False)):
        at = np.arange(len(groups)) + (k - (len(series) - 1) / 2) * width
        place.bar(at, np.nan_to_num(np.asarray(values, dtype=float) - low), width * 0.92, low, color=color, label=name)
    place.set_xticks(np.arange(len(groups)), groups)
    _plain(place, "", ylabel)
    place.set_ylim(bottom=low)
    place.legend(frameon=False, fontsize=7, ncols=max(1, len(series)), loc="upper center", bbox_to_anchor=(0.5, 1.15))
    return drawn(figure, f"{ylabel} of {', '.join(series)}")


def estimates(
    groups: Sequence[str],
    series: Mapping[str, Sequence[Estimate]],
    names: tuple[str, str],
    *,
    joined: bool = False,
) -> PagePicture:
    """Draw figures of several systems with their intervals, beside one another in each group.

    Parameters
    ----------
    names
        Of the axes.
    joined
        Whether a line joins the groups of a system: they are steps of one quantity.
    """
    line = "-" if joined else "none"
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    place = figure.subplots()
    for k, (color, (name, values)) in enumerate(zip(colors(), series.items(), strict=False)):
        at = np.arange(len(groups)) + (k - (len(series) - 1) / 2) * 0.12
        middle = np.array([v.value for v in values])
        sides = np.abs(np.array([[v.low, v.high] for v in values]).T - middle)
        place.errorbar(
            at, middle, np.nan_to_num(sides), color=color, linestyle=line, marker="o", markersize=4, capsize=2
        )
        place.plot([], [], color=color, marker="o", markersize=4, label=name)
    place.set_xticks(np.arange(len(groups)), groups)
    _plain(place, *names)
    place.legend(frameon=False, fontsize=7)
    return drawn(figure, f"{names[1]} against {names[0]}", "Bars: 95 % intervals over studies.")


def lines(
    series: Mapping[str, tuple[np.ndarray, np.ndarray]], names: tuple[str, str], *, unit_square: bool = False
) -> PagePicture:
    """Draw curves of (x, y); `names` are those of the axes."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    place = figure.subplots()
    for color, (name, (x, y)) in zip(colors(), series.items(), strict=False):
        place.plot(x, y, color=color, label=name)
    _plain(place, *names)
    if unit_square:
        place.set(xlim=(0, 1), ylim=(0, 1.02))
    else:
        place.set_ylim(bottom=0)
    place.legend(frameon=False, fontsize=7)
    return drawn(figure, f"{names[1]} against {names[0]}")


def _plain(place: Axes, xlabel: str, ylabel: str) -> None:
    place.set(xlabel=xlabel, ylabel=ylabel)
    place.spines[["top", "right"]].set_visible(False)
