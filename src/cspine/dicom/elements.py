"""Read the few elements that cspine needs from the head of a DICOM file, without decoding anything else.

A general parser costs more than reading the pixels does. This one walks explicit and implicit VR in either byte
order, keeps the raw bytes of the wanted elements and stops at the pixel data. Whatever is unusual raises `Unusual`,
and the caller asks pydicom. Reference: PS3.5 sections 7.1 and 7.5, PS3.10 section 7.1.
"""

import struct
import zlib
from dataclasses import dataclass

PIXEL_DATA = 0x7FE00010
FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)
TRANSFER_SYNTAX = 0x00020010
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
# A deflated object of the largest accepted image is far smaller; more is a decompression bomb.
INFLATED_LIMIT = 64 * 2**20

_PREAMBLE = 132
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_DEEPEST = 16
_WHOLE_HEADER = 12
_DELIMITERS = (b"\xfe\xff", b"\xff\xfe")


class Unusual(Exception):
    """The bytes are not of the plain kind that this reader understands."""


class NeedMore(Exception):
    """The element at hand reaches beyond the bytes given."""


@dataclass(frozen=True)
class RawHeader:
    """The wanted elements of one object.

    Attributes
    ----------
    values
        Tag → value bytes, as stored.
    transfer_syntax
        UID.
    big_endian
        Byte order of binary values.
    pixel_offset
        Where the pixel value begins, from the start of the file; ``None`` without pixel data.
    pixel_length
        Its announced length; ``None`` when undefined (encapsulated).
    deflated_from
        Where the deflated body begins; `pixel_offset` then counts within the inflated body. ``None`` when not deflated.
    """

    values: dict[int, bytes]
    transfer_syntax: str
    big_endian: bool = False
    pixel_offset: int | None = None
    pixel_length: int | None = None
    deflated_from: int | None = None


def parse(head: bytes, wanted: frozenset[int]) -> RawHeader:
    """Parse the head of a Part 10 file.

    Parameters
    ----------
    head
        The first bytes of the file, from the preamble on.
    wanted
        Tags to keep.

    Raises
    ------
    Unusual
        Not plain Part 10.
    NeedMore
        The pixel data does not begin within `head`.
    """
    try:
        return _parse(head, wanted)
    except struct.error as error:
        raise NeedMore from error


def _parse(head: bytes, wanted: frozenset[int]) -> RawHeader:
    if head[128:_PREAMBLE] != b"DICM":
        raise Unusual("no DICM prefix")
    meta: dict[int, bytes] = {}
    start = _Walk(head, "<", True, frozenset((TRANSFER_SYNTAX,)), meta).group_two(_PREAMBLE)
    syntax = meta.get(TRANSFER_SYNTAX, b"").rstrip(b"\0 ").decode("ascii", "replace")
    if not syntax:
        raise Unusual("no transfer syntax")
    body, deflated_from = head, start if syntax == DEFLATED else None
    if deflated_from is not None:
        body, start = inflate(head[start:]), 0
    values: dict[int, bytes] = {}
    order = ">" if syntax == BIG_ENDIAN else "<"
    walk = _Walk(body, order, syntax != IMPLICIT_LITTLE, wanted, values)
    offset, length = walk.to_pixels(start)
    return RawHeader(values, syntax, order == ">", offset, length, deflated_from)


def inflate(data: bytes) -> bytes:
    """Inflate the body of a deflated object, up to `INFLATED_LIMIT` bytes.

    Raises
    ------
    Unusual
        Not a deflate stream, or larger than the limit.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = stream.decompress(data, INFLATED_LIMIT)
    except zlib.error as error:
        raise Unusual(f"damaged deflate stream: {error}") from error
    if stream.unconsumed_tail:
        raise Unusual(f"inflates to more than {INFLATED_LIMIT} bytes")
    return body


class _Walk:
    """A walk over the elements of one data set in `data`."""

    def __init__(self, data: bytes, order: str, explicit: bool, wanted: frozenset[int], values: dict[int, bytes]):
        self.data, self.wanted, self.values = data, wanted, values
        self.tag_of = struct.Struct(order + "HH").unpack_from
        self.short = struct.Struct(order + "HH2sH").unpack_from
        self.long = struct.Struct(order + "I").unpack_from
        self.next = self._explicit if explicit else self._implicit

    def _explicit(self, at: int) -> tuple[int, int, int]:
        """Return tag, value offset and length of the element at `at`."""
        group, element, vr, length = self.short(self.data, at)
        if vr in _SHORT_VRS:
            return group << 16 | element, at + 8, length
        if vr in _LONG_VRS:
            length = self.long(self.data, at + 8)[0]
            if vr == b"UN" and length == _UNDEFINED:
                raise Unusual("an unknown sequence, implicit within explicit")
            return group << 16 | element, at + _WHOLE_HEADER, length
        if group == 0xFFFE:
            return group << 16 | element, at + 8, self.long(self.data, at + 4)[0]
        raise Unusual(f"value representation {vr!r} at byte {at}")

    def _implicit(self, at: int) -> tuple[int, int, int]:
        group, element = self.tag_of(self.data, at)
        return group << 16 | element, at + 8, self.long(self.data, at + 4)[0]

    def group_two(self, at: int) -> int:
        """Collect the file meta group; return where it ends."""
        while self._room(at) and self.tag_of(self.data, at)[0] == 2:
            at = self._take(at)[1]
        return at

    def to_pixels(self, at: int) -> tuple[int | None, int | None]:
        """Collect until the pixel data; return its offset and length, ``None`` twice when the data set ends first."""
        data, wanted, values, previous = self.data, self.wanted, self.values, 0
        end = len(data)
        while at < end:
            if end - at < _WHOLE_HEADER:
                raise NeedMore
            tag, value, length = self.next(at)
            if tag == PIXEL_DATA:
                return value, None if length == _UNDEFINED else length
            if tag <= previous or tag in FLOAT_PIXEL_DATA:
                raise Unusual(f"tag {tag:08x} after {previous:08x}")
            previous = tag
            if length == _UNDEFINED:
                at = self._sequence(value, 0)
                if tag in wanted:
                    values[tag] = data[value:at]
                continue
            at = value + length
            if at > end:
                raise NeedMore
            if tag in wanted:
                values[tag] = data[value:at]
        return None, None

    def _take(self, at: int) -> tuple[int, int]:
        tag, value, length = self.next(at)
        stop = value + length
        if stop > len(self.data):
            raise NeedMore
        if tag in self.wanted:
            self.values[tag] = self.data[value:stop]
        return tag, stop

    def _room(self, at: int) -> bool:
        if len(self.data) - at < _WHOLE_HEADER:
            raise NeedMore
        return True

    def _sequence(self, at: int, depth: int) -> int:
        """Return where a sequence of undefined length ends."""
        if depth > _DEEPEST:
            raise Unusual("sequences nested too deep")
        while self._room_for_delimiter(at):
            tag, value, length = self._implicit(at)
            if tag == _SEQUENCE_END:
                return value
            if tag != _ITEM:
                raise Unusual(f"tag {tag:08x} where a sequence item was expected")
            at = self._item(value, depth) if length == _UNDEFINED else value + length
        raise NeedMore

    def _item(self, at: int, depth: int) -> int:
        """Return where an item of undefined length ends."""
        while self._room_for_delimiter(at):
            tag, value, length = self.next(at) if self.data[at : at + 2] not in _DELIMITERS else self._implicit(at)
            if tag == _ITEM_END:
                return value
            at = self._sequence(value, depth + 1) if length == _UNDEFINED else value + length
        raise NeedMore

    def _room_for_delimiter(self, at: int) -> bool:
        if len(self.data) - at < 8:
            raise NeedMore
        return True
