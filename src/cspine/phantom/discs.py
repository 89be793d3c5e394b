"""Discs between the vertebrae and how worn they are."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra

# How likely a disc below C2 … T1 is to be narrow in a very worn neck: C5/C6 and C6/C7 first.
_LIKELY = np.array([0.22, 0.5, 0.9, 1.0, 1.0, 0.6, 0.3])
_LOSS_MM = (0.6, 3.0)
_SPUR_PER_LOSS, _LONGEST_SPUR_MM = 0.7, 2.2


@dataclass(frozen=True)
class Discs:
    """Discs of one person.

    Attributes
    ----------
    factor
        Of all heights.
    narrowing_mm
        Loss of height below C2 … T1, about zero for a healthy disc.
    """

    factor: float
    narrowing_mm: tuple[float, ...]

    def loss_below_mm(self, upper: Vertebra) -> float:
        """Return the loss of height below a vertebra; zero where none is given."""
        place = upper - Vertebra.C2
        return self.narrowing_mm[place] if 0 <= place < len(self.narrowing_mm) else 0.0

    def spur_mm(self, vertebra: Vertebra) -> float:
        """Return the length of the osteophytes on a vertebra's rims: those of its more worn disc."""
        loss = max(self.loss_below_mm(vertebra), self.loss_below_mm(Vertebra(max(vertebra - 1, 1))))
        return float(np.clip(_SPUR_PER_LOSS * (loss - _LOSS_MM[0]), 0, _LONGEST_SPUR_MM))


def sample_discs(rng: np.random.Generator, degeneration: float) -> Discs:
    """Draw disc heights for a degeneration of 0 … 1."""
    narrowed = rng.random(7) < _LIKELY * degeneration
    loss = np.where(narrowed, rng.uniform(*_LOSS_MM, 7), rng.normal(0, 0.3, 7).clip(-0.6, 0.6))
    return Discs(float(rng.normal(1, 0.06)), tuple(float(x) for x in loss))
