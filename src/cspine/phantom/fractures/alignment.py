"""What a fracture does to the spine above it: vertebrae that slide, tip or sink with the broken one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra


@dataclass(frozen=True, eq=False)
class Carried:
    """A rigid motion of part of the spine.

    Attributes
    ----------
    vertebra
        The fractured level.
    itself
        Whether it moves too, or only what is above it.
    move
        4×4 in the frame of that vertebra.
    """

    vertebra: Vertebra
    itself: bool
    move: np.ndarray


def displaced(frames: dict[Vertebra, np.ndarray], motions: Sequence[Carried]) -> dict[Vertebra, np.ndarray]:
    """Return own frame → body of every vertebra after all motions, the lowest first."""
    moved = dict(frames)
    for carried in sorted(motions, key=lambda c: -c.vertebra):
        frame = moved[carried.vertebra]
        in_body = frame @ carried.move @ np.linalg.inv(frame)
        for vertebra, before in moved.items():
            if vertebra < carried.vertebra or (carried.itself and vertebra == carried.vertebra):
                moved[vertebra] = in_body @ before
    return moved


__all__ = ["Carried", "displaced"]
