"""One person in one posture, before any scanner: everything that a rendering needs."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.body import Body
from cspine.phantom.skeleton import Skeleton
from cspine.phantom.warp import Warp


@dataclass(frozen=True, eq=False)
class Subject:
    """A posed person.

    Attributes
    ----------
    warp
        Smooth deformation, image → body frame.
    tissue_seed
        Soft tissue and bone texture are drawn from this, the same on every grid.
    fillings
        Share of the teeth that is metal, 0 … 1.
    """

    skeleton: Skeleton
    body: Body
    warp: Warp
    tissue_seed: int
    fillings: float = 0.0

    def rng(self) -> np.random.Generator:
        """Return a fresh generator for soft tissue and texture."""
        return np.random.default_rng(self.tissue_seed)

    @property
    def centers_lps_mm(self) -> dict[Vertebra, tuple[float, float, float]]:
        """Image places of the own-frame origins of C1 … T12: bodies, and the ring of C1."""
        frames = self.skeleton.frames
        image = self.warp.to_image(np.stack([frame[:3, 3] for frame in frames.values()])).tolist()
        return {v: (x, y, z) for v, (x, y, z) in zip(frames, image, strict=True)}
