"""Dimensions of the vertebrae C1 … T8 and how they vary between people and between levels."""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra


@dataclass(frozen=True)
class VertebraSize:
    """All dimensions of one vertebra, in mm and degrees.

    A part that a level does not have is 0 (C1: body, disc, pillars; all but C2: dens).

    Attributes
    ----------
    body_width, body_depth
        Of the inferior endplate; the superior one is a little smaller.
    height_front, height_back
        Of the body (C2: below the dens).
    disc_below
        Height of the disc to the next vertebra in a healthy, neutral neck.
    uncinate_height
        Of the lateral rims above the superior endplate.
    canal_width, canal_depth
        Inner transverse and sagittal diameters (C1: of the ring).
    joint_x, joint_y
        Center of the facet joint *below*: from the midline, and behind the posterior wall of the body.
    joint_angle_deg
        Slope of that joint from the horizontal.
    pillar_width, pillar_depth
        Transverse and sagittal extent of an articular pillar (C1: of a lateral mass).
    lamina_thickness, lamina_height
        The posterior arch in C1.
    spinous_length, spinous_slope_deg
        From the canal to the tip, and how steeply it falls.
    total_width
        Between the tips of the transverse processes.
    foramen_diameter
        Foramen transversarium; 0 where there is none.
    dens_height, dens_width, dens_depth
        Dens above the body.
    osteophyte
        Outgrowth of the endplate rims.
    """

    vertebra: Vertebra
    body_width: float
    body_depth: float
    height_front: float
    height_back: float
    disc_below: float
    uncinate_height: float
    canal_width: float
    canal_depth: float
    joint_x: float
    joint_y: float
    joint_angle_deg: float
    pillar_width: float
    pillar_depth: float
    lamina_thickness: float
    lamina_height: float
    spinous_length: float
    spinous_slope_deg: float
    total_width: float
    foramen_diameter: float
    dens_height: float = 0.0
    dens_width: float = 0.0
    dens_depth: float = 0.0
    osteophyte: float = 0.0

    @property
    def height(self) -> float:
        """Mean height of the body."""
        return (self.height_front + self.height_back) / 2


FIELDS = [
    "body_width",
    "body_depth",
    "height_front",
    "height_back",
    "disc_below",
    "uncinate_height",
    "canal_width",
    "canal_depth",
    "joint_x",
    "joint_y",
    "joint_angle_deg",
    "pillar_width",
    "pillar_depth",
    "lamina_thickness",
    "lamina_height",
    "spinous_length",
    "spinous_slope_deg",
    "total_width",
    "foramen_diameter",
    "dens_height",
    "dens_width",
    "dens_depth",
]

_FEMALE_MEANS = {
    Vertebra.C1: (0, 0, 0, 0, 0, 0, 27.5, 29.0, 16.0, 0, 0, 13.0, 18.5, 4.6, 8.0, 0, 0, 73.4, 6.2, 0, 0, 0),
    Vertebra.C2: (17.5, 14.0, 17.6, 17.6, 3.9, 0, 21.8, 16.2, 16.8, 5.0, 43, 11.0, 11.0, 5.5, 12.0, 15.0, 22, 50.4, 5.0,
                  15.2, 9.6, 10.3),
    Vertebra.C3: (21.0, 14.0, 12.4, 12.8, 3.8, 5.0, 21.0, 14.6, 17.6, 5.4, 45, 11.6, 11.2, 3.9, 10.5, 12.5, 16, 49.9, 5.4,
                  0, 0, 0),
    Vertebra.C4: (21.6, 14.3, 12.0, 12.5, 3.8, 5.2, 21.5, 14.4, 18.0, 5.4, 45, 11.8, 11.2, 3.7, 10.5, 11.4, 18, 51.7, 5.6,
                  0, 0, 0),
    Vertebra.C5: (22.4, 14.6, 11.6, 12.2, 3.8, 5.3, 22.2, 14.4, 18.6, 5.4, 46, 12.0, 11.0, 3.7, 10.7, 13.8, 20, 52.7, 5.6,
                  0, 0, 0),
    Vertebra.C6: (23.8, 15.2, 11.7, 12.2, 4.0, 5.0, 22.5, 14.5, 18.6, 5.8, 50, 12.2, 10.8, 4.2, 11.5, 17.5, 22, 53.0, 5.5,
                  0, 0, 0),
    Vertebra.C7: (26.0, 15.6, 12.9, 13.2, 4.3, 4.2, 22.0, 14.8, 17.2, 6.6, 58, 11.8, 10.0, 5.2, 13.0, 26.5, 20, 60.0, 3.6,
                  0, 0, 0),
    Vertebra.T1: (27.5, 16.4, 14.6, 15.2, 4.2, 2.2, 19.8, 14.8, 14.4, 8.0, 66, 10.5, 9.5, 5.6, 15.0, 29.5, 22, 69.0, 0,
                  0, 0, 0),
    Vertebra.T2: (26.5, 17.4, 15.8, 16.4, 3.8, 0, 17.4, 14.6, 12.6, 8.6, 71, 10.0, 9.0, 5.8, 16.5, 31.0, 33, 63.0, 0,
                  0, 0, 0),
    Vertebra.T3: (25.6, 19.0, 16.2, 16.8, 3.6, 0, 16.4, 14.6, 11.6, 8.6, 74, 9.6, 9.0, 5.8, 17.5, 33.0, 42, 60.0, 0,
                  0, 0, 0),
    Vertebra.T4: (25.0, 20.4, 16.6, 17.2, 3.6, 0, 16.0, 14.6, 11.4, 8.6, 75, 9.6, 9.0, 5.8, 18.0, 34.0, 50, 58.0, 0,
                  0, 0, 0),
    Vertebra.T5: (25.2, 21.8, 17.0, 17.6, 3.7, 0, 15.8, 14.6, 11.4, 8.6, 75, 9.6, 9.0, 5.8, 18.5, 36.0, 55, 58.0, 0,
                  0, 0, 0),
    Vertebra.T6: (25.8, 23.0, 17.3, 18.0, 3.9, 0, 15.8, 14.6, 11.4, 8.6, 75, 9.6, 9.0, 5.8, 18.5, 37.0, 58, 58.0, 0,
                  0, 0, 0),
    Vertebra.T7: (26.6, 24.2, 17.6, 18.4, 4.1, 0, 15.8, 14.6, 11.4, 8.6, 75, 9.6, 9.0, 5.8, 18.5, 37.0, 58, 57.5, 0,
                  0, 0, 0),
    Vertebra.T8: (27.6, 25.2, 18.0, 18.8, 4.4, 0, 15.8, 14.8, 11.4, 8.6, 75, 9.6, 9.0, 5.8, 18.5, 36.0, 56, 57.0, 0,
                  0, 0, 0),
}  # fmt: skip

_MALE_FACTORS = {"height_front": 1.11, "height_back": 1.11, "disc_below": 1.10, "body_depth": 1.11, "body_width": 1.08,
                 "canal_width": 1.05, "canal_depth": 1.05, "foramen_diameter": 1.06, "uncinate_height": 1.08,
                 "total_width": 1.08, "spinous_length": 1.14, "dens_height": 1.08,
                 "joint_angle_deg": 1.0, "spinous_slope_deg": 1.0}  # fmt: skip
_OTHER_MALE_FACTOR = 1.09

# What varies together in one person, with the spread (coefficient of variation) between people and between levels.
_GROUPS = {
    ("height_front", "height_back", "dens_height"): (0.045, 0.035),
    ("disc_below",): (0.10, 0.08),
    ("body_width", "joint_x", "total_width", "dens_width"): (0.035, 0.020),
    ("body_depth", "dens_depth"): (0.050, 0.025),
    ("canal_depth",): (0.060, 0.020),
    ("canal_width",): (0.030, 0.015),
    ("uncinate_height",): (0.12, 0.10),
    ("pillar_width", "pillar_depth", "joint_y"): (0.035, 0.030),
    ("lamina_thickness", "lamina_height"): (0.070, 0.050),
    ("spinous_length",): (0.060, 0.060),
    ("spinous_slope_deg",): (0.10, 0.20),
    ("joint_angle_deg",): (0.04, 0.03),
    ("foramen_diameter",): (0.08, 0.10),
}

CANAL_DEPTH_RANGE = (12.8, 18.4)
CANAL_WIDTH_MIN = 19.6


def sample_vertebra_sizes(rng: np.random.Generator, *, female: bool, scale: float) -> dict[Vertebra, VertebraSize]:
    """Draw the sizes of C1 … T8 of one person.

    Parameters
    ----------
    rng
        Source of randomness.
    female
        Sex; men are 5–14 % larger, most in process length and height, least in the canal.
    scale
        Size relative to an average adult of that sex.

    Notes
    -----
    Means: bounding boxes of the UMTRI mean CT surfaces of 38 women, the UMTRI-2017-1s sagittal model, Snyder 1975
    segment lengths, J Spinal Disord Tech 2004;17:102, the Galloway collection (404 dry spines), Yousuf (30 dry axes),
    Parihar (canal, CT of 100) for C1–C7; Panjabi 1991 (Spine 16:888) and Masharawi 2005 for T1–T8. Spreads between
    people and between levels of one person follow the standard deviations there and the RSNA 2022 masks (n = 87);
    heights of levels vary independently by 3.5 %, sizes are otherwise correlated along the spine.
    """
    person = {group: rng.normal() for group in _GROUPS}
    return {vertebra: _sample_one(rng, vertebra, person, female=female, scale=scale) for vertebra in _FEMALE_MEANS}


def _sample_one(
    rng: np.random.Generator,
    vertebra: Vertebra,
    person: dict[tuple[str, ...], float],
    *,
    female: bool,
    scale: float,
) -> VertebraSize:
    values = dict(zip(FIELDS, (float(v) for v in _FEMALE_MEANS[vertebra]), strict=True))
    for group, (between_people, between_levels) in _GROUPS.items():
        level = float(np.clip(rng.normal(), -2.5, 2.5))
        factor = np.exp(between_people * float(np.clip(person[group], -2.5, 2.5)) + between_levels * level)
        for name in group:
            male = 1.0 if female else _MALE_FACTORS.get(name, _OTHER_MALE_FACTOR)
            values[name] *= float(factor) * male * (1.0 if name.endswith("_deg") else scale)
    if vertebra not in (Vertebra.C1,):
        values["canal_depth"] = float(np.clip(values["canal_depth"], *CANAL_DEPTH_RANGE))
    if Vertebra.C2 <= vertebra <= Vertebra.C7:
        values["canal_width"] = max(values["canal_width"], CANAL_WIDTH_MIN)
    return VertebraSize(vertebra, **values)
