"""The contract between anatomy sources, soft tissue and rendering: bones as signed distances, placed in a body.

Frames
------
Every bone lives in its *own frame*, in mm, axes as LPS in the neutral upright pose: x to the left, y to the back,
z to the head. Origins: the center of the vertebral body for C2 and below (C2: of the body below the dens), the
center of the ring for C1. Skull and mandible share the frame of C1; hyoid and laryngeal cartilages that of C4;
first ribs, clavicles and shoulder blades that of T1; other ribs that of their vertebra.
The *body frame* is LPS mm as well; `Skeleton.frames` maps each vertebra's own frame into it.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.inlay import Inlay


class Bone(Protocol):
    """A rigid bone or cartilage as a signed distance.

    Attributes
    ----------
    name
        Such as ``"C3"``, ``"skull"``, ``"rib1-left"``.
    vertebra
        The vertebra that it is, or ``None`` for other bones.
    bounds_mm
        (2, 3): minimum and maximum (x, y, z) of the surface in the own frame.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class

    @property
    def vertebra(self) -> Vertebra | None: ...  # noqa: D102 - see the class

    @property
    def bounds_mm(self) -> np.ndarray: ...  # noqa: D102 - see the class

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return float32 (N,) for points (N, 3) in the own frame: negative inside, true to 0.3 mm within 3 mm."""
        ...


@dataclass(frozen=True, eq=False)
class PlacedBone:
    """A bone in the body.

    Attributes
    ----------
    to_body
        4×4: homogeneous own frame → body frame; rotation, translation and mild scaling.
    cortex_mm, cortex_hu, cancellous_hu
        Thickness of the cortical shell and mean values of shell and inside.
    inlays
        Other material inside the bone, in its own frame.
    usual
        The bone before anything was added to it or taken away; soft tissue is hung on this one. ``None``: the same.
    """

    bone: Bone
    to_body: np.ndarray
    cortex_mm: float
    cortex_hu: float
    cancellous_hu: float
    inlays: tuple[Inlay, ...] = ()
    usual: Bone | None = None


def mean_scale(placed: PlacedBone) -> float:
    """Return the mean factor from own mm to body mm."""
    return float(np.cbrt(abs(np.linalg.det(placed.to_body[:3, :3]))))


@dataclass(frozen=True, eq=False)
class Skeleton:
    """All bones of one phantom.

    Attributes
    ----------
    frames
        4×4 own frame → body frame of every vertebra C1 … T-something, also of those without a bone.
    scale
        Size relative to an average adult (1.0).
    """

    bones: tuple[PlacedBone, ...]
    frames: dict[Vertebra, np.ndarray]
    scale: float
