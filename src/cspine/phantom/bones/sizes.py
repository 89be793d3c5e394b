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


# Means of women, one column per vertebra C1 … T8; 0 where a level has no such part.
_LEVELS = tuple(Vertebra(v) for v in range(Vertebra.C1, Vertebra.T8 + 1))
_FEMALE_MEANS: dict[str, tuple[float, ...]] = {
    "body_width": (0, 17.5, 21, 21.6, 22.4, 23.8, 26, 27.5, 26.5, 25.6, 25, 25.2, 25.8, 26.6, 27.6),
    "body_depth": (0, 14, 14, 14.3, 14.6, 15.2, 15.6, 16.4, 17.4, 19, 20.4, 21.8, 23, 24.2, 25.2),
    "height_front": (0, 18.2, 12.4, 12, 11.6, 11.7, 12.9, 14.6, 15.8, 16.2, 16.6, 17, 17.3, 17.6, 18),
    "height_back": (0, 18.2, 12.8, 12.5, 12.2, 12.2, 13.2, 15.2, 16.4, 16.8, 17.2, 17.6, 18, 18.4, 18.8),
    "disc_below": (0, 3.9, 3.8, 3.8, 3.8, 4, 4.3, 4.2, 3.8, 3.6, 3.6, 3.7, 3.9, 4.1, 4.4),
    "uncinate_height": (0, 0, 5, 5.2, 5.3, 5, 4.2, 2.2, 0, 0, 0, 0, 0, 0, 0),
    "canal_width": (27.5, 21.8, 21, 21.5, 22.2, 22.5, 22, 19.8, 17.4, 16.4, 16, 15.8, 15.8, 15.8, 15.8),
    "canal_depth": (29, 16.2, 14.6, 14.4, 14.4, 14.5, 14.8, 14.8, 14.6, 14.6, 14.6, 14.6, 14.6, 14.6, 14.8),
    "joint_x": (16, 16.8, 17.6, 18, 18.6, 18.6, 17.2, 14.4, 12.6, 11.6, 11.4, 11.4, 11.4, 11.4, 11.4),
    "joint_y": (0, 5, 5.4, 5.4, 5.4, 5.8, 6.6, 8, 8.6, 8.6, 8.6, 8.6, 8.6, 8.6, 8.6),
    "joint_angle_deg": (0, 43, 45, 45, 46, 50, 58, 66, 71, 74, 75, 75, 75, 75, 75),
    "pillar_width": (13, 11, 11.6, 11.8, 12, 12.2, 11.8, 10.5, 10, 9.6, 9.6, 9.6, 9.6, 9.6, 9.6),
    "pillar_depth": (18.5, 11, 11.2, 12.6, 12.2, 11.8, 10, 9.5, 9, 9, 9, 9, 9, 9, 9),
    "lamina_thickness": (4.6, 5.5, 3.4, 3.3, 3.3, 3.8, 5.2, 5.6, 5.8, 5.8, 5.8, 5.8, 5.8, 5.8, 5.8),
    "lamina_height": (8, 12, 11, 11, 11.2, 12, 13, 15, 16.5, 17.5, 18, 18.5, 18.5, 18.5, 18.5),
    "spinous_length": (0, 16, 12.8, 12.2, 15.2, 19.6, 28.8, 31.4, 32.2, 33.6, 34, 36, 37, 37, 36),
    "spinous_slope_deg": (0, 33, 21, 31, 34, 36, 31, 31, 36, 43, 48, 50, 52, 52, 50),
    "total_width": (73.4, 50.4, 49.9, 51.7, 52.7, 53, 60, 69, 63, 60, 58, 58, 58, 57.5, 57),
    "foramen_diameter": (6.2, 5, 5.4, 5.6, 5.6, 5.5, 3.6, 0, 0, 0, 0, 0, 0, 0, 0),
    "dens_height": (0, 15.6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "dens_width": (0, 9.6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "dens_depth": (0, 10.3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
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
    ("spinous_slope_deg",): (0.07, 0.05),
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
    return {vertebra: _sample_one(rng, vertebra, person, female=female, scale=scale) for vertebra in _LEVELS}


def _sample_one(
    rng: np.random.Generator,
    vertebra: Vertebra,
    person: dict[tuple[str, ...], float],
    *,
    female: bool,
    scale: float,
) -> VertebraSize:
    values = {name: float(means[_LEVELS.index(vertebra)]) for name, means in _FEMALE_MEANS.items()}
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
