"""From a specification to a scanned case with its truth."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cspine.domain import Grid, GroundTruth, LabelMap, Vertebra, VertebraTruth, Volume
from cspine.phantom.anatomy import PROCEDURAL, Anatomy, mesh_anatomy, procedural_anatomy
from cspine.phantom.assembly import assemble
from cspine.phantom.discs import Discs, sample_discs
from cspine.phantom.features import peculiarities, traces
from cspine.phantom.fractures import SliceBox, place_fractures, plan_fractures
from cspine.phantom.fractures.ankylosis import ankylosed
from cspine.phantom.fractures.truth import fracture_truth, healed_truth, slice_boxes
from cspine.phantom.healed import healed_fractures
from cspine.phantom.mimic_images import disturbed, moved
from cspine.phantom.mimic_truth import fillings_of, line_masks, mimic_masks, mimic_truth
from cspine.phantom.posture import orientations
from cspine.phantom.raster import Slab, bounds_in_body_mm, box_corners, over_slabs, rough_bounds_mm
from cspine.phantom.render import render_hu, render_labels
from cspine.phantom.scanner import Scanner, native_grid, scan
from cspine.phantom.skeleton import PlacedBone
from cspine.phantom.spec import PhantomSpec
from cspine.phantom.subject import Subject
from cspine.phantom.warp import sample_warp

FINEST_MM = 0.5
_MOST_FINE_VOXELS = 70e6
_BEYOND_MM = 4.0  # the fine grid reaches beyond the field, for blur and motion
_AROUND_STEP_MM = 6.0
_AROUND_HALF_MM = 270.0
_TRUTH_STEP_MM = 0.8
# Streams of random numbers; each part of a case draws from its own.
_BONES, _POSTURE, _TISSUE, _SCAN, _DISCS = range(5)
_VARIANTS = 20


@dataclass(frozen=True, eq=False)
class Case:
    """A phantom CT and what is true of it.

    Attributes
    ----------
    labels
        Every vertebra with a bone, C1 … T8, on the grid of the volume.
    fractures
        On the grid of the volume: value k where ``truth.fractures[k - 1]`` is, 0 elsewhere.
    mimics
        On the grid of the volume: value k where ``truth.mimics[k - 1]`` is, 0 elsewhere.
    """

    volume: Volume
    labels: LabelMap
    truth: GroundTruth
    fractures: LabelMap
    mimics: LabelMap


def fracture_boxes(case: Case) -> tuple[SliceBox, ...]:
    """Return the box of every fracture in every slice, as RSNA 2022 gives them: top-left column and row, and size."""
    return slice_boxes(case.fractures, case.truth.fractures)


def make_subject(spec: PhantomSpec) -> Subject:
    """Grow and pose the person of a specification."""
    discs = sample_discs(_stream(spec.seed, _DISCS), spec.degeneration)
    anatomy = _grown(spec.anatomy, spec.female, spec.scale, discs, spec.seed)
    posture = _stream(spec.seed, _POSTURE)
    turns = orientations(spec.posture, posture)
    rng = _stream(spec.seed, _VARIANTS)
    variants = ankylosed(spec.variants, spec.fractures)
    person, alike = peculiarities(variants, spec.mimics, anatomy, age=spec.age, discs=discs, rng=rng)
    planned = plan_fractures(anatomy.by_name, (*spec.fractures, *healed_fractures(spec.mimics)))
    carried = [fracture.carried for fracture in planned if fracture.carried is not None]
    skeleton = assemble(anatomy, turns, discs, spec.density, spec.scale, individual=person, carried=carried)
    seed = int(_stream(spec.seed, _TISSUE).integers(2**62))
    warp = sample_warp(posture, spec.warp_mm)
    broken, where = place_fractures(skeleton, planned), traces(alike, anatomy, skeleton)
    return Subject(skeleton, spec.body, warp, seed, fillings_of(spec.mimics, spec.fillings), broken, where)


@lru_cache(maxsize=1)
def _grown(source: str, female: bool, scale: float, discs: Discs, seed: int) -> Anatomy:
    """Return the bones of a person; the last one is kept, since sampling its lattices is half of a rendering."""
    bones = _stream(seed, _BONES)
    if source == PROCEDURAL:
        return procedural_anatomy(female=female, scale=scale, discs=discs, rng=bones)
    return mesh_anatomy(source, female=female, scale=scale, discs=discs, rng=bones)


def make_case(spec: PhantomSpec, threads: int = 4) -> Case:
    """Make the CT of a specification; the same bytes each time, whatever the threads."""
    return scan_subject(make_subject(spec), spec, threads)


def scan_subject(subject: Subject, spec: PhantomSpec, threads: int = 4) -> Case:
    """Scan a person with the scanner and over the field of a specification."""
    grid = field_grid(subject, spec)
    fine = fine_grid(grid)
    hu = render_hu(subject, fine, threads)
    around = around_grid(subject, grid)
    whole = Volume(around, render_hu(subject, around, threads))
    hu = moved(hu, fine, spec.mimics, subject.centers_lps_mm)
    volume = scan(hu, fine, spec.scanner, _stream(spec.seed, _SCAN), target=grid, whole_body=whole, threads=threads)
    lines = line_masks(subject.traces, grid, subject.warp)
    volume = disturbed(volume, spec.scanner, spec.mimics, subject.centers_lps_mm, lines)
    truth = ground_truth(subject, grid, spec.scanner, threads)
    fractures, broken = fracture_truth(subject.fractures, grid, subject.warp)
    healed = healed_truth(subject.fractures, grid, subject.warp)
    masks = mimic_masks(spec.mimics, subject, volume)
    mimics, alike = mimic_truth(healed, masks)
    truth = replace(truth, fractures=broken, mimics=alike)
    return Case(volume, render_labels(subject, grid, threads), truth, fractures, mimics)


def field_grid(subject: Subject, spec: PhantomSpec) -> Grid:
    """Return the grid of the series that a specification asks for."""
    centers, field = subject.centers_lps_mm, spec.coverage
    top = centers[field.top][2] + field.top_mm
    bottom = min(centers[field.bottom][2] - field.bottom_mm, top - 2 * spec.scanner.spacing_mm)
    seen = np.array([centers[Vertebra(v)] for v in range(field.top, field.bottom + 1)])
    x, y = seen[:, :2].mean(axis=0) + field.offset_mm
    return native_grid(spec.scanner, (float(x), float(y), (top + bottom) / 2), top, bottom)


def fine_grid(target: Grid) -> Grid:
    """Return the upright grid on which a body is painted before it is scanned onto `target`."""
    corners = target.to_world(box_corners(np.zeros(3), np.array(target.shape) - 1.0))
    low, high = corners.min(axis=0) - _BEYOND_MM, corners.max(axis=0) + _BEYOND_MM
    size = high - low
    across = max(FINEST_MM, 0.9 * min(target.spacing_mm[1:]))
    along = float(np.clip(0.6 * target.spacing_mm[0], FINEST_MM, 1.0))
    excess = np.prod(size) / (across**2 * along) / _MOST_FINE_VOXELS
    if excess > 1:
        across, along = across * np.cbrt(excess), along * np.cbrt(excess)
    x, y, z = (int(n) for n in np.ceil(size / np.array([across, across, along])) + 1)
    return Grid.from_axes((z, y, x), (along, across, across), (float(low[0]), float(low[1]), float(high[2])))


def around_grid(subject: Subject, field: Grid) -> Grid:
    """Return a coarse grid over everything that rays through a field can pass."""
    ends = field.to_world(box_corners(np.zeros(3), np.array(field.shape) - 1.0))[:, 2]
    top, bottom = float(ends.max()) + _AROUND_STEP_MM, float(ends.min()) - _AROUND_STEP_MM
    count = int(2 * _AROUND_HALF_MM / _AROUND_STEP_MM)
    slices = int((top - bottom) / _AROUND_STEP_MM) + 1
    x, y, _ = subject.centers_lps_mm[Vertebra.C4]
    low = (x - _AROUND_HALF_MM, y - _AROUND_HALF_MM)
    return Grid.from_axes((slices, count, count), (_AROUND_STEP_MM,) * 3, (*low, top))


def ground_truth(subject: Subject, grid: Grid, scanner: Scanner, threads: int = 4) -> GroundTruth:
    """Return every vertebra of which any part lies in the field.

    The visible fraction is the share of the bone's volume, on a fine lattice, inside the outer faces of the field
    and inside the reconstruction circle; it is 1 for a bone that lies inside as a whole, without counting.
    """
    bones = {p.bone.vertebra: p for p in subject.skeleton.bones if p.bone.vertebra and _may_be_seen(p, grid, subject)}
    cut = {v: p for v, p in bones.items() if not _is_whole(p, grid, scanner, subject)}
    shares = dict.fromkeys(bones, 1.0) | _visible_shares(cut, subject, grid, scanner, threads)
    centers = subject.centers_lps_mm
    return GroundTruth(tuple(VertebraTruth(v, centers[v], shares[v]) for v in sorted(shares) if shares[v] > 0))


def _visible_shares(
    bones: dict[Vertebra, PlacedBone], subject: Subject, grid: Grid, scanner: Scanner, threads: int
) -> dict[Vertebra, float]:
    """Count how much of some bones a field shows."""
    if not bones:
        return {}
    centers = subject.centers_lps_mm
    lattice = _truth_lattice(np.array([centers[v] for v in bones]))
    parts: list[tuple[Vertebra, int, int]] = []

    def work(slab: Slab) -> None:
        for vertebra, placed in bones.items():
            for hits in slab.hits(placed, 0.0):
                z, y, x = np.unravel_index(hits.flat, (slab.slices.stop - slab.start_slice, *lattice.shape[1:]))
                world = lattice.to_world(np.stack([z + slab.start_slice, y, x], axis=1))
                parts.append((vertebra, len(world), int(in_field(grid, scanner, world).sum())))

    over_slabs(lattice, subject.warp, work, threads)
    shares = {}
    for vertebra in bones:
        total, inside = np.sum([(n, seen) for v, n, seen in parts if v == vertebra], axis=0)
        shares[vertebra] = float(inside / total)
    return shares


def in_field(grid: Grid, scanner: Scanner, world_lps_mm: np.ndarray) -> np.ndarray:
    """Return bool (N,): which points (N, 3) a series shows."""
    index = grid.to_index(world_lps_mm)
    size = np.array(grid.shape)
    inside = ((index >= -0.5) & (index < size - 0.5)).all(axis=1)
    from_middle = (index - (size - 1) / 2)[:, 1:] * np.array(grid.spacing_mm[1:])
    shown: np.ndarray = inside & (np.linalg.norm(from_middle, axis=1) <= scanner.circle_mm / 2)
    return shown


def _may_be_seen(placed: PlacedBone, grid: Grid, subject: Subject) -> bool:
    ends = grid.to_world(box_corners(np.full(3, -0.5), np.array(grid.shape) - 0.5))[:, 2]
    low, high = rough_bounds_mm(placed)[:, 2] + np.array([-1.0, 1.0]) * subject.warp.largest_mm
    return bool(low < ends.max() and ends.min() < high)


def _is_whole(placed: PlacedBone, grid: Grid, scanner: Scanner, subject: Subject) -> bool:
    """Return whether a box round a bone lies inside the field, which is convex."""
    low, high = bounds_in_body_mm(placed)
    reach = subject.warp.largest_mm + _TRUTH_STEP_MM
    return bool(in_field(grid, scanner, box_corners(low - reach, high + reach)).all())


def _truth_lattice(centers_mm: np.ndarray) -> Grid:
    low, high = centers_mm.min(axis=0) - 90.3, centers_mm.max(axis=0) + 90.0
    x, y, z = (int(n) for n in np.ceil((high - low) / _TRUTH_STEP_MM))
    return Grid.from_axes((z, y, x), (_TRUTH_STEP_MM,) * 3, (float(low[0]), float(low[1]), float(high[2])))


def _stream(seed: int, which: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(which,)))
