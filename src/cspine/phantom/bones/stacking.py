"""How the vertebrae fit together in the neutral posture: offsets of their frames, and the facet joints between them.

Neutral stacking is straight: no rotation between levels, posterior walls of the bodies in one line, healthy discs.
Lordosis up to about 4° a level, applied about the disc centers, keeps the joints open.
"""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.bones.primitives import Vector
from cspine.phantom.bones.sizes import VertebraSize

JOINT_GAP_MM = 1.5
OCCIPITAL_GAP_MM = 2.0
DENS_GAP_MM = 1.6
DENS_TIP_ABOVE_C1_MM = 6.5
ATLANTOAXIAL_SLOPE_DEG = 25.0


@dataclass(frozen=True)
class FacetJoint:
    """A pair of facet joints seen from one vertebra.

    Attributes
    ----------
    x, y, z
        Center of the left joint in the own frame; the right one mirrors it.
    angle_deg
        Slope from the horizontal; the lower facet faces up and back.
    """

    x: float
    y: float
    z: float
    angle_deg: float

    def facet(self, side_mm: float) -> Vector:
        """Return the center moved by `side_mm` along the normal, up and back."""
        n = self.normal
        return self.x + side_mm * n[0], self.y + side_mm * n[1], self.z + side_mm * n[2]

    @property
    def normal(self) -> Vector:
        """Unit normal, up and back."""
        angle = np.deg2rad(self.angle_deg)
        return 0.0, float(np.sin(angle)), float(np.cos(angle))


def neutral_offset_mm(upper: VertebraSize, lower: VertebraSize) -> Vector:
    """Return the origin of the lower vertebra's frame in the frame of the upper one, without rotation."""
    if upper.vertebra is Vertebra.C1:
        return c1_to_c2_offset_mm(upper, lower)
    back = (upper.body_depth - lower.body_depth) / 2
    return 0.0, back, -(upper.height + lower.height) / 2 - upper.disc_below


def c1_to_c2_offset_mm(c1: VertebraSize, c2: VertebraSize) -> Vector:
    """Return the origin of C2's frame in that of C1: the dens stands `DENS_GAP_MM` behind the anterior arch."""
    dens_front = -c1.canal_depth / 2 + DENS_GAP_MM
    y = dens_front + c2.dens_depth / 2 - dens_center_y_mm(c2)
    return 0.0, y, DENS_TIP_ABOVE_C1_MM - (c2.height / 2 + c2.dens_height)


def dens_center_y_mm(c2: VertebraSize) -> float:
    """Return where the middle of the dens lies in C2's frame; it rises from the middle of the body."""
    return -0.04 * c2.body_depth


def joint_below(upper: VertebraSize) -> FacetJoint:
    """Return the facet joint below a vertebra C2 … T8, in its own frame."""
    y = upper.body_depth / 2 + upper.joint_y
    return FacetJoint(upper.joint_x, y, -(upper.height + upper.disc_below) / 2, upper.joint_angle_deg)


def joint_above(upper: VertebraSize, lower: VertebraSize) -> FacetJoint:
    """Return the joint between two vertebrae in the frame of the lower one."""
    y = lower.body_depth / 2 + upper.joint_y
    return FacetJoint(upper.joint_x, y, (lower.height + upper.disc_below) / 2, upper.joint_angle_deg)


def atlantoaxial_facet(c2: VertebraSize) -> tuple[Vector, Vector]:
    """Return center and outward normal of C2's left superior facet: it faces up and to the side."""
    slope = np.deg2rad(ATLANTOAXIAL_SLOPE_DEG)
    center = 0.94 * c2.joint_x, 0.4, c2.height / 2 - 3.0
    return center, (float(np.sin(slope)), 0.0, float(np.cos(slope)))


def condyle(c1: VertebraSize) -> tuple[Vector, Vector]:
    """Return center and radii (across, along, vertical) of the left occipital condyle in C1's frame."""
    k = c1.total_width / 73.4
    return (15.2 * k, -4.6 * k, 10.4 * k), (8.2 * k, 12.0 * k, 9.4 * k)


CONDYLE_AXES: tuple[Vector, Vector] = ((0.0, 0.0, 1.0), (1.0, -0.42, 0.0))
"""Vertical axis and across-axis of the left condyle: its long axis converges towards the front."""
