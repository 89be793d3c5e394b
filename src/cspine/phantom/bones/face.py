"""The face in C1's frame, simplified: palate, upper teeth, maxillae with their sinuses, orbits, cheekbones."""

from cspine.phantom.bones.combine import both
from cspine.phantom.bones.landmarks import ellipsoid, strip, tube
from cspine.phantom.bones.primitives import Solid


def face_parts(k: float) -> tuple[Solid, ...]:
    """Return the solid parts of the facial skeleton, scaled by `k`."""
    paired: tuple[Solid, ...] = (
        strip(k, ((25, -50, 2), (25, -62, 2), (19, -76, 1.5), (8, -85, 1), (0, -87, 1)), (8,) * 5, (3.6,) * 5),
        ellipsoid(k, (25, -64, 24), (17, 17, 18), exponent=3.0),
        strip(k, ((14, -46, 30), (14, -49, 4)), (7, 5), (1.4, 1.2), (0, 1, 0)),
        tube(k, ((38, -70, 20), (50, -62, 24), (52, -62, 40), (50, -64, 58)), (5, 5, 4, 4.5)),
        strip(k, ((16, -50, 44), (34, -52, 48), (52, -58, 56)), (4, 4, 4), (2.5, 2.2, 3)),
        strip(k, ((50, -66, 60), (30, -84, 66), (8, -92, 64), (0, -92, 62)), (4.5,) * 4, (4,) * 4),
        tube(k, ((12, -84, 40), (8, -92, 56), (4, -92, 62)), (3, 3.5, 4)),
    )
    palate = ellipsoid(k, (0, -64, 8.5), (24, 23, 2.2), exponent=4.0)
    septum = strip(k, ((0, -50, 22), (0, -76, 24)), (15, 12), (0.9, 0.9))
    return (*(s for part in paired for s in both(part)), palate, septum)


def face_hollows(k: float) -> tuple[Solid, ...]:
    """Return the air spaces: maxillary and sphenoid sinuses, and the orbits' floor."""
    paired: tuple[Solid, ...] = (
        ellipsoid(k, (25.5, -63, 25), (14, 14.5, 15), exponent=2.6),
        ellipsoid(k, (30, -76, 50), (17, 19, 15)),
        ellipsoid(k, (8, -50, 41), (7, 10, 9)),
        ellipsoid(k, (53, 14, 22), (4, 6, 6)),
    )
    return tuple(s for part in paired for s in both(part))
