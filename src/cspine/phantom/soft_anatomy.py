"""Where soft tissue lies in an average adult neck: tables of tubes along the spine.

A row of a tube is ``(level, u, v, half width, half depth)``: see `spine_axis` for `level`, `u` and `v`. Tables named
``FRONT_…`` count `v` from the front of the vertebral bodies (prevertebral tissue hangs there), the others from
the middle of the canal. Lengths in mm at scale 1. Sizes: read off real CT and textbooks of sectional anatomy;
prevertebral tissue is 2–6 mm thick above C4 and up to 20 mm below.
"""

from dataclasses import dataclass

import numpy as np

from cspine.phantom.spine_axis import SpineAxis
from cspine.phantom.tissue import Tissue

Knots = tuple[tuple[float, float, float, float, float], ...]


@dataclass(frozen=True)
class Shape:
    """One structure of the tables.

    Attributes
    ----------
    knots
        Rows from head to feet.
    turn_deg
        Turn of the ellipse in the axial plane, for the left side; mirrored on the right.
    paired
        Whether it exists on both sides; `u` is then given for the left.
    """

    name: str
    tissue: Tissue
    knots: Knots
    turn_deg: float = 0.0
    paired: bool = True


@dataclass(frozen=True, eq=False)
class Tube:
    """A structure placed in a body: ellipses in axial planes, body frame.

    Attributes
    ----------
    tissue
        Class to paint.
    rows
        (N, 5), falling z: z, x, y, half width, half depth in mm.
    turn_rad
        Turn of the ellipses in the axial plane, from +x to +y.
    """

    tissue: Tissue
    rows: np.ndarray
    turn_rad: float = 0.0

    def at(self, z_mm: np.ndarray) -> np.ndarray:
        """Return (N, 4) x, y, half width, half depth at heights within the tube."""
        rising = self.rows[::-1]
        return np.stack([np.interp(z_mm, rising[:, 0], rising[:, k]) for k in range(1, 5)], axis=1)


def place(shape: Shape, axis: SpineAxis, from_front: bool, jitter: np.ndarray) -> list[Tube]:
    """Return the tube, or the left and the right one, of a shape in a body.

    Parameters
    ----------
    jitter
        (2, 4) for left and right: factors of width and depth, shifts of u and v in mm.
    """
    knots = np.array(shape.knots, dtype=np.float64)
    steps = max(2, round((knots[-1, 0] - knots[0, 0]) * 8) + 1)
    level = np.linspace(knots[0, 0], knots[-1, 0], steps)
    u, v, a, b = (np.interp(level, knots[:, 0], knots[:, k]) * axis.scale for k in range(1, 5))
    base = axis.front(level) if from_front else 0.0
    tubes = []
    for side, (wide, deep, du, dv) in zip((1, -1) if shape.paired else (1,), jitter, strict=False):
        points = axis.point(level, side * u + du, v + base + dv)
        rows = np.column_stack([points[:, 2], points[:, :2], a * wide, b * deep])
        tubes.append(Tube(shape.tissue, rows, np.deg2rad(side * shape.turn_deg)))
    return tubes


def place_all(
    shapes: tuple[Shape, ...], axis: SpineAxis, rng: np.random.Generator, *, from_front: bool, size: float = 1.0
) -> list[Tube]:
    """Place shapes with the small differences between people and between sides; `size` is a factor of diameters."""
    tubes = []
    for shape in shapes:
        both = np.array([size, size, 0, 0]) + rng.normal(0, [0.06, 0.06, 0.8, 0.8])
        jitter = both + rng.normal(0, [0.04, 0.04, 0.5, 0.5], (2, 4))
        if not shape.paired:
            jitter[:, 2] *= 0.5
        tubes += place(shape, axis, from_front, np.maximum(jitter, [0.4, 0.4, -4, -4]))
    return tubes


# Seeds of muscles: each takes the part of the deep neck that is nearest to it, measured by its own ellipse.
MUSCLES: tuple[Shape, ...] = (
    Shape("multifidus", Tissue.MUSCLE, ((2.2, 9, 22, 7, 6), (5, 10, 24, 9, 7), (8, 12, 26, 11, 8),
        (14, 12, 24, 11, 8))),
    Shape("semispinalis cervicis", Tissue.MUSCLE, ((2, 11, 31, 9, 6), (5, 14, 33, 11, 6), (8, 15, 36, 11, 6))),
    Shape("semispinalis capitis", Tissue.MUSCLE, ((0.2, 16, 33, 14, 7), (3, 17, 42, 15, 6), (6, 20, 42, 14, 5),
        (9, 24, 40, 9, 5)), 12),
    Shape("splenius", Tissue.MUSCLE, ((0.5, 38, 30, 12, 5), (3, 27, 47, 17, 4), (5.5, 20, 49, 17, 3.5),
        (8, 12, 47, 12, 3))),
    Shape("trapezius", Tissue.MUSCLE, ((1, 12, 50, 10, 2.5), (4, 22, 55, 21, 3), (6, 34, 50, 30, 4.5),
        (7.5, 58, 40, 42, 6), (9, 72, 38, 56, 7), (12, 50, 42, 50, 6))),
    Shape("levator scapulae", Tissue.MUSCLE, ((1.5, 33, 8, 6, 7), (4, 38, 14, 8, 10), (6, 44, 20, 9, 11),
        (8, 58, 28, 10, 9), (9, 66, 30, 9, 7)), -30),
    Shape("longissimus", Tissue.MUSCLE, ((1.5, 32, 18, 5, 7), (4, 29, 22, 6, 8), (7, 29, 24, 8, 8),
        (14, 30, 24, 12, 9))),
    Shape("scalenes", Tissue.MUSCLE, ((3, 27, -10, 5, 6), (5, 31, -8, 8, 9), (7, 36, -6, 10, 12),
        (8.4, 46, -10, 9, 12))),
    Shape("sternocleidomastoid", Tissue.MUSCLE, ((0, 52, 6, 7, 12), (2, 53, -6, 7, 15), (4, 49, -24, 6, 15),
        (6, 40, -42, 6, 13), (7.5, 26, -58, 9, 6), (8.6, 18, -66, 9, 5)), 25),
    Shape("suboccipital", Tissue.MUSCLE, ((-0.6, 20, 26, 16, 7), (1, 18, 28, 15, 8), (2.2, 22, 22, 13, 8))),
    Shape("masseter", Tissue.MUSCLE, ((-1.5, 56, -52, 6, 12), (1, 54, -50, 7, 15), (2.4, 48, -50, 5, 12)), 12),
    Shape("pterygoid", Tissue.MUSCLE, ((-1.2, 34, -42, 9, 12), (1, 38, -44, 7, 14), (2.4, 36, -46, 5, 10)), 15),
    Shape("tongue", Tissue.MUSCLE, ((0.4, 0, -72, 24, 24), (2, 0, -70, 24, 26), (3.4, 0, -66, 18, 20)), 0, False),
    Shape("digastric", Tissue.MUSCLE, ((2.2, 24, -72, 7, 14), (3.6, 16, -68, 8, 12))),
    Shape("strap", Tissue.MUSCLE, ((3.8, 9, -68, 8, 4), (5.5, 14, -64, 10, 4), (8.6, 14, -62, 13, 4)), 25),
    Shape("pharyngeal wall", Tissue.MUSCLE, ((0.5, 15, -38, 4, 8), (3, 17, -40, 4, 9), (5, 17, -44, 4, 10))),
    Shape("rhomboid", Tissue.MUSCLE, ((7.4, 20, 42, 16, 3), (10, 44, 44, 30, 3.5), (14, 60, 44, 26, 3.5))),
    Shape("semispinalis thoracis", Tissue.MUSCLE, ((7.5, 14, 38, 9, 4), (14, 14, 34, 10, 5))),
    Shape("platysma", Tissue.MUSCLE, ((3, 36, -62, 12, 1), (6, 44, -44, 14, 1)), -45),
    Shape("supraspinatus", Tissue.MUSCLE, ((7.5, 92, 26, 30, 14), (9.5, 100, 28, 36, 14))),
    Shape("deltoid", Tissue.MUSCLE, ((7.8, 160, 10, 30, 22), (9.5, 185, 5, 24, 42), (14, 190, 5, 20, 40))),
    Shape("infraspinatus", Tissue.MUSCLE, ((9.3, 100, 48, 36, 9), (14, 100, 52, 40, 10))),
    Shape("subscapularis", Tissue.MUSCLE, ((8.6, 104, 14, 28, 12), (11, 110, 20, 32, 14), (14, 110, 26, 34, 14))),
    Shape("pectoralis", Tissue.MUSCLE, ((8.7, 80, -58, 30, 7), (9.5, 80, -66, 48, 10), (14, 84, -92, 58, 13)), -15),
    Shape("pectoralis minor", Tissue.MUSCLE, ((8.9, 104, -32, 14, 7), (11, 92, -48, 24, 8), (14, 80, -74, 26, 7)), -20),
    Shape("subclavius", Tissue.MUSCLE, ((8.2, 90, -40, 18, 6), (9.2, 56, -60, 16, 6))),
    Shape("intercostals", Tissue.MUSCLE, ((9, 62, -48, 16, 5), (10, 68, -62, 26, 5), (14, 74, -92, 30, 5)), -20),
    Shape("serratus", Tissue.MUSCLE, ((8.2, 58, 8, 9, 15), (10, 80, 8, 9, 26), (14, 98, 4, 9, 42))),
)  # fmt: skip

FRONT_MUSCLES: tuple[Shape, ...] = (
    Shape("longus colli", Tissue.MUSCLE, ((1.2, 5, -2.5, 4, 2), (3, 8, -2.5, 6, 2.8), (5, 10, -2, 7, 3.6),
        (8, 10, -2, 6, 3.4), (10, 7, -1, 4, 2))),
    Shape("longus capitis", Tissue.MUSCLE, ((-0.2, 9, -5, 7, 4), (2, 14, -3, 7, 4), (4.5, 18, 0, 5, 4))),
)  # fmt: skip

# Fat that no muscle grows into.
FAT_PADS: tuple[Shape, ...] = (
    Shape("posterior triangle", Tissue.FAT, ((3, 50, 8, 4, 7), (5, 52, -2, 6, 10), (7, 60, -12, 10, 10),
        (8.5, 74, -22, 16, 10))),
    Shape("carotid sheath", Tissue.FAT, ((-0.4, 27, -30, 7, 6), (2, 29, -31, 8, 7), (4, 28, -36, 9, 7),
        (7, 26, -44, 8, 7), (9.5, 20, -54, 9, 8))),
    Shape("parapharyngeal", Tissue.FAT, ((-0.8, 25, -44, 3, 9), (1, 25, -42, 4, 9), (2.4, 24, -44, 3, 7))),
    Shape("cheek", Tissue.FAT, ((-2, 44, -72, 8, 12), (0, 45, -74, 8, 12), (2, 40, -80, 5, 9))),
    Shape("supraclavicular", Tissue.FAT, ((7.8, 50, -32, 9, 8), (9, 58, -34, 13, 9), (10, 62, -42, 10, 7))),
    Shape("axilla", Tissue.FAT, ((9.2, 122, -14, 10, 10), (11, 118, -22, 14, 16), (15, 118, -26, 12, 26))),
    Shape("nape", Tissue.FAT, ((0.8, 0, 44, 2, 8), (4, 0, 50, 1.2, 9), (8, 0, 52, 1.0, 6)), 0, False),
    Shape("below the occiput", Tissue.FAT, ((0, 10, 38, 5, 4), (1.8, 8, 36, 4, 4))),
    Shape("before the epiglottis", Tissue.FAT, ((3.6, 0, -62, 9, 5), (4.7, 0, -62, 8, 4)), 0, False),
    Shape("upper mediastinum", Tissue.FAT, ((8.8, 0, -56, 12, 8), (11, 0, -62, 18, 14)), 0, False),
)  # fmt: skip

PHARYNX = Shape(
    "pharynx",
    Tissue.AIRWAY,
    (
        (-0.9, 0, -24, 12, 8),
        (-0.3, 0, -18, 13, 8),
        (0.3, 0, -14, 14, 7),
        (1, 0, -12, 13, 6),
        (2, 0, -9.5, 12, 5),
        (3, 0, -11, 13, 6),
        (3.6, 0, -14, 14, 6),
        (4.3, 0, -13, 13, 3),
        (4.9, 0, -13, 8, 1.0),
    ),
    paired=False,
)
TRACHEA = Shape(
    "trachea",
    Tissue.AIRWAY,
    ((6.2, 0, -22, 8.5, 8.5), (7, 0, -25, 8.5, 9), (8, 0, -24, 9, 8.5), (9.5, 0, -22, 9, 8.5), (11.5, 0, -20, 9, 8)),
    paired=False,
)

# Beside the airway from the cricoid down: u counts from its wall (pairs), v from its back or front wall (others).
BESIDE_TRACHEA: tuple[Shape, ...] = (
    Shape("oesophagus", Tissue.OESOPHAGUS, ((6.3, 1, 4.5, 8, 3.2), (7, 3, 6, 7, 4.5), (11.4, 4, 7, 7, 5)), 0, False),
    Shape("thyroid", Tissue.THYROID, ((5.7, 6, 2, 2.5, 5), (6.3, 6.5, 2, 5.5, 9), (7.2, 7, 2, 7, 10),
        (7.9, 6, 1, 4, 6)), 12),
    Shape("isthmus", Tissue.THYROID, ((6.9, 0, -2.4, 10, 2.2), (7.5, 0, -2.4, 10, 2.2)), 0, False),
)  # fmt: skip

GLANDS: tuple[Shape, ...] = (
    Shape("parotid", Tissue.GLAND, ((-0.4, 52, -20, 8, 13), (1, 53, -22, 9, 16), (2.2, 50, -24, 7, 11)), 15),
    Shape("submandibular", Tissue.GLAND, ((2.3, 30, -34, 8, 12), (3, 30, -34, 10, 14), (3.7, 28, -34, 6, 9)), 25),
)  # fmt: skip

ARTERIES: tuple[Shape, ...] = (
    Shape("common carotid", Tissue.ARTERY, ((3.9, 24, -11, 4.2, 4), (4.4, 23, -12, 3.4, 3.4),
        (7.5, 21, -16, 3.4, 3.4), (9.2, 14, -22, 3.8, 3.8), (10.5, 10, -26, 4.5, 4.5))),
    Shape("internal carotid", Tissue.ARTERY, ((-0.2, 24, -8, 2.5, 2.5), (2, 24, -6, 2.5, 2.5), (3.9, 25, -10, 3, 3))),
    Shape("external carotid", Tissue.ARTERY, ((1.5, 36, -22, 1.6, 1.6), (3, 26, -20, 2.2, 2.2),
        (3.9, 22, -14, 2.6, 2.6))),
    Shape("subclavian", Tissue.ARTERY, ((8.45, 46, -22, 6, 2), (8.6, 50, -22, 30, 3.6), (8.75, 46, -23, 6, 2)), 8),
    Shape("aortic arch", Tissue.ARTERY, ((10.6, 8, -34, 14, 26), (11.6, 10, -30, 14, 30)), 30, False),
)  # fmt: skip

VEINS: tuple[Shape, ...] = (
    Shape("internal jugular", Tissue.VEIN, ((-0.2, 27, -3, 4, 4), (2, 31, -4, 5, 4), (4, 31, -11, 6, 4.5),
        (7, 28, -19, 7, 5.5), (8.6, 26, -28, 7, 6), (9.6, 22, -34, 8, 6))),
    Shape("external jugular", Tissue.VEIN, ((3, 58, -10, 1.6, 1.4), (6, 50, -26, 1.8, 1.5), (7.5, 44, -30, 1.8, 1.6))),
    Shape("subclavian", Tissue.VEIN, ((8.8, 48, -46, 6, 2), (9.0, 54, -46, 32, 4.5), (9.2, 46, -46, 6, 2)), 10),
)  # fmt: skip

LUNGS: tuple[Shape, ...] = (
    Shape("lung", Tissue.LUNG, ((8.3, 36, 0, 4, 6), (8.7, 40, -4, 16, 20), (9.3, 44, -10, 25, 30),
        (10.2, 50, -18, 36, 42), (12, 62, -38, 48, 62), (18, 72, -48, 58, 78))),
)  # fmt: skip

MEDIASTINUM: tuple[Shape, ...] = (
    Shape("mediastinum", Tissue.FAT, ((9, 0, -45, 18, 25), (11, 0, -60, 24, 42), (18, 0, -70, 34, 60)), 0, False),
)  # fmt: skip

# In the frame of the skull, mm at scale 1: center and half axes; a center off the midline exists on both sides.
# The cavity of the brain is that of the procedural skull, which is painted over its rim.
Ellipsoid = tuple[tuple[float, float, float], tuple[float, float, float]]
HEAD: tuple[tuple[Tissue, Ellipsoid], ...] = (
    (Tissue.MUCOSA, ((0, -62, 23), (15, 28, 17))),
    (Tissue.AIRWAY, ((4.5, -60, 17), (1.6, 25, 7))),
    (Tissue.AIRWAY, ((4.0, -62, 28), (1.3, 22, 8))),
    (Tissue.AIRWAY, ((10.5, -60, 16), (1.5, 22, 5))),
    (Tissue.AIRWAY, ((25.5, -63, 25), (14, 14.5, 15))),
    (Tissue.AIRWAY, ((8, -50, 41), (6.5, 9.5, 8.5))),
    (Tissue.AIRWAY, ((53, 14, 22), (4, 6, 6))),
    (Tissue.AIRWAY, ((0, -66, 4.2), (18, 19, 1.2))),
    (Tissue.FAT, ((30, -74, 50), (17, 19, 15))),
    (Tissue.CSF, ((30, -80, 50), (12, 12, 12))),
    (Tissue.BRAIN, ((0, -4, 90), (66, 85, 53))),
    (Tissue.BRAIN, ((0, 34, 41), (53, 42, 30))),
    (Tissue.BRAIN, ((0, 6, 32), (17, 21, 20))),
    (Tissue.BRAIN, ((41, -30, 52), (24, 31, 24))),
)

# Outline of the body: level, v of the front and of the back from the canal, half width.
NECK_OUTLINE: tuple[tuple[float, float, float, float], ...] = (
    (-2, -52, 66, 66), (0, -58, 64, 66), (1.5, -62, 61, 64), (3, -68, 58, 61), (4.5, -70, 58, 59),
    (6, -68, 61, 61), (7, -66, 66, 69), (8, -72, 71, 89), (9, -88, 73, 113), (10, -104, 71, 134), (12, -132, 66, 150),
    (15, -150, 60, 160), (18, -155, 58, 162),
)  # fmt: skip
# Shoulders with the arms down: level, middle v, half width, half depth.
SHOULDER_OUTLINE: tuple[tuple[float, float, float, float], ...] = (
    (6.3, 30, 58, 24), (7.2, 24, 96, 36), (7.9, 16, 146, 50), (8.5, 9, 186, 64), (9.3, 4, 208, 74),
    (11, 2, 220, 80), (18, -4, 222, 80),
)  # fmt: skip

__all__ = [
    "ARTERIES",
    "BESIDE_TRACHEA",
    "FAT_PADS",
    "FRONT_MUSCLES",
    "GLANDS",
    "HEAD",
    "LUNGS",
    "MEDIASTINUM",
    "MUSCLES",
    "NECK_OUTLINE",
    "PHARYNX",
    "SHOULDER_OUTLINE",
    "TRACHEA",
    "VEINS",
    "Shape",
    "Tube",
    "place",
    "place_all",
]
