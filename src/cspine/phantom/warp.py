"""A smooth non-rigid deformation of everything, as a sum of long waves.

It maps a place in the *image* (LPS mm) to the place in the undeformed body that is seen there.
"""

from dataclasses import dataclass

import numpy as np

_WAVES = 10
_SHORTEST_MM, _LONGEST_MM = 90.0, 260.0
_INVERSE_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Warp:
    """Displacement image → body as a sum of sine waves.

    Attributes
    ----------
    wave_vectors
        (K, 3) in radians per mm.
    amplitudes_mm
        (K, 3) displacement of each wave.
    phases
        (K,) in radians.
    """

    wave_vectors: np.ndarray
    amplitudes_mm: np.ndarray
    phases: np.ndarray

    @property
    def largest_mm(self) -> float:
        """No place moves further than this."""
        return float(np.linalg.norm(self.amplitudes_mm, axis=1).sum())

    def to_body(self, image_mm: np.ndarray) -> np.ndarray:
        """Map points (N, 3) of the image to the body."""
        moved: np.ndarray = image_mm + np.sin(image_mm @ self.wave_vectors.T + self.phases) @ self.amplitudes_mm
        return moved

    def gradient(self, image_mm: np.ndarray) -> np.ndarray:
        """Return the derivative (N, 3, 3) of `to_body` at points (N, 3): body axis, image axis."""
        slope = np.cos(image_mm @ self.wave_vectors.T + self.phases)
        outer = self.amplitudes_mm[:, :, None] * self.wave_vectors[:, None, :]
        jacobian: np.ndarray = np.eye(3) + (slope @ outer.reshape(len(outer), 9)).reshape(-1, 3, 3)
        return jacobian

    def to_image(self, body_mm: np.ndarray) -> np.ndarray:
        """Invert `to_body` by fixed-point iteration; exact to a micrometre for the amplitudes drawn here."""
        image = np.array(body_mm, dtype=np.float64)
        for _ in range(_INVERSE_ROUNDS):
            image = image - (self.to_body(image) - body_mm)
        return image


def no_warp() -> Warp:
    """Return the identity."""
    return Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))


def sample_warp(rng: np.random.Generator, rms_mm: float) -> Warp:
    """Draw a deformation with a given root mean square displacement."""
    if rms_mm == 0:
        return no_warp()
    direction = rng.normal(size=(_WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = rng.uniform(_SHORTEST_MM, _LONGEST_MM, _WAVES)
    # Long waves move more than short ones, so that the strain stays about equal.
    amplitude = rng.normal(size=(_WAVES, 3)) * (length / length.mean())[:, None]
    amplitude *= rms_mm / np.sqrt((amplitude**2).sum() / 2)
    return Warp(direction * (2 * np.pi / length)[:, None], amplitude, rng.uniform(0, 2 * np.pi, _WAVES))
