"""How scanners of different makers store CT images: bits, offset, padding and names of bone kernels."""

from dataclasses import dataclass
from enum import StrEnum


class Vendor(StrEnum):
    """Whose habits a written series follows."""

    CSPINE = "cspine"
    SIEMENS = "siemens"
    GE = "ge"
    PHILIPS = "philips"
    TOSHIBA = "toshiba"


@dataclass(frozen=True)
class Habits:
    """What a maker's CT images look like.

    Attributes
    ----------
    bits_stored, signed, intercept
        Stored value = HU − intercept; HU that do not fit are clipped, as scanners do.
    padding
        PixelPaddingValue in stored units, or ``None``.
    extra_image_type
        Fourth value of ImageType.
    """

    manufacturer: str
    model: str
    kernel: str
    bits_stored: int
    signed: bool
    intercept: int
    padding: int | None = None
    extra_image_type: str = ""
    rescale_type: str = "HU"

    @property
    def stored_range(self) -> tuple[int, int]:
        """Lowest and highest stored value."""
        if self.signed:
            return -(1 << self.bits_stored - 1), (1 << self.bits_stored - 1) - 1
        return 0, (1 << self.bits_stored) - 1


HABITS: dict[Vendor, Habits] = {
    Vendor.CSPINE: Habits("cspine", "synthetic", "SHARP", 16, True, 0),
    Vendor.SIEMENS: Habits(
        "SIEMENS", "SOMATOM Definition AS+", "B70s", 12, False, -1024, extra_image_type="CT_SOM5 SPI"
    ),
    Vendor.GE: Habits("GE MEDICAL SYSTEMS", "LightSpeed VCT", "BONEPLUS", 16, True, -1024, padding=-2000),
    Vendor.PHILIPS: Habits("Philips", "Brilliance 64", "D", 12, False, -1024, extra_image_type="HELIX"),
    Vendor.TOSHIBA: Habits("TOSHIBA", "Aquilion", "FC30", 16, True, 0, rescale_type=""),
}
