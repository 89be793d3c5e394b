"""A vertebra at which something is to be made: its bone, its measures, how much of it, whose."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra
from cspine.phantom.anatomy import Anatomy
from cspine.phantom.features.measure import Landmarks, landmarks
from cspine.phantom.skeleton import Bone


class Measured:
    """The vertebrae of one person with their landmarks, measured when they are first asked for."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self._marks: dict[Vertebra, Landmarks] = {}

    def marks(self, vertebra: Vertebra) -> Landmarks:
        """Return the landmarks of a vertebra C1 … T8."""
        if vertebra not in self._marks:
            self._marks[vertebra] = landmarks(self.anatomy.vertebrae[vertebra])
        return self._marks[vertebra]


@dataclass(frozen=True, eq=False)
class Site:
    """Where, how much and whose.

    Attributes
    ----------
    size
        0 … 1, from the severity.
    age
        In years.
    """

    measured: Measured
    vertebra: Vertebra
    size: float
    age: float
    rng: np.random.Generator

    @property
    def marks(self) -> Landmarks:
        """Landmarks of the vertebra."""
        return self.measured.marks(self.vertebra)

    @property
    def bone(self) -> Bone:
        """The vertebra as it usually is."""
        return self.measured.anatomy.vertebrae[self.vertebra]

    def between(self, small: float, large: float) -> float:
        """Return a length that grows with the size, from that of severity 1 to that of severity 5."""
        return small + (large - small) * self.size

    def side(self) -> float:
        """Draw 1 for left or −1 for right."""
        return 1.0 if self.rng.random() < 0.5 else -1.0


__all__ = ["Measured", "Site"]
