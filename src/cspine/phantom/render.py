"""Paint a skeleton onto a grid: bone labels, tissue classes for training, Hounsfield units for the scanner."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, special

from cspine.domain import Grid, LabelMap, Vertebra, resample
from cspine.phantom.density import cortex_at
from cspine.phantom.fractures.broken import BrokenBone, Envelope
from cspine.phantom.fractures.swelling import swollen
from cspine.phantom.inlay import with_inlays
from cspine.phantom.joints import JointedBone
from cspine.phantom.raster import Hits, Slab, over_slabs
from cspine.phantom.skeleton import Bone, PlacedBone, mean_scale
from cspine.phantom.soft_tissue import paint_body, paint_tissue
from cspine.phantom.subject import Subject
from cspine.phantom.tissue import Tissue
from cspine.phantom.warp import Warp

# Codes of bones that are no vertebra, above those of `Vertebra`; by the beginning of the name.
SKULL, JAW, RIB, GIRDLE, THROAT = 30, 31, 32, 33, 34
_OTHER_BONE = 35
_CODES: tuple[tuple[str, int], ...] = (
    ("skull", SKULL),
    ("jaw", JAW),
    ("mandible", JAW),
    ("tooth", JAW),
    ("teeth", JAW),
    ("rib", RIB),
    ("clavicle", GIRDLE),
    ("scapula", GIRDLE),
    ("humerus", GIRDLE),
    ("hyoid", THROAT),
    ("thyroid", THROAT),
    ("cricoid", THROAT),
)
_CARTILAGE = ("thyroid", "cricoid", "arytenoid")
_TEETH = ("tooth", "teeth")
_METAL = ("metal",)

_BODY_STEP_MM = 0.8  # soft tissue is painted at this step and interpolated: a scanner blurs more
_WARP_STEP_MM = 10.0
_TEXTURE_NODES = 64
_BROAD_MM, _BLOB_MM = 2.1, 1.1  # uneven density, dental fillings
_TRABECULAE_MM = (0.33, 0.33, 0.62)  # along x, y, z of the own frame: struts stand upright
_METAL_HU = 9000.0
_COMPACTED_HU = np.float32(260.0)  # bone pushed into bone


@dataclass(frozen=True, eq=False)
class TissueMap:
    """What fills every voxel, for training with random intensities.

    Attributes
    ----------
    tissue
        uint8 `Tissue`, (slice, row, column).
    bones
        uint8: value of `Vertebra`, or `SKULL`, `JAW`, `RIB`, `GIRDLE`, `THROAT` …; 0 where no bone is.
    centers_lps_mm
        Origin of the own frame of every vertebra C1 … T12, in view or not.
    """

    grid: Grid
    tissue: np.ndarray
    bones: np.ndarray
    centers_lps_mm: dict[Vertebra, tuple[float, float, float]]


def bone_code(bone: Bone) -> int:
    """Return the value of a bone in label arrays."""
    if bone.vertebra is not None:
        return int(bone.vertebra)
    return next((code for prefix, code in _CODES if bone.name.startswith(prefix)), _OTHER_BONE)


def render_tissue(subject: Subject, grid: Grid, threads: int = 1) -> TissueMap:
    """Paint tissue classes and bone labels on a grid of 1–3 mm."""
    tissue = _warped_tissue(subject, grid)
    bones = np.zeros(grid.shape, dtype=np.uint8)
    thinnest = 0.5 * min(grid.spacing_mm)

    def work(slab: Slab) -> None:
        labels, classes = bones[slab.slices].reshape(-1), tissue[slab.slices].reshape(-1)
        nearest = np.zeros(labels.size, dtype=np.float32)
        for placed in subject.bones:
            for hits in slab.hits(placed, 0.0):
                deepest = hits.distance_mm < nearest[hits.flat]
                flat, distance = hits.flat[deepest], hits.distance_mm[deepest]
                nearest[flat] = distance
                labels[flat] = bone_code(placed.bone)
                own = hits.own_mm[deepest]
                classes[flat] = _bone_classes(placed, depth_mm(placed, own, distance), own, thinnest)

    over_slabs(grid, subject.warp, work, threads)
    return TissueMap(grid, tissue, bones, subject.centers_lps_mm)


def render_labels(subject: Subject, grid: Grid, threads: int = 4) -> LabelMap:
    """Label the voxels whose centers lie in a vertebra."""
    labels = np.zeros(grid.shape, dtype=np.uint8)
    vertebrae = [p for p in subject.bones if p.bone.vertebra is not None]

    def work(slab: Slab) -> None:
        flat_labels = labels[slab.slices].reshape(-1)
        nearest = np.zeros(flat_labels.size, dtype=np.float32)
        for placed in vertebrae:
            for hits in slab.hits(placed, 0.0):
                deepest = hits.distance_mm < nearest[hits.flat]
                flat = hits.flat[deepest]
                nearest[flat] = hits.distance_mm[deepest]
                flat_labels[flat] = bone_code(placed.bone)

    over_slabs(grid, subject.warp, work, threads)
    return LabelMap(grid, labels)


def render_hu(subject: Subject, grid: Grid, threads: int = 4) -> np.ndarray:
    """Paint soft tissue and bone in HU, float32 (slice, row, column), edges smoothed within a voxel; no noise."""
    rng = subject.rng()
    hu = _warped_body(subject, grid, rng, threads)
    paint_bones_inplace(hu, subject, grid, rng, threads)
    return hu


def paint_bones_inplace(hu: np.ndarray, subject: Subject, grid: Grid, rng: np.random.Generator, threads: int) -> None:
    """Paint all bones over soft tissue in HU (slice, row, column); `rng` draws their texture."""
    textures = [_texture(rng) for _ in range(2)]
    width = float(np.mean(grid.spacing_mm))
    fillings = subject.fillings
    metal_above = special.ndtri(1 - fillings) if fillings else np.inf

    def work(slab: Slab) -> None:
        flat_hu = hu[slab.slices].reshape(-1)
        for placed in subject.bones:
            if isinstance(placed.bone, BrokenBone):
                _paint_broken(flat_hu, placed, slab, textures, width)
                continue
            for hits in slab.hits(placed, width / 2):
                cover = np.clip(0.5 - hits.distance_mm / width, 0, 1)
                bone = _bone_hu(placed, hits, textures, width)
                if fillings and placed.bone.name.startswith(_TEETH):
                    bone[_texture_at(textures[1], hits, _BLOB_MM) > metal_above] = _METAL_HU
                flat_hu[hits.flat] += cover * (bone - flat_hu[hits.flat])

    over_slabs(grid, subject.warp, work, threads)


def _paint_broken(
    flat_hu: np.ndarray, placed: PlacedBone, slab: Slab, textures: list[np.ndarray], width_mm: float
) -> None:
    """Paint the pieces of a broken bone, what fills its gaps, and brighter bone where pieces meet."""
    broken = placed.bone
    assert isinstance(broken, BrokenBone)
    scale, whole = mean_scale(placed), replace(placed, bone=broken.bone)
    width = width_mm / scale
    for hits in slab.hits(replace(placed, bone=Envelope(broken)), width_mm / 2):
        cover, bone = np.zeros(len(hits.flat), np.float32), np.zeros(len(hits.flat), np.float32)
        for share in broken.shares(hits.own_mm, width):
            source = Hits(hits.flat[share.which], share.distance_mm * np.float32(scale), share.source_mm)
            bone[share.which] += share.cover * (_bone_hu(whole, source, textures, width_mm) + share.harder_hu)
            cover[share.which] += share.cover
        was, filler = broken.gap_filling(hits.own_mm, width)
        bone /= np.maximum(cover, 1e-6)
        bone += _COMPACTED_HU * np.clip(cover - 1, 0, 1)
        cover = np.minimum(cover, 1)
        left = np.clip(was - cover, 0, 1)
        soft = flat_hu[hits.flat]
        flat_hu[hits.flat] = cover * bone + left * filler + (1 - cover - left) * soft


def _bone_classes(placed: PlacedBone, depth: np.ndarray, own_mm: np.ndarray, thinnest_mm: float) -> np.ndarray | int:
    name = placed.bone.name
    if name.startswith(_CARTILAGE):
        return int(Tissue.CARTILAGE)
    if name.startswith(_TEETH):
        return int(Tissue.TOOTH)
    if name.startswith(_METAL):
        return int(Tissue.METAL)
    thickness, _ = cortex_at(placed, own_mm)
    shell = depth < np.maximum(thickness, thinnest_mm)
    return np.where(shell, np.uint8(Tissue.CORTEX), np.uint8(Tissue.CANCELLOUS))


def _bone_hu(placed: PlacedBone, hits: Hits, textures: list[np.ndarray], width_mm: float) -> np.ndarray:
    """Return HU of bone: an uneven shell, spongy bone that thins out inward, trabeculae; metal is even."""
    if placed.bone.name.startswith(_METAL):
        return np.full(len(hits.flat), _METAL_HU, dtype=np.float32)
    depth = depth_mm(placed, hits.own_mm, hits.distance_mm)
    fine = _texture_at(textures[0], hits, _TRABECULAE_MM)
    broad = _texture_at(textures[1], hits, _BROAD_MM)
    thickness, hard = cortex_at(placed, hits.own_mm)
    thickness = thickness * (1 + 0.25 * broad)
    shell = np.clip(0.5 + (thickness - depth) / width_mm, 0, 1)
    # Trabeculae are denser under the cortex; marrow spaces between them.
    dense = np.exp(-np.maximum(depth - thickness, 0) / 1.6)
    spongy = placed.cancellous_hu * (0.9 + 0.5 * dense + 0.2 * broad + 0.2 * fine)
    cortex = hard * (1 + 0.06 * broad + 0.03 * fine)
    mixed: np.ndarray = spongy + shell * (cortex - spongy)
    return with_inlays(placed.inlays, hits.own_mm, mixed.astype(np.float32))


def depth_mm(placed: PlacedBone, own_mm: np.ndarray, distance_mm: np.ndarray) -> np.ndarray:
    """Return how deep places (N, 3) of the own frame lie below the free surface of a bone, from their distances."""
    if isinstance(placed.bone, JointedBone):
        return placed.bone.depth_mm(own_mm, distance_mm)
    return -distance_mm


def _texture_at(texture: np.ndarray, hits: Hits, pitch_mm: float | tuple[float, float, float]) -> np.ndarray:
    """Return float32 (N,) values of a tiling texture at the places of hits."""
    place = np.floor(hits.own_mm / np.asarray(pitch_mm, dtype=np.float32)).astype(np.int32) % _TEXTURE_NODES
    values: np.ndarray = texture[tuple(place.T)]
    return values


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Return float32 correlated noise on a cube that tiles space; mean 0, standard deviation 1."""
    noise = rng.normal(size=(_TEXTURE_NODES,) * 3).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, 1.2, mode="wrap")
    scaled: np.ndarray = np.clip((smooth - smooth.mean()) / smooth.std(), -2.5, 2.5)
    return scaled


def _warped_tissue(subject: Subject, grid: Grid) -> np.ndarray:
    classes = paint_tissue(subject.skeleton, grid, subject.body, subject.rng())
    if subject.warp.largest_mm == 0:
        return classes
    moved = np.empty(grid.shape, dtype=np.uint8)
    index = _IndexMap(grid, grid, subject.warp)
    for k in range(grid.shape[0]):
        nearest = (np.rint(i).astype(np.int32) for i in index.plane(k))
        z, y, x = (np.clip(i, 0, n - 1) for i, n in zip(nearest, grid.shape, strict=True))
        moved[k] = classes[z, y, x]
    return moved


def _warped_body(subject: Subject, grid: Grid, rng: np.random.Generator, threads: int) -> np.ndarray:
    """Paint soft tissue on a coarser grid, warp it there, and interpolate: a scanner blurs more than the steps."""
    z, y, x = (max(_BODY_STEP_MM, s) for s in grid.spacing_mm)
    coarse = grid.at_spacing((z, y, x))
    background = paint_body(subject.skeleton, coarse, subject.body, rng, threads)
    if subject.warp.largest_mm > 0:
        background = _warped(background, coarse, subject.warp, threads)
    background = swollen(background, coarse, subject.swellings, subject.warp)
    return background if coarse == grid else resample(background, coarse, grid, fill=-1000.0, threads=threads)


def _warped(values: np.ndarray, grid: Grid, warp: Warp, threads: int) -> np.ndarray:
    """Return values (slice, row, column) of the body as the warp lets them be seen on the same grid."""
    moved = np.empty(grid.shape, dtype=np.float32)
    index = _IndexMap(grid, grid, warp)

    def work(slab: Slab) -> None:
        for k in range(slab.slices.start, slab.slices.stop):
            ndimage.map_coordinates(
                values, np.stack(index.plane(k)), output=moved[k], order=1, mode="nearest", prefilter=False
            )

    over_slabs(grid, warp, work, threads)
    return moved


class _IndexMap:
    """Indices of a source grid seen through a warp, plane by plane; the warp is tabulated every few mm."""

    def __init__(self, grid: Grid, source: Grid, warp: Warp) -> None:
        self._shape = grid.shape
        self._matrix = grid.index_map_to(source)
        counts = [max(2, int(extent / _WARP_STEP_MM) + 2) for extent in grid.extent_mm]
        self._knots = [np.linspace(0, n - 1, count) for n, count in zip(grid.shape, counts, strict=True)]
        lattice = np.stack(np.meshgrid(*self._knots, indexing="ij"), axis=-1)
        world = grid.to_world(lattice).reshape(-1, 3)
        moved = source.to_index(warp.to_body(world)) - source.to_index(world)
        self._moved = moved.reshape(*lattice.shape).astype(np.float32)
        self._rows = _between_knots(self._knots[1], grid.shape[1])
        self._columns = _between_knots(self._knots[2], grid.shape[2])

    def plane(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return float32 (row, column) source indices along slice, row and column for slice `k`."""
        at = np.interp(k, self._knots[0], np.arange(len(self._knots[0])))
        low = min(int(at), len(self._knots[0]) - 2)
        knots = self._moved[low] + np.float32(at - low) * (self._moved[low + 1] - self._moved[low])
        # Products of matrices would call for threads of their own, in each of ours.
        row, row_part = self._rows
        by_row = knots[row] + row_part[:, None, None] * (knots[row + 1] - knots[row])
        column, column_part = self._columns
        moved = by_row[:, column] + column_part[None, :, None] * (by_row[:, column + 1] - by_row[:, column])
        rows, columns = (np.arange(n, dtype=np.float32) for n in self._shape[1:])
        planes = []
        for axis in range(3):
            a, b, c, d = (np.float32(v) for v in self._matrix[axis])
            planes.append(moved[..., axis] + (a * k + d + b * rows[:, None]) + c * columns[None, :])
        return planes[0], planes[1], planes[2]


def _between_knots(knots: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the knot below each of 0 … count − 1, and the share of the next one, float32."""
    at = np.interp(np.arange(count), knots, np.arange(len(knots)))
    below = np.minimum(at.astype(int), len(knots) - 2)
    return below, (at - below).astype(np.float32)
