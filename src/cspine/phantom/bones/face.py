"""The face in C1's frame, simplified: palate, upper teeth, maxillae with their sinuses, orbits, cheekbones."""

from cspine.phantom.bones.combine import both
from cspine.phantom.bones.landmarks import ellipsoid, strip, tube
from cspine.phantom.bones.primitives import Solid


def face_parts(k: float) -> tuple[Solid, ...]:
    """Return the solid parts of the facial skeleton, scaled by `k`."""
    paired: tuple[Solid, ...] = (
        strip(k, ((25, -58, 3), (25, -70, 3), (19, -84, 2.5), (8, -93, 2), (0, -95, 2)), (8,) * 5, (3.6,) * 5),
        ellipsoid(k, (25, -72, 27), (17, 17, 18), exponent=3.0),
        strip(k, ((14, -54, 34), (14, -57, 6)), (7, 5), (1.4, 1.2), (0, 1, 0)),
        tube(k, ((38, -78, 22), (50, -72, 26), (52, -72, 44), (50, -76, 64)), (5, 5, 4, 4.5)),
        strip(k, ((16, -58, 46), (34, -60, 50), (52, -66, 58)), (4, 4, 4), (2.5, 2.2, 3)),
        strip(k, ((50, -76, 64), (30, -94, 68), (8, -101, 66), (0, -101, 64)), (4.5,) * 4, (4,) * 4),
        tube(k, ((12, -92, 42), (8, -101, 58), (4, -101, 64)), (3, 3.5, 4)),
    )
    palate = ellipsoid(k, (0, -74, 10.5), (24, 24, 2.2), exponent=4.0)
    septum = strip(k, ((0, -58, 25), (0, -86, 26)), (15, 13), (0.9, 0.9))
    return (*(s for part in paired for s in both(part)), palate, septum)


def face_hollows(k: float) -> tuple[Solid, ...]:
    """Return the hollows in bone: maxillary and sphenoid sinuses, orbits, mastoid cells."""
    paired: tuple[Solid, ...] = (
        ellipsoid(k, (25.5, -71, 28), (14, 14.5, 15), exponent=2.6),
        ellipsoid(k, (30, -84, 53), (17, 19, 14)),
        ellipsoid(k, (8, -54, 42), (7, 11, 9)),
        ellipsoid(k, (53, 6, 22), (4, 6, 6)),
    )
    return tuple(s for part in paired for s in both(part))
