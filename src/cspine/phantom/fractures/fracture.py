"""What a fracture is: one frozen specification, from which its place and shape follow."""

from dataclasses import dataclass, replace

from cspine.domain import ConfigError, Vertebra
from cspine.phantom.fractures.kinds import FractureAge, FractureType, Side
from cspine.phantom.fractures.table import (
    GAP_LIMITS_MM,
    RULES,
    SHIFT_LIMITS_MM,
    SWELLING_LIMITS_MM,
    TURN_LIMITS_DEG,
    check_level,
    is_distractor,
)

FAMILIES = ("A", "B")
_SEVERITIES = (1, 5)


@dataclass(frozen=True)
class Fracture:
    """One fracture of one bone; equal fractures of equal bones make equal bytes.

    Attributes
    ----------
    vertebra
        The level; for a rib or clavicle T1, for the skull base C1; for a transdiscal fracture the upper level.
    severity
        1 (barely visible) … 5 (displaced): gap, shift, turn, swelling and completeness follow (`severity`).
    family
        ``"A"`` may train, ``"B"`` only evaluates; surfaces, laws and fragments differ.
    seed
        Where exactly it runs, and how rough it is.
    side
        Of one-sided types, ``None`` draws it from the seed.
    age
        A healed fracture is a mimic and does not count.
    gap_mm, shift_mm, turn_deg, impaction, swelling_mm
        Overrule the amount that the severity gives; a shift or a turn makes the break complete. All zero: `sham`.

    Raises
    ------
    ConfigError
        The type does not exist at the level, or an amount is beyond its limits.
    """

    type: FractureType
    vertebra: Vertebra
    severity: int = 3
    family: str = "A"
    seed: int = 0
    side: Side | None = None
    age: FractureAge = FractureAge.ACUTE
    gap_mm: float | None = None
    shift_mm: float | None = None
    turn_deg: float | None = None
    impaction: float | None = None
    swelling_mm: float | None = None

    def __post_init__(self) -> None:
        check_level(self.type, self.vertebra)
        if self.family not in FAMILIES:
            raise ConfigError(f"{self.name}: family is {self.family!r}, must be A or B")
        if self.seed < 0:
            raise ConfigError(f"{self.name}: seed is {self.seed}, must not be negative")
        if self.side is not None and not RULES[self.type].one_sided:
            raise ConfigError(f"{self.name}: side is {self.side.value}, but this type has none: leave it out")
        limits = (
            ("severity", self.severity, _SEVERITIES),
            ("gap_mm", self.gap_mm, GAP_LIMITS_MM),
            ("shift_mm", self.shift_mm, SHIFT_LIMITS_MM),
            ("turn_deg", self.turn_deg, TURN_LIMITS_DEG),
            ("impaction", self.impaction, (0.0, 1.0)),
            ("swelling_mm", self.swelling_mm, SWELLING_LIMITS_MM),
        )
        for what, value, (low, high) in limits:
            if value is not None and not low <= value <= high:
                raise ConfigError(f"{self.name}: {what} is {value}, must be {low:g} … {high:g}")

    @property
    def name(self) -> str:
        """Type and level as they are written on the command line, such as ``dens-ii@C2``."""
        return f"{self.type.value}@{self.vertebra.name}"

    @property
    def sham(self) -> "Fracture":
        """The same with nothing in it: the whole path is run and no bone changes."""
        return replace(self, gap_mm=0.0, shift_mm=0.0, turn_deg=0.0, impaction=0.0, swelling_mm=0.0)

    @property
    def is_distractor(self) -> bool:
        """Whether it lies where the RSNA labels do not count it."""
        return is_distractor(self.type, self.vertebra)


def parse_fracture(text: str) -> tuple[FractureType, Vertebra]:
    """Read ``TYPE@LEVEL``.

    Raises
    ------
    ConfigError
        The type or the level is unknown, or the type does not exist there.
    """
    word, _, level = text.partition("@")
    try:
        kind = FractureType(word)
    except ValueError as error:
        raise ConfigError(f"{text!r}: unknown fracture type {word!r}; known are {', '.join(FractureType)}") from error
    if level not in Vertebra.__members__:
        names = ", ".join(v.name for v in RULES[kind].levels)
        raise ConfigError(f"{text!r}: unknown level {level!r}; write TYPE@LEVEL, {word} exists at {names}")
    check_level(kind, Vertebra[level])
    return kind, Vertebra[level]


__all__ = ["FAMILIES", "Fracture", "parse_fracture"]
