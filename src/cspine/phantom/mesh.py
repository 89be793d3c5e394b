"""Closed surfaces (OBJ) become signed distances on a lattice, with NumPy and SciPy alone.

The sign comes from oriented crossings of lattice lines with the surface along all three axes, which a few holes and
overlapping shells do not disturb; the size from the triangle of the nearest surface sample.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from cspine.domain import ConfigError, Vertebra

LATTICE_MM = 0.6
MARGIN_MM = 3.0
SAMPLE_MM = 0.45
EXACT_MM = 2.2
# Lattice lines are moved off the vertices, which scanners' meshes like to put on round numbers.
_JITTER = np.array([0.137, 0.2718, 0.31415])
_VOTES_FOR_INSIDE = 4


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh: vertices (V, 3) in mm, faces (F, 3) of vertex numbers."""

    vertices_mm: np.ndarray
    faces: np.ndarray

    def moved(self, matrix: np.ndarray) -> "Surface":
        """Return the surface under a homogeneous 4×4 map; reflections keep the faces' order."""
        return Surface(self.vertices_mm @ matrix[:3, :3].T + matrix[:3, 3], self.faces)

    @property
    def triangles_mm(self) -> np.ndarray:
        """(F, 3, 3): corners of every face."""
        corners: np.ndarray = self.vertices_mm[self.faces]
        return corners

    def outward(self) -> "Surface":
        """Return the surface with its faces oriented so that the enclosed volume is positive."""
        a, b, c = np.moveaxis(self.triangles_mm, 1, 0)
        volume = np.einsum("ij,ij->", a - self.vertices_mm.mean(axis=0), np.cross(b - a, c - a))
        return self if volume > 0 else Surface(self.vertices_mm, self.faces[:, ::-1])


def read_obj(path: Path) -> Surface:
    """Read vertices and faces of a Wavefront OBJ file; polygons become fans.

    Raises
    ------
    ConfigError
        The file is absent or holds no faces.
    """
    vertices: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: the mesh cannot be read: {error.strerror}") from error
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "v":
            vertices.append([float(x) for x in rest.split()[:3]])
        elif word == "f":
            corners = [int(x.split("/")[0]) - 1 for x in rest.split()]
            faces.extend((corners[0], b, c) for b, c in pairwise(corners[1:]))
    if not faces:
        raise ConfigError(f"{path}: no faces in this OBJ file; give a surface mesh")
    return Surface(np.array(vertices), np.array(faces))


@dataclass(frozen=True, eq=False)
class DistanceLattice:
    """Signed distance on a cubic lattice, linear between its nodes.

    Attributes
    ----------
    origin_mm
        (x, y, z) of node (0, 0, 0).
    pitch_mm
        Distance of neighbouring nodes.
    values_mm
        float32 (x, y, z), negative inside.
    """

    origin_mm: np.ndarray
    pitch_mm: float
    values_mm: np.ndarray

    def at(self, points_mm: np.ndarray) -> np.ndarray:
        """Return float32 (N,) at points (N, 3); beyond the lattice the way to its box is added."""
        points = np.asarray(points_mm, dtype=np.float32)
        nearest = np.empty((3, len(points)), dtype=np.float32)
        beyond = np.zeros(len(points), dtype=np.float32)
        for axis, last in enumerate(np.array(self.values_mm.shape, dtype=np.float32) - 1):
            place = (points[:, axis] - np.float32(self.origin_mm[axis])) / np.float32(self.pitch_mm)
            np.clip(place, 0, last, out=nearest[axis])
            place -= nearest[axis]
            beyond += place * place
        inside = np.empty(len(points), dtype=np.float32)
        ndimage.map_coordinates(self.values_mm, nearest, output=inside, order=1, mode="nearest", prefilter=False)
        np.sqrt(beyond, out=beyond)
        result: np.ndarray = inside + beyond * np.float32(self.pitch_mm)
        return result


@dataclass(frozen=True, eq=False)
class LatticeBone:
    """A `Bone` whose signed distance is tabulated on a lattice."""

    name: str
    vertebra: Vertebra | None
    lattice: DistanceLattice
    bounds_mm: np.ndarray

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return float32 (N,) for points (N, 3) in the own frame, negative inside."""
        return self.lattice.at(points_mm)


def bone_of(surface: Surface, name: str, vertebra: Vertebra | None, pitch_mm: float = LATTICE_MM) -> LatticeBone:
    """Tabulate the signed distance of a surface given in the bone's own frame."""
    bounds = np.stack([surface.vertices_mm.min(axis=0), surface.vertices_mm.max(axis=0)])
    return LatticeBone(name, vertebra, distance_lattice(surface, pitch_mm), bounds)


def distance_lattice(surface: Surface, pitch_mm: float = LATTICE_MM) -> DistanceLattice:
    """Tabulate the signed distance within `MARGIN_MM` round a surface.

    Exact to about a tenth of the pitch within `EXACT_MM` of the surface, by distance transform beyond.
    """
    surface = surface.outward()
    low = surface.vertices_mm.min(axis=0) - MARGIN_MM - _JITTER * pitch_mm
    shape = np.ceil((surface.vertices_mm.max(axis=0) + MARGIN_MM - low) / pitch_mm).astype(int) + 1
    inside = inside_of(surface, low, pitch_mm, (int(shape[0]), int(shape[1]), int(shape[2])))
    outer = ndimage.distance_transform_edt(~inside).astype(np.float32)
    inner = ndimage.distance_transform_edt(inside).astype(np.float32)
    signed = (outer - inner - np.where(inside, -0.5, 0.5).astype(np.float32)) * np.float32(pitch_mm)
    near = np.argwhere(np.abs(signed) < EXACT_MM)
    exact = _unsigned_distance(surface, near * pitch_mm + low)
    index = tuple(near.T)
    signed[index] = np.where(inside[index], -exact, exact)
    return DistanceLattice(low, pitch_mm, signed)


def inside_of(surface: Surface, origin_mm: np.ndarray, pitch_mm: float, shape: tuple[int, int, int]) -> np.ndarray:
    """Return bool (x, y, z): which lattice nodes a surface with outward faces encloses."""
    corners = (_split_long_edges(surface.triangles_mm, 3 * pitch_mm) - origin_mm) / pitch_mm
    votes = np.zeros(shape, dtype=np.int8)
    for axis in range(3):
        crossings = _crossings(corners, axis, shape)
        from_low = np.cumsum(crossings, axis=axis, dtype=np.int16)
        from_high = from_low - from_low.take([-1], axis=axis)
        votes += from_low > 0
        votes += from_high > 0
    return votes >= _VOTES_FOR_INSIDE


def _split_long_edges(triangles: np.ndarray, limit_mm: float) -> np.ndarray:
    """Halve all edges of triangles with an edge above the limit until none is left."""
    done = []
    while len(triangles):
        edges = np.linalg.norm(triangles - np.roll(triangles, -1, axis=1), axis=2).max(axis=1)
        done.append(triangles[edges <= limit_mm])
        a, b, c = np.moveaxis(triangles[edges > limit_mm], 1, 0)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(q, axis=1) for q in quarters])
    return np.concatenate(done)


def _crossings(corners: np.ndarray, axis: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Count oriented crossings (entering +1) of lattice lines along `axis`, at the first node behind each."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    u, v, depth = corners[..., first], corners[..., second], corners[..., axis]
    low_u, low_v = np.ceil(u.min(axis=1)).astype(int), np.ceil(v.min(axis=1)).astype(int)
    spread = max(int((u.max(axis=1) - low_u).max()), int((v.max(axis=1) - low_v).max())) + 1
    area = (u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0])
    solid = np.abs(area) > 1e-12
    u, v, depth, low_u, low_v, area = u[solid], v[solid], depth[solid], low_u[solid], low_v[solid], area[solid]
    counts = np.zeros(shape, dtype=np.int16)
    for step_u in range(spread):
        for step_v in range(spread):
            node_u, node_v = low_u + step_u, low_v + step_v
            weight = _barycentric(u, v, area, node_u, node_v)
            hit = (weight >= 0).all(axis=0)
            level = np.ceil((weight[:, hit] * depth[hit].T).sum(axis=0)).astype(int)
            place = [np.empty(0, int)] * 3
            place[axis] = np.clip(level, 0, shape[axis] - 1)
            place[first], place[second] = node_u[hit], node_v[hit]
            # An outward face whose projected area is positive looks up the axis: the line leaves there.
            np.add.at(counts, tuple(place), np.where(area[hit] > 0, -1, 1).astype(np.int16))
    return counts


def _barycentric(u: np.ndarray, v: np.ndarray, area: np.ndarray, node_u: np.ndarray, node_v: np.ndarray) -> np.ndarray:
    """Return (3, F) weights of the projected triangles' corners at one node each."""
    du, dv = u - node_u[:, None], v - node_v[:, None]
    return np.stack(
        [
            (du[:, 1] * dv[:, 2] - du[:, 2] * dv[:, 1]) / area,
            (du[:, 2] * dv[:, 0] - du[:, 0] * dv[:, 2]) / area,
            (du[:, 0] * dv[:, 1] - du[:, 1] * dv[:, 0]) / area,
        ]
    )


def _unsigned_distance(surface: Surface, points_mm: np.ndarray) -> np.ndarray:
    """Return the distance of points (N, 3) to the triangle of their nearest surface sample."""
    triangles = _split_long_edges(surface.triangles_mm, SAMPLE_MM * 2)
    samples = np.concatenate([triangles.mean(axis=1), *(triangles[:, i] for i in range(3))])
    owner = np.tile(np.arange(len(triangles)), 4)
    _, nearest = cKDTree(samples, balanced_tree=False).query(points_mm, workers=4)
    return _triangle_distance(points_mm, triangles[owner[nearest]]).astype(np.float32)


def _triangle_distance(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the distance of point i to triangle i: to its plane above the face, to its edges elsewhere."""
    a, b, c = np.moveaxis(triangles, 1, 0)
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    unit = normal / np.maximum(length, 1e-12)[:, None]
    height = np.einsum("ij,ij->i", points - a, unit)
    foot = points - height[:, None] * unit
    over = length > 1e-12
    edge = np.full(len(points), np.inf)
    for p, q in ((a, b), (b, c), (c, a)):
        over &= np.einsum("ij,ij->i", np.cross(q - p, foot - p), unit) >= 0
        edge = np.minimum(edge, _segment_distance(points, p, q))
    return np.where(over, np.abs(height), edge)


def _segment_distance(points: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    along = q - p
    square = np.maximum(np.einsum("ij,ij->i", along, along), 1e-12)
    part = np.clip(np.einsum("ij,ij->i", points - p, along) / square, 0, 1)
    distance: np.ndarray = np.linalg.norm(points - p - part[:, None] * along, axis=1)
    return distance
