"""One person in one posture, before any scanner: everything that a rendering needs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.body import Body
from cspine.phantom.features.traces import Trace
from cspine.phantom.fractures import PlacedFracture, broken_bones
from cspine.phantom.fractures.swelling import Swelling
from cspine.phantom.skeleton import PlacedBone, Skeleton
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
    fractures
        Of bones of the skeleton, which itself is whole: soft tissue hangs on it.
    traces
        Where mimics are.
    """

    skeleton: Skeleton
    body: Body
    warp: Warp
    tissue_seed: int
    fillings: float = 0.0
    fractures: tuple[PlacedFracture, ...] = ()
    traces: tuple[Trace, ...] = ()

    @cached_property
    def bones(self) -> tuple[PlacedBone, ...]:
        """All bones, broken where they are."""
        return broken_bones(self.skeleton.bones, self.fractures)

    @property
    def swellings(self) -> tuple[Swelling, ...]:
        """Swollen soft tissue in front of fractures."""
        return tuple(fracture.swelling for fracture in self.fractures if fracture.swelling is not None)

    def rng(self) -> np.random.Generator:
        """Return a fresh generator for soft tissue and texture."""
        return np.random.default_rng(self.tissue_seed)

    @property
    def centers_lps_mm(self) -> dict[Vertebra, tuple[float, float, float]]:
        """Image places of the own-frame origins of C1 … T12: bodies, and the ring of C1."""
        frames = self.skeleton.frames
        image = self.warp.to_image(np.stack([frame[:3, 3] for frame in frames.values()])).tolist()
        return {v: (x, y, z) for v, (x, y, z) in zip(frames, image, strict=True)}
