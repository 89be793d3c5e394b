"""What is round the patient: table, head rest, collar."""

import numpy as np

from cspine.phantom.body import Body, Immobilizer, Table
from cspine.phantom.outline import Axes
from cspine.phantom.spine_axis import SpineAxis
from cspine.phantom.tissue import Tissue

_SHELL_MM = 2.0
_MATTRESS_MM = 18.0
_TABLE_HALF_WIDTH_MM = 215.0
_CRADLE_HALF_WIDTH_MM = 118.0


def paint_support(
    out: np.ndarray, axes: Axes, skin: np.ndarray, table_y_mm: float, *, axis: SpineAxis, body: Body
) -> None:
    """Paint collar, head rest and table into the air of `out` (uint8 (slice, row, column), in place)."""
    if body.collar:
        _collar(out, axes, skin, axis)
    if body.immobilizer is not Immobilizer.NONE:
        _head_rest(out, axes, skin, table_y_mm, axis=axis, kind=body.immobilizer)
    if body.table is not Table.NONE:
        _table(out, axes, table_y_mm, body.table)


def _table(out: np.ndarray, axes: Axes, top_y_mm: float, table: Table) -> None:
    """Put a mattress, then a thin shell round foam; the curved table rises toward its edges."""
    x = axes.x
    rise = (x / _TABLE_HALF_WIDTH_MM) ** 2 * (38.0 if table is Table.CURVED else 0.0)
    top = np.where(np.abs(x) < _TABLE_HALF_WIDTH_MM, top_y_mm + _MATTRESS_MM - rise, np.inf)
    bottom = top_y_mm + _MATTRESS_MM + 42.0 - (x / _TABLE_HALF_WIDTH_MM) ** 2 * 22.0
    y = axes.y[:, None]
    plane = np.zeros((axes.y.size, axes.x.size), dtype=np.uint8)
    plane[(y > top_y_mm + 1.0) & (y < top)] = Tissue.FOAM
    plane[(y >= top) & (y < bottom)] = Tissue.FOAM
    shell = ((y >= top) & (y < top + _SHELL_MM)) | ((y > bottom - _SHELL_MM) & (y < bottom) & (y >= top))
    plane[shell] = Tissue.TABLE
    rows = slice(int(np.searchsorted(axes.y, top_y_mm - 45)), axes.y.size)
    _into_air(out[:, rows], np.broadcast_to(plane[None, rows], out[:, rows].shape))


def _head_rest(
    out: np.ndarray, axes: Axes, skin: np.ndarray, table_y_mm: float, *, axis: SpineAxis, kind: Immobilizer
) -> None:
    """Put the head into a foam cradle with a thin plastic shell, or between two blocks."""
    slices = slice(0, int(np.searchsorted(-axes.z, -float(np.interp(2.2, axis.levels, axis.canal_mm[:, 2])))))
    if slices.stop == 0:
        return
    y, x = axes.y[:, None], np.abs(axes.x[None, :])
    rest = np.zeros((axes.y.size, axes.x.size), dtype=np.uint8)
    if kind is Immobilizer.CRADLE:
        floor = table_y_mm + 6.0 - (x / _CRADLE_HALF_WIDTH_MM) ** 2 * 85.0
        wide = x < _CRADLE_HALF_WIDTH_MM
        rest[(y > floor - 14) & (y < floor) & wide] = Tissue.FOAM
        rest[(y >= floor) & (y < floor + 2.5) & wide] = Tissue.PLASTIC
    else:
        rest[(x > 80) & (x < 150) & (y < table_y_mm) & (y > table_y_mm - 150)] = Tissue.FOAM
    _into_air(out[slices], np.broadcast_to(rest[None], out[slices].shape))


def _collar(out: np.ndarray, axes: Axes, skin: np.ndarray, axis: SpineAxis) -> None:
    """Put a ring of foam with a plastic shell a few mm off the skin, from the chin to the shoulders."""
    level = axis.level_at(axes.z)
    worn = np.flatnonzero((level > 2.0) & (level < 6.8))
    if worn.size == 0:
        return
    slices = slice(int(worn[0]), int(worn[-1]) + 1)
    near = skin[slices]
    air = out[slices] == Tissue.AIR
    out[slices][air & (near > 1.5) & (near < 8.0)] = Tissue.FOAM
    out[slices][air & (near >= 8.0) & (near < 10.5)] = Tissue.PLASTIC


def _into_air(target: np.ndarray, classes: np.ndarray) -> None:
    free = (target == Tissue.AIR) & (classes != Tissue.AIR)
    target[free] = classes[free]
