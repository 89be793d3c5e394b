"""The color of each level, the same in every picture, table and document.

After Okabe and Ito, "Color Universal Design" (2008), lightened where gray bone on black would swallow a color; ordered
so that neighbors stay apart for readers with protan, deutan and tritan vision.
"""

from cspine.domain import Vertebra

RGB = tuple[int, int, int]

LEVEL_COLORS: dict[Vertebra, RGB] = {
    Vertebra.C1: (240, 228, 66),
    Vertebra.C2: (86, 180, 233),
    Vertebra.C3: (230, 159, 0),
    Vertebra.C4: (110, 146, 255),
    Vertebra.C5: (255, 173, 204),
    Vertebra.C6: (0, 178, 128),
    Vertebra.C7: (235, 96, 20),
}
THORACIC_COLOR: RGB = (176, 176, 176)

INK: RGB = (255, 255, 255)
HALO: RGB = (0, 0, 0)
BEYOND_SCAN: RGB = (38, 42, 52)


def level_color(vertebra: Vertebra) -> RGB:
    """Return the color of a level; thoracic ones share a gray."""
    return LEVEL_COLORS.get(vertebra, THORACIC_COLOR)


def css(color: RGB) -> str:
    """Return ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)
