"""How the neck is held: angles of the joints, and the chain of vertebral frames that follows from them.

Positive angles: flexion (head forward), turn to the left (seen from the feet anticlockwise … LPS z), bend to the left.
"""

from dataclasses import dataclass

import numpy as np

from cspine.domain import Vertebra

# Share of C2–C7 lordosis and of the other bends in the joints C2/C3 … C6/C7.
_LORDOSIS_SHARES = np.array([0.12, 0.2, 0.24, 0.24, 0.2])
_THORACIC_KYPHOSIS_DEG = 3.2  # per joint
_C7_T1_DEG = 2.5
_ATLAS_LIMIT_DEG = 11.0
_HEAD_LIMIT_DEG = 13.0


@dataclass(frozen=True)
class Posture:
    """One way to hold the neck, in degrees.

    Attributes
    ----------
    lordosis
        C2–C7, positive when the neck is hollow at the back, negative in kyphosis.
    slope
        Tilt of the upper endplate of T1 to the front.
    rotation, bend
        Turn and side bending from T1 to C2.
    atlas_rotation
        Turn of C1, with the head, on C2.
    head_flexion
        Tilt of the head against the horizontal; positive looks down.
    head_tilt
        Side bending between head and C2.
    unevenness
        Standard deviation of every joint about the smooth curve.
    lie
        Turns of the whole body on the table about x, y and z.
    """

    lordosis: float = 12.0
    slope: float = 22.0
    rotation: float = 0.0
    bend: float = 0.0
    atlas_rotation: float = 0.0
    head_flexion: float = 0.0
    head_tilt: float = 0.0
    unevenness: float = 1.5
    lie: tuple[float, float, float] = (0.0, 0.0, 0.0)


def sample_posture(rng: np.random.Generator) -> Posture:
    """Draw the posture of a patient lying on a table; kyphotic and turned necks are common after trauma."""
    turned = rng.random() < 0.3
    turn = rng.normal(0, 12 if turned else 3)
    lordosis = float(np.clip(rng.normal(11, 12), -22, 40))
    return Posture(
        lordosis=lordosis,
        # Lying down, necks of any curve stand within about 10° of upright as a whole.
        slope=float(np.clip(rng.normal(9 + 0.5 * lordosis, 6.5), -6, 40)),
        rotation=float(np.clip(0.4 * turn + rng.normal(0, 2), -25, 25)),
        bend=float(np.clip(rng.normal(0, 4), -14, 14)),
        atlas_rotation=float(np.clip(0.6 * turn + rng.normal(0, 2), -25, 25)),
        head_flexion=float(np.clip(rng.normal(2, 8), -22, 22)),
        head_tilt=float(np.clip(rng.normal(0, 2.5), -7, 7)),
        unevenness=float(rng.uniform(0.5, 2.0)),
        lie=(float(rng.normal(0, 3)), float(rng.normal(0, 2)), float(rng.normal(0, 4))),
    )


def turn(flexion: float, bend: float, rotation: float) -> np.ndarray:
    """Return the 3×3 rotation of a joint; degrees."""
    a, b, c = np.radians([flexion, bend, rotation])
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    rotation_matrix: np.ndarray = z @ y @ x
    return rotation_matrix


@dataclass(frozen=True, eq=False)
class Orientations:
    """3×3 axes of every vertebra and of the head, own frame → body."""

    vertebrae: dict[Vertebra, np.ndarray]
    head: np.ndarray


def orientations(posture: Posture, rng: np.random.Generator) -> Orientations:
    """Return how C1 … T12 and the head are turned in a posture."""
    below = {Vertebra.T1: turn(posture.slope, 0, 0)}
    for upper, lower in zip(range(Vertebra.T1, Vertebra.T12), range(Vertebra.T2, Vertebra.T12 + 1), strict=True):
        joint = turn(-_THORACIC_KYPHOSIS_DEG + rng.normal(0, 0.5 * posture.unevenness), rng.normal(0, 0.6), 0)
        below[Vertebra(lower)] = below[Vertebra(upper)] @ joint
    # C7/T1 turns half as much as the joints above it.
    shares = np.concatenate([_LORDOSIS_SHARES, [0.0]])
    side = np.array([0.18, 0.2, 0.2, 0.18, 0.14, 0.1])
    noise = rng.normal(0, posture.unevenness, (6, 3)) * np.array([1.0, 0.5, 0.5])
    above = {Vertebra.T1: below[Vertebra.T1]}
    for k in range(5, -1, -1):
        flexion = -shares[k] * posture.lordosis - (_C7_T1_DEG if k == 5 else 0) + noise[k, 0]
        joint = turn(flexion, side[k] * posture.bend + noise[k, 1], side[k] * posture.rotation + noise[k, 2])
        above[Vertebra(k + 2)] = above[Vertebra(k + 3)] @ joint
    axis = above[Vertebra.C2]
    pitch = float(np.degrees(np.arctan2(axis[2, 1], axis[2, 2])))
    wanted = posture.head_flexion - pitch
    atlas = float(np.clip(0.45 * wanted + rng.normal(0, 2), -_ATLAS_LIMIT_DEG, _ATLAS_LIMIT_DEG))
    head = float(np.clip(wanted - atlas, -_HEAD_LIMIT_DEG, _HEAD_LIMIT_DEG))
    above[Vertebra.C1] = axis @ turn(atlas, 0.4 * posture.head_tilt, posture.atlas_rotation)
    skull = above[Vertebra.C1] @ turn(head, 0.6 * posture.head_tilt, 0)
    whole = turn(*posture.lie)
    everything = {v: whole @ r for v, r in sorted({**below, **above}.items())}
    return Orientations(everything, whole @ skull)
