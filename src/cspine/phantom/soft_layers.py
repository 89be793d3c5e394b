"""Painting of soft tissue classes, from the skin inward; each step paints over what came before."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cspine.domain import Box, Grid, Vertebra, resample
from cspine.phantom import soft_anatomy as anatomy
from cspine.phantom.body import Body
from cspine.phantom.outline import (
    Axes,
    Build,
    Ripple,
    ellipsoid_mm,
    head_frame,
    over_bones,
    paint_tube,
    raised_arm_rows,
    seed_fields,
    skin_distance_mm,
    table_y_mm,
)
from cspine.phantom.skeleton import Skeleton
from cspine.phantom.soft_anatomy import Tube, place_all
from cspine.phantom.spine_axis import SpineAxis
from cspine.phantom.support import paint_support
from cspine.phantom.throat import airway_tubes, flaps, mucosa, neighbors_of_trachea, with_prevertebral
from cspine.phantom.tissue import Tissue
from cspine.phantom.vessels import vertebral_arteries, vessel_tubes

_OUTLINE_STEP_MM = 5.0
_PARTS = 8
_MUSCLE_STEPS = 1.6  # voxels: thin planes need about the resolution that shows them
_SKIN_MM = 1.8
_FASCIA_MM = 0.35  # half of the fat plane between two muscles
_REACH_MM = 10.0  # how far a muscle grows beyond its ellipse when nothing else claims the place


def paint_classes(skeleton: Skeleton, grid: Grid, body: Body, seed: int, threads: int) -> np.ndarray:
    """Return uint8 `Tissue` on a canonical grid; the anatomy depends on the seed, not on the grid."""
    rng = np.random.default_rng(seed)
    axis = SpineAxis.through(skeleton)
    axes = Axes.of(grid)
    head = head_frame(skeleton)
    build = Build(body.fat_mm - 6.0, body.shoulder_drop, body.arms_up)
    bumps = Ripple.sample(rng, 60, 1.2)

    def outline(part: Axes) -> tuple[np.ndarray]:
        return (over_bones(skin_distance_mm(part, axis, head, build, bumps), part, skeleton, 5.0 + 0.3 * body.fat_mm),)

    (skin,) = _smoothly(grid, _OUTLINE_STEP_MM, outline)
    out = _layers(skin, axes, axis, body)
    _paint_muscles(out, grid, axis, body, rng, threads=threads)
    if body.arms_up:
        _paint_raised_arms(out, axes, axis)
    _paint_chest(out, axes, axis, rng)
    _paint_throat(out, axes, axis, skeleton, body=body, rng=rng)
    _paint_spine(out, axes, axis, skeleton)
    _paint_vessels(out, axes, axis, skeleton, rng)
    _paint_head(out, axes, head, axis.scale)
    paint_support(out, axes, skin, table_y_mm(axis, head, build), axis=axis, body=body)
    return out


def _smoothly(
    grid: Grid,
    step_mm: float,
    fields: Callable[[Axes], tuple[np.ndarray, ...]],
    *,
    parts_in_z: int = 1,
    threads: int = 1,
) -> tuple[np.ndarray, ...]:
    """Compute smooth fields on a coarser grid that reaches beyond this one, and interpolate them."""
    z, y, x = (max(step_mm, s) for s in grid.spacing_mm)
    coarse = grid.at_spacing((z, y, x))
    n = coarse.shape
    coarse = coarse.crop(Box((-1, -1, -1), (n[0] + 1, n[1] + 1, n[2] + 1)))
    axes = Axes.of(coarse)
    # The parts do not depend on the threads, nor do the last bits of what is computed in them.
    parts = np.array_split(axes.z, min(parts_in_z, axes.z.size))
    with ThreadPoolExecutor(threads) as pool:
        done = list(pool.map(lambda part: fields(Axes(part, axes.y, axes.x)), parts))
    whole = (np.concatenate(pieces) for pieces in zip(*done, strict=True))
    return tuple(resample(field, coarse, grid, fill=0.0, threads=threads) for field in whole)


def _layers(skin: np.ndarray, axes: Axes, axis: SpineAxis, body: Body) -> np.ndarray:
    """Return air, skin, fat, and the deep space as class `MUSCLE`, to be shared out later."""
    level = axis.level_at(axes.z)
    middle = axis.point(level, np.zeros_like(level), np.zeros_like(level))
    back = np.tanh((axes.y[None, :] - middle[:, 1:2]) / 40)
    # Thin over the scalp and the throat, thick at the nape.
    thickness = body.fat_mm * (0.85 + 0.45 * back) * np.interp(level, [-3, 0, 2], [0.35, 0.6, 1.0])[:, None]
    deep = -(_SKIN_MM + thickness)[:, :, None].astype(np.float32)
    out = np.zeros(skin.shape, dtype=np.uint8)
    out[skin < 0] = Tissue.SKIN
    out[skin < -_SKIN_MM] = Tissue.FAT
    out[skin < deep] = Tissue.MUSCLE
    return out


def _paint_muscles(
    out: np.ndarray, grid: Grid, axis: SpineAxis, body: Body, rng: np.random.Generator, *, threads: int
) -> None:
    """Leave muscle only where a muscle is nearest, with fat between muscles."""
    tubes = place_all(anatomy.MUSCLES, axis, rng, from_front=False, size=body.muscle)
    tubes += place_all(anatomy.FRONT_MUSCLES, axis, rng, from_front=True, size=body.muscle)
    pads = place_all(
        anatomy.FAT_PADS, axis, rng, from_front=False, size=float(np.clip(np.sqrt(body.fat_mm / 7.0), 0.6, 1.5))
    )
    warp = Ripple.sample(rng, 28, 1.3)

    def shares(axes: Axes) -> tuple[np.ndarray, ...]:
        nearest, lead = seed_fields(axes, tubes)
        pad, _ = seed_fields(axes, pads)
        wave = warp.on(axes)
        return np.maximum(nearest - _REACH_MM, nearest - pad) + wave, lead + 0.15 * wave

    beyond, lead = _smoothly(grid, _MUSCLE_STEPS * min(grid.spacing_mm), shares, parts_in_z=_PARTS, threads=threads)
    planes = _FASCIA_MM * (0.7 + 1.2 * body.fatty_muscle) + 0.02 * body.fat_mm
    empty = (beyond > 0) | (lead < planes)
    out[empty & (out == Tissue.MUSCLE)] = Tissue.FAT


def _only(*tissues: Tissue) -> np.ndarray:
    allowed = np.zeros(256, dtype=bool)
    allowed[list(tissues)] = True
    return allowed


_SOFT = _only(Tissue.MUSCLE, Tissue.FAT, Tissue.GLAND, Tissue.MUCOSA)


def _paint_raised_arms(out: np.ndarray, axes: Axes, axis: SpineAxis) -> None:
    """Paint muscle and humerus of arms beside the head; the skeleton's own humeri hang down."""
    level = np.linspace(-8.0, 6.0, 30)
    height = axis.point(level, level * 0, level * 0)[:, 2]
    for side in (1, -1):
        arm = raised_arm_rows(axis, level, side)
        for tissue, half in ((Tissue.MUSCLE, arm[:, 2:] * 0.8), (Tissue.CORTEX, 11.0), (Tissue.CANCELLOUS, 7.0)):
            rows = np.column_stack([height, arm[:, :2], np.broadcast_to(half, (len(level), 2))])
            paint_tube(out, axes, Tube(tissue, rows), 0.0, ~_only(Tissue.AIR, Tissue.SKIN))


def _paint_chest(out: np.ndarray, axes: Axes, axis: SpineAxis, rng: np.random.Generator) -> None:
    """Paint the tops of the lungs inside a chest wall, and the mediastinum between them."""
    lungs = place_all(anatomy.LUNGS, axis, rng, from_front=False)
    for tube in lungs:
        paint_tube(out, axes, Tube(Tissue.MUSCLE, tube.rows, tube.turn_rad), 5.0, _SOFT)
    for tube in lungs:
        paint_tube(out, axes, Tube(Tissue.FAT, tube.rows, tube.turn_rad), 1.5, _SOFT)
    for tube in place_all(anatomy.MEDIASTINUM, axis, rng, from_front=False):
        paint_tube(out, axes, tube, 0.0, _SOFT)
    inner = _only(Tissue.MUSCLE, Tissue.FAT)
    for tube in lungs:
        paint_tube(out, axes, tube, 0.0, inner)


def _paint_throat(
    out: np.ndarray, axes: Axes, axis: SpineAxis, skeleton: Skeleton, *, body: Body, rng: np.random.Generator
) -> None:
    """Paint glands, oesophagus, and the airway in its mucosa."""
    forward = with_prevertebral(axis, body.prevertebral)
    airway = airway_tubes(skeleton, forward, body.airway, rng)
    beside = neighbors_of_trachea(airway[-1], forward, rng)
    for tube in [*place_all(anatomy.GLANDS, forward, rng, from_front=True), *beside]:
        paint_tube(out, axes, tube, 0.0, _SOFT)
    for tube in airway:
        paint_tube(out, axes, mucosa(tube))
    for tube in [*airway, *flaps(skeleton, forward)]:
        paint_tube(out, axes, tube)


def _paint_spine(out: np.ndarray, axes: Axes, axis: SpineAxis, skeleton: Skeleton) -> None:
    """Paint discs between neighbors, then ligament, epidural fat, sac and cord in the canal."""
    present = {b.bone.vertebra for b in skeleton.bones}
    for upper in sorted(skeleton.frames):
        if upper >= Vertebra.C2 and upper in present and upper + 1 in present:
            paint_tube(out, axes, _disc(axis, float(upper)))
    level = axis.levels[axis.levels >= 0]
    half = axis.canal_half(level)
    zero = np.zeros_like(level)
    cord = np.interp(level, [0, 1, 4, 6, 8, 12], [7.5, 5.8, 6.6, 6.8, 5.0, 4.4]) * axis.scale
    rows = (
        (Tissue.LIGAMENT, half[:, 1] * 0.5, half[:, 0] * 0.8, half[:, 1] * 0.75 + 1.0),
        (Tissue.FAT, zero, half[:, 0] + 0.5, half[:, 1] + 0.2),
        (Tissue.CSF, zero - 0.3, half[:, 0] - 1.5, half[:, 1] - 0.7),
        (Tissue.CORD, zero - 0.5, np.minimum(cord, half[:, 0] - 2.5), np.minimum(cord * 0.57, half[:, 1] - 1.8)),
    )
    for tissue, v, wide, deep in rows:
        points = axis.point(level, zero, v)
        paint_tube(out, axes, Tube(tissue, np.column_stack([points[:, 2], points[:, :2], wide, deep])))


def _disc(axis: SpineAxis, upper: float) -> Tube:
    """Return what fills the gap below a vertebra; the bones are painted over it."""
    level = np.linspace(upper + 0.26, upper + 0.74, 6)
    front, half = axis.front(level), axis.canal_half(level)
    deep = (-front - half[:, 1]) / 2
    points = axis.point(level, np.zeros_like(level), front + deep)
    wide = np.full_like(level, np.interp(upper, [2, 7, 9], [10.0, 13.5, 15.0]) * axis.scale)
    return Tube(Tissue.DISC, np.column_stack([points[:, 2], points[:, :2], wide, deep]))


def _paint_vessels(out: np.ndarray, axes: Axes, axis: SpineAxis, skeleton: Skeleton, rng: np.random.Generator) -> None:
    """Paint the vessels, the large ones in a thin sleeve of fat."""
    tubes = vessel_tubes(axis, rng)
    for tube in tubes:
        paint_tube(out, axes, Tube(Tissue.FAT, tube.rows, tube.turn_rad), 0.8, _SOFT)
    beside_airway = ~_only(Tissue.AIRWAY, Tissue.MUCOSA)
    for tube in tubes + vertebral_arteries(skeleton, axis, rng):
        paint_tube(out, axes, tube, 0.0, beside_airway)


def _paint_head(out: np.ndarray, axes: Axes, head: np.ndarray, scale: float) -> None:
    """Paint nose, sinuses, orbits, the slit over the tongue, and the brain."""
    for tissue, (center, radii) in anatomy.HEAD:
        for side in (1, -1) if center[0] else (1,):
            middle = np.array([side * center[0], center[1], center[2]]) * scale
            _paint_ellipsoid(out, axes, head, tissue, center=middle, radii=np.array(radii) * scale)


def _paint_ellipsoid(
    out: np.ndarray, axes: Axes, frame: np.ndarray, tissue: Tissue, *, center: np.ndarray, radii: np.ndarray
) -> None:
    middle = frame[:3, :3] @ center + frame[:3, 3]
    reach = float(radii.max()) + 1
    near = [np.flatnonzero(np.abs(a - m) < reach) for a, m in zip((axes.z, axes.y, axes.x), middle[::-1], strict=True)]
    if any(n.size == 0 for n in near):
        return
    kz, ky, kx = (slice(int(n[0]), int(n[-1]) + 1) for n in near)
    inside = ellipsoid_mm(Axes(axes.z[kz], axes.y[ky], axes.x[kx]), frame, tuple(center), tuple(radii)) < 0
    out[kz, ky, kx][inside] = tissue
