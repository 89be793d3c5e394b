"""Charts as SVG text, without a drawing library: a page of figures must come out of a plain installation.

Every chart is a pure function of its values; equal values make equal text. Lines differ in dash as well as in color.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from cspine.evaluation import Estimate

INK, FAINT, GRID = "#14181f", "#5b6472", "#e1e5ea"
COLORS = ("#14609c", "#b5432a", "#3c7d3a", "#7a4a9e")
DASHES = ("", "7 4", "2 3", "9 3 2 3")
DECISION_COLORS = {"rule-in": "#b5432a", "uncertain": "#e0b04a", "rule-out": "#3f86b8", "not assessed": "#b9c0c8"}
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 40
_TICKS = 5
_INTERVAL_STEP = 0.1


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes
    ----------
    points
        x, and y with its interval; NaN ends of an interval draw none.
    step
        Whether y holds until the next x.
    dots
        Whether points are marked.
    """

    name: str
    points: Sequence[tuple[float, Estimate]]
    step: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Axes:
    """What the axes are called, and how far they go."""

    x_label: str
    y_label: str
    x_max: float = 1.0
    diagonal: bool = False


def line_chart(lines: Sequence[Line], axes: Axes, size: tuple[int, int] = (360, 320)) -> str:
    """Return curves on axes from 0; y ends at 1."""
    frame = _Frame(size, axes.x_max)
    parts = [frame.grid(axes)]
    if axes.diagonal:
        (x0, y0), (x1, y1) = frame.place(0, 0), frame.place(min(1.0, axes.x_max), min(1.0, axes.x_max))
        parts.append(f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{FAINT}" stroke-dasharray="3 3"/>')
    for k, line in enumerate(lines):
        parts.append(frame.line(line, COLORS[k % len(COLORS)], DASHES[k % len(DASHES)]))
    if len(lines) > 1:
        parts.append(_legend(lines, size, low=axes.x_label.startswith("false")))
    return _svg(size, "".join(parts), f"{axes.y_label} against {axes.x_label}")


def interval_chart(
    rows: Sequence[tuple[str, Estimate]], ends: tuple[float, float], reference: float | None = None, label: str = ""
) -> str:
    """Return one dot with its interval for each row, with the numbers beside it.

    Parameters
    ----------
    reference
        Drawn as a line.
    """
    low, high = ends
    name_px, value_px, row_px, width = 150, 176, 21, 620
    plot = width - name_px - value_px
    height = row_px * len(rows) + 34

    def x(value: float) -> float:
        return name_px + plot * (min(max(value, low), high) - low) / (high - low)

    parts = []
    ticks = round((high - low) / _INTERVAL_STEP)
    for k in range(ticks + 1):
        value = low + (high - low) * k / ticks
        parts.append(f'<path d="M{x(value):.1f} 4V{height - 30}" stroke="{GRID}"/>')
        parts.append(_text(x(value), height - 16, f"{value:.2g}", "middle"))
    if reference is not None:
        parts.append(f'<path d="M{x(reference):.1f} 4V{height - 30}" stroke="{FAINT}" stroke-dasharray="3 3"/>')
    for k, (name, estimate) in enumerate(rows):
        y = 4 + row_px * (k + 0.5)
        parts.append(_text(name_px - 8, y + 4, name, "end", INK))
        if isfinite(estimate.value):
            if isfinite(estimate.low):
                span = f"M{x(estimate.low):.1f} {y:.1f}H{x(estimate.high):.1f}"
                parts.append(f'<path d="{span}" stroke="{COLORS[0]}" stroke-width="2"/>')
            parts.append(f'<circle cx="{x(estimate.value):.1f}" cy="{y:.1f}" r="3.6" fill="{COLORS[0]}"/>')
        parts.append(_text(width - value_px + 12, y + 4, figure_text(estimate), "start", INK))
    parts.append(_text(name_px + plot / 2, height - 2, label, "middle"))
    return _svg((width, height), "".join(parts), label)


def share_chart(rows: Sequence[tuple[str, Sequence[tuple[str, float]]]], legend: bool = True) -> str:
    """Return one bar for each row, cut into shares that add up to 1; colors are those of the decisions."""
    name_px, width, row_px = 190, 620, 24
    plot = width - name_px - 10
    height = row_px * len(rows) + (28 if legend else 6)
    parts = []
    for k, (name, shares) in enumerate(rows):
        y, left = 3 + row_px * k, float(name_px)
        parts.append(_text(name_px - 8, y + 14, name, "end", INK))
        for kind, share in shares:
            wide = plot * share
            parts.append(
                f'<rect x="{left:.1f}" y="{y}" width="{wide:.1f}" height="18" fill="{DECISION_COLORS[kind]}"/>'
            )
            if wide > 34:
                color = "#fff" if kind in ("rule-in", "rule-out") else INK
                parts.append(_text(left + wide / 2, y + 13, f"{share:.0%}", "middle", color))
            left += wide
    at = float(name_px)
    for kind, color in DECISION_COLORS.items() if legend else ():
        parts.append(f'<rect x="{at:.0f}" y="{height - 18}" width="12" height="12" fill="{color}"/>')
        parts.append(_text(at + 17, height - 8, kind, "start"))
        at += 105
    return _svg((width, height), "".join(parts), "shares of decisions")


def figure_text(estimate: Estimate) -> str:
    """Return a figure as pages print it: ``".912 (.880–.941)"``, a dash where there is none."""
    if not isfinite(estimate.value):
        return "–"
    digits = 3 if abs(estimate.value) < 10 else 1 if abs(estimate.value) < 1000 else 0
    value = _number(estimate.value, digits)
    if not isfinite(estimate.low):
        return value
    low, high = _number(estimate.low, digits), _number(estimate.high, digits)
    return f"{value} ({low} to {high})" if estimate.low < 0 else f"{value} ({low}–{high})"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


@dataclass(frozen=True)
class _Frame:
    """Places values of a chart on its pixels."""

    size: tuple[int, int]
    x_max: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        width, height = self.size
        across = (width - _LEFT - _RIGHT) * min(max(x / self.x_max, 0.0), 1.0)
        up = (height - _TOP - _BOTTOM) * min(max(y, 0.0), 1.0)
        return _LEFT + across, height - _BOTTOM - up

    def grid(self, axes: Axes) -> str:
        width, height = self.size
        parts = []
        for k in range(_TICKS + 1):
            share = k / _TICKS
            x, y = self.place(share * self.x_max, share)
            parts.append(
                f'<path d="M{x:.1f} {_TOP}V{height - _BOTTOM}M{_LEFT} {y:.1f}H{width - _RIGHT}" stroke="{GRID}"/>'
            )
            parts.append(_text(x, height - _BOTTOM + 15, f"{share * self.x_max:.2g}", "middle"))
            parts.append(_text(_LEFT - 6, y + 4, f"{share:.1f}", "end"))
        parts.append(_text((_LEFT + width - _RIGHT) / 2, height - 6, axes.x_label, "middle", INK))
        middle = (_TOP + height - _BOTTOM) / 2
        parts.append(
            f'<text x="12" y="{middle:.0f}" transform="rotate(-90 12 {middle:.0f})" text-anchor="middle" fill="{INK}">'
            f"{escape(axes.y_label)}</text>"
        )
        return "".join(parts)

    def line(self, line: Line, color: str, dash: str) -> str:
        inside = [(x, y) for x, y in line.points if x <= self.x_max and isfinite(y.value)]
        parts, path = [], ""
        for k, (x, y) in enumerate(inside):
            px, py = self.place(x, y.value)
            path += f"M{px:.1f} {py:.1f}" if not k else (f"H{px:.1f}V{py:.1f}" if line.step else f"L{px:.1f} {py:.1f}")
            if isfinite(y.low):
                (_, low), (_, high) = self.place(x, y.low), self.place(x, y.high)
                parts.append(f'<path d="M{px:.1f} {low:.1f}V{high:.1f}" stroke="{color}" stroke-opacity=".55"/>')
            if line.dots:
                parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{color}"/>')
        if line.step and inside:
            path += f"H{self.place(self.x_max, 0)[0]:.1f}"
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        return f'<path d="{path}" stroke="{color}" stroke-width="1.8"{dashed}/>' + "".join(parts)


def _legend(lines: Sequence[Line], size: tuple[int, int], *, low: bool) -> str:
    """Return names in the corner where these curves rarely are: at the bottom right."""
    width, height = size
    parts = []
    for k, line in enumerate(lines):
        y = height - _BOTTOM - 12 - 17 * (len(lines) - 1 - k)
        dash = f' stroke-dasharray="{DASHES[k % 4]}"' if DASHES[k % 4] else ""
        left = width - _RIGHT - (150 if low else 130)
        parts.append(f'<path d="M{left} {y - 4}h26" stroke="{COLORS[k % 4]}" stroke-width="2"{dash}/>')
        parts.append(_text(left + 32, y, line.name, "start", INK))
    return "".join(parts)


def _text(x: float, y: float, words: str, anchor: str, color: str = FAINT) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{escape(words)}</text>'


def _svg(size: tuple[int, int], inner: str, label: str) -> str:
    width, height = size
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" '
        f'font-size="11.5" fill="none">{inner}</svg>'
    )
