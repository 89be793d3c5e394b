"""Transfer syntaxes: how pixel data is stored, and whether Hounsfield units survive it (PS3.5 section 8.2, annex A)."""

from dataclasses import dataclass
from enum import StrEnum


class Codec(StrEnum):
    """How the child process decodes one frame."""

    RAW = "raw"
    RLE = "rle"
    LJPEG = "ljpeg"
    JPEGLS = "jpegls"
    JPEG2000 = "jpeg2000"


class Loss(StrEnum):
    """What the syntax does to pixel values."""

    NEVER = "never"
    POSSIBLE = "possible"
    ALWAYS = "always"
    FATAL = "fatal"


@dataclass(frozen=True)
class Syntax:
    """One transfer syntax."""

    uid: str
    name: str
    codec: Codec | None
    loss: Loss
    big_endian: bool = False
    deflated: bool = False

    @property
    def encapsulated(self) -> bool:
        """Whether frames lie in fragments."""
        return self.codec is not Codec.RAW


RAW = "1.2.840.10008.1.2.1"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"

_TABLE = (
    Syntax("1.2.840.10008.1.2", "Implicit VR Little Endian", Codec.RAW, Loss.NEVER),
    Syntax(RAW, "Explicit VR Little Endian", Codec.RAW, Loss.NEVER),
    Syntax("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian", Codec.RAW, Loss.NEVER, deflated=True),
    Syntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian", Codec.RAW, Loss.NEVER, big_endian=True),
    Syntax("1.2.840.10008.1.2.4.50", "JPEG Baseline (8-bit, lossy)", None, Loss.FATAL),
    Syntax("1.2.840.10008.1.2.4.51", "JPEG Extended (12-bit, lossy)", None, Loss.FATAL),
    Syntax("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection (12-bit, lossy)", None, Loss.FATAL),
    Syntax("1.2.840.10008.1.2.4.55", "JPEG Full Progression (12-bit, lossy)", None, Loss.FATAL),
    Syntax("1.2.840.10008.1.2.4.57", "JPEG Lossless (process 14)", Codec.LJPEG, Loss.NEVER),
    Syntax(JPEG_LOSSLESS, "JPEG Lossless (process 14, selection value 1)", Codec.LJPEG, Loss.NEVER),
    Syntax("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", Codec.JPEGLS, Loss.NEVER),
    Syntax("1.2.840.10008.1.2.4.81", "JPEG-LS Near-lossless", Codec.JPEGLS, Loss.POSSIBLE),
    Syntax("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", Codec.JPEG2000, Loss.NEVER),
    Syntax("1.2.840.10008.1.2.4.91", "JPEG 2000", Codec.JPEG2000, Loss.POSSIBLE),
    Syntax("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Lossless", Codec.JPEG2000, Loss.NEVER),
    Syntax("1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 Lossless RPCL", Codec.JPEG2000, Loss.NEVER),
    Syntax("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", Codec.JPEG2000, Loss.POSSIBLE),
    Syntax("1.2.840.10008.1.2.5", "RLE Lossless", Codec.RLE, Loss.NEVER),
)
SYNTAXES: dict[str, Syntax] = {syntax.uid: syntax for syntax in _TABLE}
# What is taken from a network, best first: a peer that offers several in one context gets the first of these.
# Deflated objects can hide any size and are not taken; lossy ones are, and refused later with the reason.
NETWORK_SYNTAXES = (RAW, *(syntax.uid for syntax in _TABLE if syntax.uid != RAW and not syntax.deflated))
