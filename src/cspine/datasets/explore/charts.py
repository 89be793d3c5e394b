"""Tables drawn with matplotlib. A chart is a pure function of its table; equal tables make equal bytes."""

from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cspine.datasets.gray import LOW_CONTRAST
from cspine.datasets.index import LEVELS, OVERALL, UID
from cspine.domain import CERVICAL
from cspine.report import css, level_color

INK, FAINT, FRACTURED, OTHER = "#26323a", "#9aa7b0", "#b5432a", "#7fa3b8"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "cspine",
}
LEVEL_CSS = {v.name: css(level_color(v)) for v in CERVICAL}
GROUPS = LinearSegmentedColormap.from_list("groups", (OTHER, FRACTURED))
WIDE, SMALL = (7.2, 3.6), (4.6, 3.6)
BINS = 24


def svg(chart: Callable[[], Figure]) -> bytes:
    """Draw a chart and return it as SVG, without a date."""
    out = BytesIO()
    with matplotlib.rc_context(STYLE):
        metadata = {"Date": None, "Creator": None}
        chart().savefig(out, format="svg", metadata=metadata, bbox_inches="tight", pad_inches=0.08)
    return out.getvalue()


def share_bars(table: pd.DataFrame) -> Figure:
    """Draw `tables.share_by_level`."""
    figure, axes = _axes(WIDE)
    names = [_name(target) for target in table["target"]]
    colors = [INK if target == OVERALL else FRACTURED for target in table["target"]]
    bars = axes.bar(names, table["share"], color=colors, width=0.68)
    _whiskers(axes, range(len(table)), table)
    for bar, row in zip(bars, table.itertuples(), strict=True):
        at = (bar.get_x() + bar.get_width() / 2, row.high)
        axes.annotate(
            f"{row.share:.1%}\n{row.fractured}", at, (0, 3), textcoords="offset points", ha="center", fontsize=8
        )
    axes.margins(y=0.18)
    return _percent(figure, axes, "studies with a fracture")


def overall_pie(table: pd.DataFrame) -> Figure:
    """Draw the study's row of `tables.share_by_level`."""
    figure, axes = _axes(SMALL)
    row = table[table["target"] == OVERALL].iloc[0]
    fractured, rest = int(row["fractured"]), int(row["n"] - row["fractured"])
    if fractured + rest:
        labels = [f"fractured\n{fractured}", f"not fractured\n{rest}"]
        shares = axes.pie(
            [fractured, rest],
            labels=labels,
            colors=[FRACTURED, OTHER],
            autopct="%.1f%%",
            startangle=90,
            counterclock=False,
            wedgeprops={"edgecolor": "white"},
        )[2]
        for share in shares:
            share.set(color="white", fontweight="bold")
    axes.set_aspect("equal")
    return figure


def ordered_bars(table: pd.DataFrame) -> Figure:
    """Draw `tables.counts_ordered`."""
    figure, axes = _axes(SMALL)
    axes.barh(
        table["level"], table["fractured"], color=[LEVEL_CSS[level] for level in table["level"]], edgecolor=INK, lw=0.5
    )
    axes.invert_yaxis()
    _beside(axes, table["fractured"])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_xlabel("studies with a fracture of the level")
    return figure


def levels_bars(table: pd.DataFrame) -> Figure:
    """Draw `tables.levels_per_patient`."""
    figure, axes = _axes(SMALL)
    axes.bar(table["levels"].astype(str), table["studies"], color=[OTHER, *[FRACTURED] * (len(table) - 1)], width=0.7)
    for k, row in enumerate(table.itertuples()):
        axes.annotate(
            f"{row.studies}\n{row.share:.1%}",
            (k, row.studies),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.margins(y=0.16)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_xlabel("fractured levels of a study")
    axes.set_ylabel("studies")
    return figure


def correlation_map(table: pd.DataFrame) -> Figure:
    """Draw `tables.correlation`."""
    figure, axes = _axes((5.0, 4.4))
    names = [_name(target) for target in table["target"]]
    matrix = table.drop(columns="target").to_numpy(float)
    picture = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    for i, j in np.ndindex(matrix.shape):
        text = "–" if np.isnan(matrix[i, j]) else f"{matrix[i, j]:.2f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if abs(matrix[i, j]) > 0.6 else INK)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(picture, ax=axes, shrink=0.8, label="phi coefficient").outline.set_visible(False)
    return figure


def group_bars(table: pd.DataFrame) -> Figure:
    """Draw `tables.prevalence_by_slices`."""
    figure, axes = _axes(WIDE)
    groups = list(table["slices"].unique())
    step = 0.76 / len(groups)
    for k, group in enumerate(groups):
        part = table[table["slices"] == group].reset_index(drop=True)
        at = np.arange(len(part)) + (k - (len(groups) - 1) / 2) * step
        color = GROUPS(k / max(1, len(groups) - 1))
        axes.bar(at, part["share"], width=0.95 * step, color=color, label=f"{group} slices, n = {part['n'].max()}")
        _whiskers(axes, at, part)
    axes.set_xticks(range(8), [_name(target) for target in table["target"].unique()])
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return _percent(figure, axes, "studies with a fracture")


def histogram(values: pd.Series, label: str, unit: str = "studies", limits: Sequence[float] = ()) -> Figure:
    """Draw a distribution with its median and mean, and limits as dotted lines."""
    figure, axes = _axes(SMALL)
    known = values.dropna().astype(float)
    axes.hist(known, bins=min(BINS, max(1, known.nunique())), color=OTHER, edgecolor="white", lw=0.5)
    if len(known):
        _line(axes, known.median(), "-", f"median {known.median():.4g}")
        _line(axes, known.mean(), "--", f"mean {known.mean():.4g}")
    for limit in limits:
        axes.axvline(limit, color=FRACTURED, ls=":", lw=1.6, label=f"limit {limit:g}")
    axes.legend(frameon=False, fontsize=8, title=f"n = {len(known)}", title_fontsize=8)
    axes.set_xlabel(label)
    axes.set_ylabel(unit)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure


def slices_histogram(studies: pd.DataFrame, limits: Sequence[int]) -> Figure:
    """Draw slices per study and the limits of its groups."""
    return histogram(studies["slices"], "slices of a study", limits=limits)


def contrast_histogram(table: pd.DataFrame) -> Figure:
    """Draw `tables.contrast_table`."""
    return histogram(table["contrast"], "contrast of a slice (bone window)", "slices", (LOW_CONTRAST,))


def spacing_scatter(studies: pd.DataFrame) -> Figure:
    """Draw coverage over spacing of slices."""
    figure, axes = _axes(SMALL)
    axes.scatter(studies["spacing_mm"], studies["coverage_mm"], s=18, alpha=0.6, color=OTHER, edgecolor=INK, lw=0.4)
    axes.set_xlabel("distance of slices, mm")
    axes.set_ylabel("coverage along the table, mm")
    axes.set_ylim(bottom=0)
    return figure


def size_bars(table: pd.DataFrame) -> Figure:
    """Draw `tables.image_sizes`; the axis is logarithmic, since one size outnumbers all others."""
    figure, axes = _axes(SMALL)
    names = [f"{row.rows} × {row.columns}" for row in table.itertuples()]
    axes.barh(names[:12], table["images"][:12], color=OTHER, log=True)
    axes.invert_yaxis()
    _beside(axes, table["images"][:12])
    axes.set_xlim(left=0.8)
    axes.set_xlabel("images, rows × columns")
    return figure


def level_boxes(table: pd.DataFrame, column: str, label: str) -> Figure:
    """Draw the spread of a column of `tables.level_table` or `tables.box_table` by level."""
    name = "vertebra" if "vertebra" in table else "level"
    return _spread([(level, table.loc[table[name] == level, column]) for level in LEVELS], label)


def overlap_boxes(table: pd.DataFrame) -> Figure:
    """Draw `tables.overlap_table`."""
    pairs = [(f"{a}–{b}", a, b) for a, b in zip(LEVELS, (*LEVELS[1:], "T1"), strict=True)]
    groups = [(text, table.loc[(table["upper"] == a) & (table["lower"] == b), "overlap_mm"]) for text, a, b in pairs]
    return _spread(groups, "overlap of neighbors along the neck, mm")


def shared_slices(table: pd.DataFrame) -> Figure:
    """Draw `tables.levels_per_slice`."""
    figure, axes = _axes(SMALL)
    axes.bar(table["levels"].astype(str), table["share"], color=OTHER, width=0.7)
    for k, row in enumerate(table.itertuples()):
        axes.annotate(f"{row.share:.1%}", (k, row.share), (0, 3), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xlabel("levels that one axial slice cuts")
    return _percent(figure, axes, "slices of masked studies")


def visibility_lines(table: pd.DataFrame) -> Figure:
    """Draw `tables.visibility_table`, one panel per study."""
    uids = list(table[UID].unique())
    figure = Figure(figsize=(7.2, 1.9 * max(1, len(uids))), layout="constrained")
    panels = np.atleast_1d(figure.subplots(max(1, len(uids)), 1))
    for axes, uid in zip(panels, uids, strict=False):
        for level in LEVELS:
            part = table[(table[UID] == uid) & (table["vertebra"] == level)]
            axes.plot(part["slice_from_head"], part["visible"], color=LEVEL_CSS[level], lw=2, label=level)
            axes.fill_between(part["slice_from_head"], part["visible"], color=LEVEL_CSS[level], alpha=0.18)
        axes.set_title(_short(uid), fontsize=8, loc="left")
        axes.set_ylim(0, 1.05)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("slice, counted from the head")
    panels[0].set_ylabel("share of the largest section", fontsize=8)
    if uids:
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, frameon=False, ncols=7, fontsize=8, loc="outside upper center")
    return figure


def box_scatter(boxes: pd.DataFrame) -> Figure:
    """Draw width and height of boxes by level."""
    figure, axes = _axes(SMALL)
    _by_level(axes, boxes, "width", "height")
    top = float(max(boxes["width"].max(), boxes["height"].max(), 1)) * 1.05
    axes.plot([0, top], [0, top], color=FAINT, lw=0.8, ls=":")
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="width, pixels", ylabel="height, pixels", aspect="equal")
    return figure


def box_places(boxes: pd.DataFrame) -> Figure:
    """Draw where the centers of boxes lie in the image, the front of the patient up."""
    figure, axes = _axes(SMALL)
    _by_level(axes, boxes, "center_x_share", "center_y_share")
    axes.set(
        xlim=(0, 1), ylim=(1, 0), aspect="equal", xlabel="from the patient's right to left", ylabel="from front to back"
    )
    return figure


def funnel(table: pd.DataFrame) -> Figure:
    """Draw what each rule of a filter leaves: columns ``rule``, ``studies``, ``slices``."""
    figure, axes = _axes((7.2, 0.36 * len(table) + 1.2))
    axes.barh(table["rule"], table["studies"], color=OTHER)
    axes.invert_yaxis()
    texts = [f"{row.studies:,} studies, {row.slices:,} slices" for row in table.itertuples()]
    for k, (count, text) in enumerate(zip(table["studies"], texts, strict=True)):
        axes.annotate(text, (count, k), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.margins(x=0.38)
    axes.set_xlabel("studies that are left")
    return figure


def counted_bars(names: pd.Series, counts: pd.Series, label: str) -> Figure:
    """Draw named counts, first on top."""
    figure, axes = _axes((7.2, 0.36 * len(names) + 1.2))
    axes.barh(names, counts, color=OTHER)
    axes.invert_yaxis()
    _beside(axes, counts)
    axes.set_xlabel(label)
    return figure


def _axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def _percent(figure: Figure, axes: Axes, label: str) -> Figure:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    return figure


def _whiskers(axes: Axes, at: Iterable[float], table: pd.DataFrame) -> None:
    known = table["share"].notna().to_numpy()
    low, high = table["share"] - table["low"], table["high"] - table["share"]
    spread = np.clip(np.stack([low, high]), 0, None)[:, known]
    places = np.asarray(list(at))[known]
    axes.errorbar(places, table["share"][known], spread, fmt="none", ecolor=FAINT, capsize=3, lw=1.2)


def _beside(axes: Axes, counts: Sequence[int] | pd.Series) -> None:
    for k, count in enumerate(counts):
        axes.annotate(f"{count:,}", (count, k), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.margins(x=0.14)


def _line(axes: Axes, value: float, style: str, label: str) -> None:
    axes.axvline(value, color=INK, ls=style, lw=1.2, label=label)


def _spread(groups: Sequence[tuple[str, pd.Series]], label: str) -> Figure:
    figure, axes = _axes(WIDE)
    names = [f"{name}\nn = {len(values)}" for name, values in groups]
    parts: Any = axes.boxplot(
        [values.to_numpy(float) for _, values in groups],
        tick_labels=names,
        patch_artist=True,
        widths=0.6,
        medianprops={"color": INK},
        flierprops={"marker": ".", "markersize": 4, "markeredgecolor": FAINT},
    )
    for patch, level in zip(parts["boxes"], LEVELS, strict=True):
        patch.set(facecolor=LEVEL_CSS[level], edgecolor=INK, linewidth=0.7)
    for k, (_, values) in enumerate(groups, start=1):
        if len(values):
            axes.annotate(f"{values.median():.3g}", (k + 0.33, values.median()), fontsize=8, va="center")
    axes.set_ylabel(label)
    return figure


def _by_level(axes: Axes, boxes: pd.DataFrame, x: str, y: str) -> None:
    named = [(level, boxes[boxes["level"] == level], LEVEL_CSS[level]) for level in LEVELS]
    for name, part, color in [("no level", boxes[boxes["level"] == ""], "white"), *named]:
        if len(part):
            axes.scatter(part[x], part[y], s=16, color=color, edgecolor=INK, lw=0.4, label=f"{name} ({len(part)})")
    if len(boxes):
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _name(target: str) -> str:
    return "overall" if target == OVERALL else target


def _short(uid: str) -> str:
    return uid if len(uid) <= 40 else f"…{uid[-36:]}"
