"""A person whose vertebrae are balls: cheap, and every answer is known."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom import Body, Subject
from cspine.phantom.body import Immobilizer, Table
from cspine.phantom.skeleton import PlacedBone, Skeleton
from cspine.phantom.warp import Warp, no_warp

STEP_MM = 18.0


@dataclass(frozen=True, eq=False)
class Ball:
    name: str
    vertebra: Vertebra | None
    radius_mm: float

    @property
    def bounds_mm(self) -> np.ndarray:
        return np.array([[-1.0] * 3, [1.0] * 3]) * self.radius_mm

    def distance_mm(self, points_mm: np.ndarray) -> np.ndarray:
        return (np.linalg.norm(points_mm, axis=1) - self.radius_mm).astype(np.float32)


def straight_frames() -> dict[Vertebra, np.ndarray]:
    """Return frames of C1 … T12 in a straight column, C4 at the origin."""
    frames = {}
    for vertebra in Vertebra:
        frame = np.eye(4)
        frame[2, 3] = STEP_MM * (Vertebra.C4 - vertebra)
        frames[vertebra] = frame
    return frames


def ball_subject(radius_mm: float = 8.0, warp: Warp | None = None) -> Subject:
    frames = straight_frames()
    bones = tuple(
        PlacedBone(Ball(v.name, v, radius_mm), frames[v], 1.0, 1200.0, 300.0) for v in frames if v <= Vertebra.T8
    )
    body = Body(table=Table.NONE, immobilizer=Immobilizer.NONE)
    return Subject(Skeleton(bones, frames, 1.0), body, warp or no_warp(), 7)
