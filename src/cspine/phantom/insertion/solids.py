"""Bones of a scan as signed distances, so that the fracture engine can break them."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cspine.domain import Vertebra
from cspine.phantom.insertion.outline import Outline
from cspine.phantom.mesh import DistanceLattice, LatticeBone
from cspine.phantom.skeleton import PlacedBone

_PITCH_MM = 0.9
_MARGIN_MM = 6.0
_SMOOTH = 0.6  # nodes: takes the steps of voxels off the surface
_NEIGHBOR_PITCH_MM = 1.5


@dataclass(frozen=True, eq=False)
class Solid:
    """One vertebra of a scan.

    Attributes
    ----------
    bone
        Its surface.
    rimmed
        The same with the rim that the scan's blur puts round it, at most halfway to other bone: what an editor has
        to move with the bone.
    rim_mm
        Width of the rim.
    """

    bone: LatticeBone
    rimmed: LatticeBone
    rim_mm: float
    to_world: np.ndarray

    def placed(self, bone: LatticeBone) -> PlacedBone:
        """Return the bone where it is."""
        return PlacedBone(bone, self.to_world, 0.0, 0.0, 0.0)


def solid_of(outline: Outline, to_world: np.ndarray, rim_mm: float) -> Solid:
    """Tabulate the distances of a vertebra in its own frame."""
    inverse = np.linalg.inv(to_world)
    own = outline.grid.to_world(np.argwhere(outline.own)) @ inverse[:3, :3].T + inverse[:3, 3]
    low, high = own.min(axis=0), own.max(axis=0)
    axes = [np.arange(a - _MARGIN_MM, b + _MARGIN_MM, _PITCH_MM) for a, b in zip(low, high, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    index = outline.grid.to_index(nodes.reshape(-1, 3) @ to_world[:3, :3].T + to_world[:3, 3]).T
    mine, others = (_filled(mask, index, nodes.shape[:3]) for mask in (outline.own, outline.other))
    distance = _signed_mm(mine, _PITCH_MM)
    to_others = ndimage.distance_transform_edt(~others).astype(np.float32) * np.float32(_PITCH_MM)
    rimmed = np.maximum(distance - np.float32(rim_mm), (distance - to_others) / 2)
    bounds = np.stack([low, high])
    origin = np.array([axis[0] for axis in axes])
    name = outline.vertebra.name
    solid, wide = (
        LatticeBone(name, outline.vertebra, DistanceLattice(origin, _PITCH_MM, values), grown)
        for values, grown in ((distance, bounds), (rimmed, bounds + np.array([[-rim_mm], [rim_mm]])))
    )
    return Solid(solid, wide, rim_mm, to_world)


def neighbors_of(outline: Outline) -> PlacedBone:
    """Return all other bone near a vertebra as one bone in LPS mm: fragments must not enter it.

    It is named as the next level, for the engine lets fragments heed the neighbors in the spine alone.
    """
    grid = outline.grid
    low, high = (
        grid.to_world(np.array(c)) for c in ((grid.shape[0] - 1, 0, 0), (0, grid.shape[1] - 1, grid.shape[2] - 1))
    )
    axes = [np.arange(a, b, _NEIGHBOR_PITCH_MM) for a, b in zip(low, high, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    index = grid.to_index(nodes.reshape(-1, 3)).T
    inside = _filled(outline.other, index, nodes.shape[:3])
    values = _signed_mm(inside, _NEIGHBOR_PITCH_MM)
    level = Vertebra(outline.vertebra + 1)
    lattice = DistanceLattice(np.array(low), _NEIGHBOR_PITCH_MM, values)
    bone = LatticeBone(f"round {outline.vertebra.name}", level, lattice, np.stack([low, high]))
    return PlacedBone(bone, np.eye(4), 0.0, 0.0, 0.0)


def _filled(mask: np.ndarray, index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    values = ndimage.map_coordinates(mask.astype(np.float32), index, order=1, mode="constant", prefilter=False)
    filled: np.ndarray = values.reshape(shape) > 0.5
    return filled


def _signed_mm(inside: np.ndarray, pitch_mm: float) -> np.ndarray:
    """Return float32 signed distances of a lattice, negative inside."""
    outer, inner = ndimage.distance_transform_edt(~inside), ndimage.distance_transform_edt(inside)
    signed = (outer - inner - np.where(inside, -0.5, 0.5)).astype(np.float32)
    smooth: np.ndarray = ndimage.gaussian_filter(signed, _SMOOTH) * np.float32(pitch_mm)
    return smooth


__all__ = ["Solid", "neighbors_of", "solid_of"]
