"""What a scanner of the phantom is set to, and the grid of the series that it makes."""

from dataclasses import dataclass, field

import numpy as np

from cspine.domain import CANONICAL_DIRECTIONS, Grid
from cspine.phantom.kernels import (
    BONE_KERNELS,
    OTHER_BONE_KERNELS,
    OTHER_SOFT_KERNELS,
    SOFT_KERNELS,
    Kernel,
)

_SPACINGS_MM = (0.4, 0.5, 0.625, 0.75, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
_SPACING_ODDS = (0.15, 0.10, 0.27, 0.03, 0.17, 0.18, 0.03, 0.01, 0.03, 0.02, 0.01)


@dataclass(frozen=True)
class Scanner:
    """How a series is acquired and reconstructed.

    Attributes
    ----------
    family
        ``"A"`` or ``"B"``.
    field_of_view_mm
        Width and height of the image.
    matrix
        Rows and columns.
    spacing_mm, thickness_mm
        Distance and thickness of slices; the thickness is never less.
    noise_hu
        Standard deviation of the noise in an average neck.
    modulation
        0 … 1, share of extra attenuation that the tube current makes up for: low means noisy shoulders.
    tilt_deg
        Turn of the slices about the left–right axis, positive when the front goes up.
    hardening
        Strength of beam hardening, about 0.02 … 0.1.
    metal
        Strength of metal streaks; 1 is usual, 0 is a perfect metal correction.
    motion_mm
        Size of sudden movements during the scan; 0 is a still patient.
    circle_mm
        Diameter of the reconstruction circle; outside lies `padding_hu`.
    """

    family: str = "A"
    field_of_view_mm: float = 180.0
    matrix: tuple[int, int] = (512, 512)
    spacing_mm: float = 0.8
    thickness_mm: float = 1.0
    kernel: Kernel = field(default=BONE_KERNELS[0])
    noise_hu: float = 35.0
    modulation: float = 0.6
    tilt_deg: float = 0.0
    hardening: float = 0.05
    metal: float = 1.0
    motion_mm: float = 0.0
    circle_mm: float = 500.0
    padding_hu: int = -1024

    def __post_init__(self) -> None:
        if self.family not in ("A", "B") or self.kernel.family != self.family:
            raise ValueError(f"family must be A or B and that of the kernel, got {self.family!r} and {self.kernel}")
        if not 20 <= self.field_of_view_mm <= 700:
            raise ValueError(f"field_of_view_mm must be 20 … 700, got {self.field_of_view_mm}")
        if min(self.matrix) < 16:
            raise ValueError(f"matrix must have at least 16 rows and columns, got {self.matrix}")
        if not 0 < self.spacing_mm <= self.thickness_mm:
            raise ValueError(
                f"thickness must be at least the spacing, got {self.thickness_mm} mm at {self.spacing_mm} mm"
            )
        if abs(self.tilt_deg) > 30:
            raise ValueError(f"tilt_deg must be −30 … 30, got {self.tilt_deg}")

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Row and column spacing; pixels are square, and the field of view is that of the columns."""
        pixel = self.field_of_view_mm / self.matrix[1]
        return pixel, pixel


def sample_scanner(rng: np.random.Generator, family: str = "A") -> Scanner:
    """Draw a scanner as the RSNA 2022 series have them: mostly 0.4–1 mm slices, 512×512, bone kernels, small fields."""
    bone = bool(rng.random() < 0.6)
    kernels = {
        ("A", True): BONE_KERNELS,
        ("A", False): SOFT_KERNELS,
        ("B", True): OTHER_BONE_KERNELS,
        ("B", False): OTHER_SOFT_KERNELS,
    }[family, bone]
    kernel = kernels[int(rng.integers(len(kernels)))]
    spacing = float(rng.choice(_SPACINGS_MM, p=_SPACING_ODDS))
    thickness = spacing * float(rng.choice([1.0, 1.25, 1.6, 2.0], p=[0.5, 0.25, 0.15, 0.1]))
    wide = bool(rng.random() < 0.1)
    view = rng.uniform(250, 500) if wide else np.clip(rng.normal(180, 28), 120, 250)
    # Thicker slices hold more quanta; sharper kernels let more noise through.
    dose = rng.lognormal(0, 0.35)
    noise = (38.0 if bone else 11.0) * dose * np.sqrt(1.0 / thickness) * (kernel.half_per_mm / (0.8 if bone else 0.38))
    return Scanner(
        family=family,
        field_of_view_mm=float(view),
        matrix=((512, 512), (768, 768), (519, 512))[int(rng.choice(3, p=[0.95, 0.03, 0.02]))],
        spacing_mm=spacing,
        thickness_mm=thickness,
        kernel=kernel,
        noise_hu=float(np.clip(noise, 3, 130)),
        modulation=float(rng.uniform(0.45, 0.75)),
        tilt_deg=float(rng.normal(0, 6)) if rng.random() < 0.08 else 0.0,
        hardening=float(rng.uniform(0.02, 0.09)),
        metal=float(rng.uniform(0.4, 1.4)),
        motion_mm=float(rng.uniform(0.3, 2.5)) if rng.random() < 0.08 else 0.0,
        circle_mm=500.0 if rng.random() < 0.85 else float(view),
        padding_hu=int(rng.choice([-1024, -1024, -2000, -3024])),
    )


def native_grid(
    scanner: Scanner, center_lps_mm: tuple[float, float, float], top_z_mm: float, bottom_z_mm: float
) -> Grid:
    """Return the grid of a series, in canonical axis order.

    Parameters
    ----------
    center_lps_mm
        Middle of the image; with a tilt the slices turn about this point.
    top_z_mm, bottom_z_mm
        Centers of the first slice and, at most, of the last one on the axis through the middle.
    """
    if top_z_mm <= bottom_z_mm:
        raise ValueError(f"top must lie above bottom, got {top_z_mm} and {bottom_z_mm} mm")
    slices = int((top_z_mm - bottom_z_mm) / scanner.spacing_mm + 1e-6) + 1
    turn = np.deg2rad(scanner.tilt_deg)
    cos, sin = np.cos(turn), np.sin(turn)
    around_x = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    directions = CANONICAL_DIRECTIONS @ around_x
    rows, columns = scanner.matrix
    pixel = scanner.pixel_mm
    center = np.asarray(center_lps_mm, dtype=np.float64)
    start = (
        center
        - directions[0] * (top_z_mm - center[2])
        - directions[1] * pixel[0] * (rows - 1) / 2
        - directions[2] * pixel[1] * (columns - 1) / 2
    )
    x, y, z = (float(v) for v in start)
    return Grid.from_axes((slices, rows, columns), (scanner.spacing_mm, *pixel), (x, y, z), directions)


__all__ = ["Scanner", "native_grid", "sample_scanner"]
