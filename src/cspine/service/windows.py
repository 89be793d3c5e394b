"""Window presets of the viewer: the same on the server's slices and in the browser."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cspine.domain import InputError


@dataclass(frozen=True)
class Window:
    """Center and width in HU."""

    center_hu: float
    width_hu: float

    @property
    def low_hu(self) -> float:
        """What is black."""
        return self.center_hu - self.width_hu / 2

    @property
    def high_hu(self) -> float:
        """What is white."""
        return self.center_hu + self.width_hu / 2


PRESETS: Mapping[str, Window] = MappingProxyType(
    {
        "bone": Window(450.0, 1800.0),
        "soft": Window(50.0, 400.0),
        "wide": Window(500.0, 3000.0),
    }
)


def preset(name: str) -> Window:
    """Return the preset of a name; raises `InputError` where there is none."""
    found = PRESETS.get(name)
    if found is None:
        raise InputError(f"there is no window {name!r}; there are {', '.join(PRESETS)}")
    return found
