"""Single bones to break, painted without soft tissue and scanner: fast, and every difference is the fracture's."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from cspine.domain import Grid, Vertebra
from cspine.phantom import Fracture, Subject
from cspine.phantom.bones import (
    procedural_girdle,
    procedural_ribs,
    procedural_skull,
    procedural_vertebrae,
    sample_vertebra_sizes,
)
from cspine.phantom.density import BoneDensity, material_of
from cspine.phantom.fractures import PlacedFracture, place_fractures, plan_fractures
from cspine.phantom.fractures.truth import fracture_mask
from cspine.phantom.raster import bounds_in_body_mm
from cspine.phantom.render import paint_bones_inplace
from cspine.phantom.skeleton import Bone, PlacedBone, Skeleton
from cspine.phantom.warp import no_warp
from tests.phantom.subject_builders import straight_frames

SOFT_HU = 50.0
SPACING_MM = 1.2
_HALF_MM = np.array([34.0, 34.0, 24.0])


@lru_cache(maxsize=1)
def bones() -> dict[str, Bone]:
    """Return C1 … T8 and what hangs on them, by name; each is sampled when it is first looked at."""
    rng = np.random.default_rng(5)
    sizes = sample_vertebra_sizes(rng, female=False, scale=1.0)
    every = [*procedural_vertebrae(sizes, rng).values(), *procedural_ribs(sizes, rng)]
    return {bone.name: bone for bone in (*every, *procedural_girdle(sizes, rng), *procedural_skull(sizes, rng))}


def subject_with(*fractures: Fracture) -> Subject:
    """Return a person that consists of the fractured bones alone, each in the body frame as in its own."""
    planned = plan_fractures(bones(), fractures)
    placed = [
        PlacedBone(bones()[name], np.eye(4), *material_of(bones()[name], BoneDensity()))
        for name in sorted({one.bone for one in planned})
    ]
    skeleton = Skeleton(tuple(placed), straight_frames(), 1.0)
    return Subject(skeleton, None, no_warp(), 7, 0.0, place_fractures(skeleton, planned))  # type: ignore[arg-type]  # no soft tissue is painted


def grid_round(fracture: PlacedFracture, spacing_mm: float = SPACING_MM) -> Grid:
    """Return a grid over the bone, or over what lies near the break of a long one."""
    low, high = fracture.bone.bone.bounds_mm
    if fracture.bone.bone.vertebra is None:
        cuts = [*fracture.breaks.cracks, *(face.cut for piece in fracture.breaks.fragments for face in piece.faces)]
        low = high = np.asarray(cuts[0].surface.point_mm, dtype=np.float64)  # type: ignore[attr-defined]  # its breaks are all sheets
    middle, half = (low + high) / 2, np.minimum((high - low) / 2 + 8.0, _HALF_MM)
    x, y, z = (int(n) for n in np.ceil(2 * half / spacing_mm))
    start = middle + half * np.array([-1, -1, 1])
    return Grid.from_axes((z, y, x), (spacing_mm,) * 3, (float(start[0]), float(start[1]), float(start[2])))


def grid_in_body(fracture: PlacedFracture, spacing_mm: float = SPACING_MM) -> Grid:
    """Return a grid over the broken bone where it stands in a whole body."""
    low, high = bounds_in_body_mm(fracture.broken)
    x, y, z = (int(n) for n in np.ceil((high - low) / spacing_mm))
    return Grid.from_axes((z, y, x), (spacing_mm,) * 3, (float(low[0]), float(low[1]), float(high[2])))


def painted(subject: Subject, grid: Grid) -> np.ndarray:
    hu = np.full(grid.shape, SOFT_HU, dtype=np.float32)
    paint_bones_inplace(hu, subject, grid, subject.rng(), 1)
    return hu


def before_and_after(fracture: Fracture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return HU of the whole and of the broken bone, and the mask of the fracture."""
    subject = subject_with(fracture)
    grid = grid_round(subject.fractures[0])
    whole = painted(replace(subject, fractures=()), grid)
    mask = fracture_mask(subject.fractures[0].broken, grid, subject.warp)
    return whole, painted(subject, grid), mask


def first_level(kind_levels: tuple[Vertebra, ...]) -> Vertebra:
    """Return the level at which a type is tried: C5 where it exists."""
    return Vertebra.C5 if Vertebra.C5 in kind_levels else kind_levels[0]
