"""From a severity to amounts: the laws of both families.

With t = (severity − 1) / 4:

========= ======================================== ==================================
amount    family A                                 family B
========= ======================================== ==================================
gap       0.1 mm · (gap₅ / 0.1 mm)^t               0.15 mm + (gap₅ − 0.15 mm) · t
shift     shift₅ · t²                              shift₅ · max(0, (4t − 1) / 3)
turn      turn₅ · t^1.5                            turn₅ · max(0, (4t − 1) / 3)
swelling  swelling₅ · t                            swelling₅ · √t, from severity 2
length    0.6, 0.85, then the whole break          0.75, then the whole break
========= ======================================== ==================================

Amounts at severity 5 (gap₅ …) stand in the table. All but the length vary by ±10 % from fracture to fracture.
"""

from dataclasses import dataclass

import numpy as np

from cspine.phantom.fractures.fracture import Fracture
from cspine.phantom.fractures.kinds import FractureAge
from cspine.phantom.fractures.table import RULES, Rule

_LEAST_GAP_MM = {"A": 0.1, "B": 0.15}
_LENGTH = {"A": (0.6, 0.85, 1.0, 1.0, 1.0), "B": (0.75, 1.0, 1.0, 1.0, 1.0)}
_SPREAD = 0.1
# Share of gap, of displacement and of swelling that is left.
_LEFT = {
    FractureAge.ACUTE: (1.0, 1.0, 1.0),
    FractureAge.SUBACUTE: (1.1, 1.0, 0.5),
    FractureAge.HEALING: (0.8, 0.9, 0.15),
    FractureAge.HEALED: (0.6, 0.6, 0.0),
}


@dataclass(frozen=True)
class Amount:
    """How much of everything one fracture has.

    Attributes
    ----------
    length
        0 … 1, share of the break's reach that is open.
    strength
        0 … 1, t of the laws.
    """

    gap_mm: float
    shift_mm: float
    turn_deg: float
    impaction: float
    swelling_mm: float
    length: float
    strength: float


def amount_of(fracture: Fracture, rng: np.random.Generator) -> Amount:
    """Return the amounts of a fracture; what it overrules is taken as it is."""
    rule, strength = RULES[fracture.type], (fracture.severity - 1) / 4
    spread = rng.uniform(1 - _SPREAD, 1 + _SPREAD, 4)
    gap, shift, turn, swelling = (_LAWS[fracture.family](rule, strength) * spread).tolist()
    open_left, moved_left, swollen_left = _LEFT[fracture.age]
    return Amount(
        gap_mm=_either(fracture.gap_mm, min(gap * open_left, 2.5)),
        shift_mm=_either(fracture.shift_mm, min(shift * moved_left, 6.0)),
        turn_deg=_either(fracture.turn_deg, min(turn * moved_left, 20.0)),
        impaction=_either(fracture.impaction, rule.impaction * (0.4 + 0.6 * strength)),
        swelling_mm=_either(fracture.swelling_mm, swelling * swollen_left),
        length=_LENGTH[fracture.family][fracture.severity - 1],
        strength=strength,
    )


def _either(asked: float | None, given: float) -> float:
    return float(given if asked is None else asked)


def _law_a(rule: Rule, t: float) -> np.ndarray:
    least = _LEAST_GAP_MM["A"]
    gap = least * (rule.gap_mm / least) ** t
    return np.array([gap, rule.shift_mm * t**2, rule.turn_deg * t**1.5, rule.swelling_mm * t])


def _law_b(rule: Rule, t: float) -> np.ndarray:
    least, late = _LEAST_GAP_MM["B"], max(0.0, (4 * t - 1) / 3)
    gap = least + (rule.gap_mm - least) * t
    return np.array([gap, rule.shift_mm * late, rule.turn_deg * late, rule.swelling_mm * np.sqrt(t)])


_LAWS = {"A": _law_a, "B": _law_b}

__all__ = ["Amount", "amount_of"]
