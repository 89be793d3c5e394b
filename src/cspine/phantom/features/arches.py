"""Arches and a dens that never closed: gaps with rounded edges that have a cortex of their own."""

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Ellipsoid, Solid, Vector
from cspine.phantom.features.alter import Feature
from cspine.phantom.features.measure import Landmarks, dens_base_z, ring_at
from cspine.phantom.skeleton import Bone

POSTERIOR_DEG, ANTERIOR_DEG = 0.0, 180.0
_ROUND = 5.0  # exponent of the tool: a slab with rounded edges


def ring_cleft(bone: Bone, angle_deg: float, gap_mm: float, slant_deg: float) -> Feature:
    """Return a gap in the ring of C1.

    Parameters
    ----------
    angle_deg
        Where: 0 behind, 90 left, 180 in front.
    gap_mm
        Width between the cortices.
    slant_deg
        How far the gap leans from the radial direction, in the axial plane.
    """
    marks_z = 0.5 * float(bone.bounds_mm[0, 2] + bone.bounds_mm[1, 2])
    height = _height_of_ring(bone, angle_deg, marks_z)
    middle, thick = ring_at(bone, angle_deg, height)
    turn = np.radians(angle_deg + slant_deg)
    tangent = (float(np.cos(turn)), -float(np.sin(turn)), 0.0)
    radii = (gap_mm / 2, thick / 2 + 3.5, 9.0)
    tool = Ellipsoid(middle, radii, ((0.0, 0.0, 1.0), tangent), _ROUND)
    return Feature(Vertebra.C1, removed=(tool,))


def lamina_cleft(marks: Landmarks, gap_mm: float, offset_mm: float) -> Feature:
    """Return a gap in the arch of C2 … C7 near the midline: both laminae end free, the spine stays on one of them.

    Parameters
    ----------
    offset_mm
        Of the gap from the midline, to the left.
    """
    side = 1.0 if offset_mm >= 0 else -1.0
    x = side * max(abs(offset_mm), gap_mm / 2 + 2.2)
    at: Vector = (x, marks.arch_y + marks.lamina_mm / 2, marks.arch_z)
    lean = ((0.0, 0.0, 1.0), (1.0, -0.25 * side, 0.0))
    tool = Ellipsoid(at, (gap_mm / 2, marks.lamina_mm / 2 + 4.0, 13.0), lean, _ROUND)
    return Feature(marks.vertebra, removed=(tool,))


def separate_dens(bone: Bone, marks: Landmarks, gap_mm: float) -> Feature:
    """Return C2 with its dens as an ossicle: a wide smooth gap at the base, the tip smaller and round."""
    base = dens_base_z(bone, marks)
    y = marks.middle_y
    gap_z = base + gap_mm / 2
    slab = Ellipsoid((0.0, y, gap_z), (8.2, 10.0, gap_mm / 2), exponent=3.0)
    # What is left of the dens becomes a ball: a ring is taken off its lower end.
    ends: tuple[Solid, ...] = tuple(
        Ellipsoid((s * 5.2, y, gap_z + gap_mm / 2 + 0.5), (2.2, 8.0, 2.6)) for s in (1.0, -1.0)
    )
    return Feature(Vertebra.C2, removed=(slab, *ends))


def thick_anterior_arch(marks: Landmarks) -> Feature:
    """Return the large front arch that C1 has above an os odontoideum."""
    at = (0.0, (marks.front_y + marks.back_y) / 2 - 0.8, marks.arch_z + 0.5)
    return Feature(Vertebra.C1, added=(Ellipsoid(at, (6.0, 3.8, 6.4)),))


def _height_of_ring(bone: Bone, angle_deg: float, usual: float) -> float:
    """Return the height at which the ring is met in a direction: the middle of those where it is."""
    turn = np.radians(angle_deg)
    way = np.arange(8.0, 32.0, 0.5)
    heights = np.arange(bone.bounds_mm[0, 2], bone.bounds_mm[1, 2], 0.5)
    x, y = np.sin(turn) * way, np.cos(turn) * way
    points = np.stack([*np.broadcast_arrays(x[None], y[None], heights[:, None])], axis=-1).reshape(-1, 3)
    met = (bone.distance_mm(points.astype(np.float32)) < 0).reshape(len(heights), len(way)).any(axis=1)
    return float(heights[met].mean()) if met.any() else usual


__all__ = ["ANTERIOR_DEG", "POSTERIOR_DEG", "lamina_cleft", "ring_cleft", "separate_dens", "thick_anterior_arch"]
