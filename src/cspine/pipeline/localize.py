"""From the maps of single vertebrae to findings in millimeters: each break once, at the vertebra that it belongs to."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Box, Grid, Vertebra, Volume, WorldBox, resample
from cspine.pipeline.fracture import JudgedVertebra
from cspine.pipeline.preprocess import touched
from cspine.pipeline.spec import LocalizeSpec

_CORNERS = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class Place:
    """One piece of a vertebra's fracture map.

    Attributes
    ----------
    strength
        Highest map probability in it, 0 … 1.
    volume_mm3
        Of the voxels that reach the map's operating point.
    """

    vertebra: Vertebra
    strength: float
    volume_mm3: float
    box_lps_mm: WorldBox


def places_of(judged: JudgedVertebra, spec: LocalizeSpec, *, at_least_one: bool) -> tuple[Place, ...]:
    """Return the pieces of a vertebra's own map, strongest first.

    Parameters
    ----------
    at_least_one
        The vertebra is called fractured: when nothing reaches the operating point, the strongest spot is shown.
    """
    own = belonging(judged, spec)
    threshold = spec.map_threshold
    found = _pieces(judged, own, threshold, spec)
    top = float(own.max(initial=0.0))
    if not found and at_least_one and top > 0:
        found = _pieces(judged, own, spec.spot_share * top, spec)
    return found[: spec.most]


def belonging(judged: JudgedVertebra, spec: LocalizeSpec) -> np.ndarray:
    """Return the map with everything that belongs to another vertebra, or to none, set to 0."""
    mine = judged.own > 0.5
    if not mine.any():
        return np.zeros_like(judged.map)
    spacing = judged.grid.spacing_mm
    to_mine = ndimage.distance_transform_edt(~mine, sampling=spacing)
    near = to_mine <= spec.reach_mm
    theirs = judged.others > 0.5
    if theirs.any():
        near &= to_mine <= ndimage.distance_transform_edt(~theirs, sampling=spacing)
    return np.where(near, judged.map, np.float32(0.0))


def _pieces(judged: JudgedVertebra, own: np.ndarray, threshold: float, spec: LocalizeSpec) -> tuple[Place, ...]:
    reached = own >= threshold
    spacing = np.array(judged.grid.spacing_mm)
    voxel = float(spacing.prod())
    if not reached.any():
        return ()
    near = ndimage.distance_transform_edt(~reached, sampling=spacing) <= spec.join_mm / 2
    pieces, count = ndimage.label(near, _CORNERS)
    places = []
    for number, part in enumerate(ndimage.find_objects(pieces, max_label=count), start=1):
        inside = reached[part] & (pieces[part] == number)
        size = np.count_nonzero(inside) * voxel
        if size < spec.smallest_mm3 and threshold >= spec.map_threshold:
            continue
        box = Box.of_mask(inside)
        if box is None:
            continue
        at = [s.start for s in part]
        moved = Box(
            (box.start_zyx[0] + at[0], box.start_zyx[1] + at[1], box.start_zyx[2] + at[2]),
            (box.stop_zyx[0] + at[0], box.stop_zyx[1] + at[1], box.stop_zyx[2] + at[2]),
        )
        strength = float(own[part][inside].max())
        places.append(Place(judged.vertebra, strength, size, judged.grid.box_to_world(moved)))
    return tuple(sorted(places, key=lambda place: (-place.strength, -place.volume_mm3, place.box_lps_mm.min_lps_mm)))


def paint_map(judged: list[JudgedVertebra], grid: Grid, spec: LocalizeSpec, threads: int = 4) -> Volume:
    """Return the fracture map, 0 … 1, on a canonical grid; where crops overlap, the highest value."""
    painted = np.zeros(grid.shape, dtype=np.float32)
    with ThreadPoolExecutor(threads) as pool:
        maps = list(pool.map(lambda one: belonging(one, spec), judged))
    for one, own in zip(judged, maps, strict=True):
        tight = Box.of_mask(own > spec.map_floor)
        box = None if tight is None else touched(grid, one.grid.crop(tight))
        if box is None:
            continue
        part = resample(own, one.grid, grid.crop(box), fill=0.0, threads=1)
        np.maximum(painted[box.slices], np.clip(part, 0, 1), out=painted[box.slices])
    return Volume(grid, painted)
