"""Decode pixel data to HU: the program of a disposable child process.

It is started as a script and imports nothing of cspine, so that it is up in a blink and a damaged image can kill
nothing but itself. Requests and replies are JSON over one socket; the HU go straight into shared memory, whose
descriptor comes with each request. The functions are imported by tests as well.

Request: 4 bytes length (with the descriptor), then ``{"jobs": [job, …]}``; a job is a `cspine.dicom.decode.Job`
as a dictionary. Reply: ``ready`` once, then one line per job, ``{"clamped": n, "highest": v}`` or
``{"error": sentence}``.
"""

import json
import os
import re
import resource
import socket
import struct
import sys
import zlib
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np

AIR_HU = -1024
INT16_HIGHEST = 32767

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_ITEM_HEADER = struct.Struct("<4sI")
_FRAGMENT_LIMIT = 100_000
_START_OF_FRAME = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7))
_END_OF_IMAGE, _TRAILING_BYTES = b"\xff\xd9", 1024
_SIZ = re.compile(rb"\xff\x4f\xff\x51", re.DOTALL)
_Index = tuple[tuple[int, ...], tuple[tuple[int, int], ...]]
# What the codecs and our own checks raise on damaged data.
_DAMAGE = (ValueError, OSError, RuntimeError, zlib.error, struct.error, MemoryError, LookupError, TypeError)


def main() -> None:
    """Serve requests until the parent closes the socket."""
    memory_bytes = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the limit is not enforced or counts shared libraries
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with socket.socket(fileno=int(sys.argv[1])) as link:
        link.sendall(b"ready\n")
        while request := _receive(link):
            jobs, descriptor = request
            try:
                for job in jobs:
                    link.sendall(json.dumps(_answer(job, descriptor)).encode() + b"\n")
            finally:
                os.close(descriptor)


def _receive(link: socket.socket) -> tuple[list[dict[str, Any]], int] | None:
    head, descriptors, _, _ = socket.recv_fds(link, 4, 1)
    if len(head) < 4 or not descriptors:
        return None
    left, parts = struct.unpack("<I", head)[0], []
    while left:
        part = link.recv(min(left, 1 << 20))
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    jobs: list[dict[str, Any]] = json.loads(b"".join(parts))["jobs"]
    return jobs, descriptors[0]


def _answer(job: dict[str, Any], descriptor: int) -> dict[str, Any]:
    try:
        hu, clamped, highest = decode_slice(job)
        _write(descriptor, hu, int(job["at"]))
    except _DAMAGE as error:
        return {"error": f"{type(error).__name__}: {error}" if str(error) else type(error).__name__}
    return {"clamped": clamped, "highest": highest}


def _write(descriptor: int, hu: np.ndarray, at: int) -> None:
    view = memoryview(np.ascontiguousarray(hu).data).cast("B")
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done


def decode_slice(job: dict[str, Any]) -> tuple[np.ndarray, int, float]:
    """Decode one slice.

    Returns
    -------
    tuple
        HU (rows, columns) as int16 or float32 as the job asks, the number of pixels set to `AIR_HU` because they
        were padding or below it, and the highest HU. When that exceeds int16, the int16 values are meaningless.

    Raises
    ------
    ValueError
        The data is damaged or of another size than the header says.
    """
    stored = stored_values(job)
    if job["invert"]:
        stored = ~stored if job["signed"] else ((1 << job["bits_stored"]) - 1) - stored
    return to_hu(stored, job)


def stored_values(job: dict[str, Any]) -> np.ndarray:
    """Return the stored values (rows, columns): uint or int of 16 or 32 bits, with stray high bits removed."""
    shape = (job["rows"], job["columns"])
    bits = job["bits_stored"]
    with open(job["path"], "rb", buffering=0) as file:
        data: Any = _DATA[job["codec"]](file.fileno(), job)
    values = _CODECS[job["codec"]](data, job)
    if values.shape != shape:
        raise ValueError(f"decodes to {values.shape}, the header says {shape}")
    if job["codec"] == "jpeg2000":
        _, _, _, precision, signed = j2k_size(data)
        bits = bits if signed == job["signed"] else precision
    return _cleaned(values, bits, job["signed"])


def to_hu(stored: np.ndarray, job: dict[str, Any]) -> tuple[np.ndarray, int, float]:
    """Rescale to HU and set padding and everything below `AIR_HU` to it; see `decode_slice`."""
    slope, intercept, padding = job["slope"], job["intercept"], job["padding"]
    pad = None if padding is None else (stored >= padding[0]) & (stored <= padding[1])
    plain = slope == 1 and intercept == int(intercept) and job["out"] == "int16" and stored.itemsize == 2
    if plain and abs(intercept) <= INT16_HIGHEST:
        floor = AIR_HU - int(intercept)
        info = np.iinfo(stored.dtype)
        low = min(max(floor, info.min), info.max)
        clamped = 0 if low == info.min else int(np.count_nonzero(stored < low))
        stored = np.maximum(stored, stored.dtype.type(low), out=stored if stored.flags.writeable else None)
        highest = float(int(stored.max()) + int(intercept))
        hu = stored.view(np.int16)
        hu += np.int16(int(intercept))  # two's complement wraps: right whenever the result fits
    else:
        wide = stored * np.float64(slope) + np.float64(intercept)
        clamped = int(np.count_nonzero(wide < AIR_HU))
        wide = np.maximum(wide, AIR_HU)
        highest = float(wide.max())
        hu = np.rint(wide).clip(None, INT16_HIGHEST).astype(np.int16) if job["out"] == "int16" else wide.astype("f4")
    if pad is not None:
        clamped += int(np.count_nonzero(pad & (hu != AIR_HU)))
        hu[pad] = AIR_HU
    return hu, clamped, highest


def _cleaned(values: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    """Drop bits above `bits` and extend the sign: old overlays live there, and codecs know no sign."""
    width = values.dtype.itemsize * 8
    kind = np.dtype(f"{'i' if signed else 'u'}{values.dtype.itemsize}")
    if bits >= width:
        return values.view(kind)
    if signed:
        spare = kind.type(width - bits)
        extended: np.ndarray = (values.view(kind) << spare) >> spare
        return extended
    masked: np.ndarray = values.view(kind) & kind.type((1 << bits) - 1)
    return masked


def _plain_data(descriptor: int, job: dict[str, Any]) -> np.ndarray | bytes:
    size = job["rows"] * job["columns"] * job["bits_allocated"] // 8
    at = job["offset"] + job["frame"] * size
    data: np.ndarray | bytes
    if job["deflated_from"] is None:
        data = np.empty(size, np.uint8)  # writable, so that rescaling need not copy it
        data = data[: os.preadv(descriptor, [data.data], at)]
    else:
        packed = os.pread(descriptor, os.fstat(descriptor).st_size, job["deflated_from"])
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, at + size)[at:]
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes of pixel data where {size} are needed")
    return data


def _encapsulated_data(descriptor: int, job: dict[str, Any]) -> bytes:
    frames, frame = job["frames"], job["frame"]
    status = os.fstat(descriptor)
    version = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    index = _fragments if frames == 1 else _remembered_fragments
    table, fragments = index(descriptor, version, job["offset"])
    if frames == 1:
        mine = fragments
    elif len(fragments) == frames:
        mine = fragments[frame : frame + 1]
    elif len(table) == frames:
        first = fragments[0][0] - 8
        start = first + table[frame]
        stop = first + table[frame + 1] if frame + 1 < frames else sys.maxsize
        mine = tuple(f for f in fragments if start <= f[0] - 8 < stop)
    else:
        raise ValueError(f"{len(fragments)} fragments cannot be assigned to {frames} frames")
    data = b"".join(os.pread(descriptor, length, at) for at, length in mine)
    if not data or len(data) != sum(length for _, length in mine):
        raise ValueError("truncated: compressed pixel data ends early")
    return data


@lru_cache(maxsize=2)
def _remembered_fragments(descriptor: int, version: tuple[int, ...], at: int) -> _Index:
    """Return `_fragments` of a multi-frame file, walked once and not once per frame."""
    return _fragments(descriptor, version, at)


def _fragments(descriptor: int, version: tuple[int, ...], at: int) -> _Index:
    """Return the basic offset table and (offset, length) of each fragment (PS3.5 section A.4).

    `version` is device, inode, time and size of the file.
    """
    file_size = version[-1]
    items: list[tuple[int, int]] = []
    while len(items) <= _FRAGMENT_LIMIT:
        head = os.pread(descriptor, 8, at)
        if len(head) < 8:
            raise ValueError("truncated: compressed pixel data has no end")
        tag, length = _ITEM_HEADER.unpack(head)
        if tag == _SEQUENCE_END:
            break
        if tag != _ITEM or at + 8 + length > file_size:
            raise ValueError(f"damaged fragment {len(items)} at byte {at}: {length} bytes announced")
        items.append((at + 8, length))
        at += 8 + length
    if len(items) < 2:
        raise ValueError("no fragment of compressed pixel data")
    offsets, table_bytes = items[0]
    table = os.pread(descriptor, table_bytes, offsets)
    return struct.unpack(f"<{table_bytes // 4}I", table[: table_bytes // 4 * 4]), tuple(items[1:])


def jpeg_size(data: bytes) -> tuple[int, int, int]:
    """Return rows, columns and components of a JPEG or JPEG-LS stream."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _START_OF_FRAME:
            rows, columns, components = struct.unpack(">HHB", data[at + 5 : at + 10])
            return rows, columns, components
        at += 1 if marker == 0xFF else 2 + length
    raise ValueError("no frame header in the JPEG stream")


def j2k_size(data: bytes) -> tuple[int, int, int, int, bool]:
    """Return rows, columns, components, precision and sign of a JPEG 2000 stream, from its SIZ marker."""
    found = _SIZ.search(data, 0, 4096)
    if found is None or found.end() + 39 > len(data):
        raise ValueError("no SIZ marker in the JPEG 2000 stream")
    x, y, x0, y0 = struct.unpack_from(">4I", data, found.end() + 4)
    components, depth = struct.unpack_from(">HB", data, found.end() + 36)
    return y - y0, x - x0, components, (depth & 0x7F) + 1, bool(depth & 0x80)


def _raw(data: np.ndarray | bytes, job: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(f"{'>' if job['big_endian'] else '<'}u{job['bits_allocated'] // 8}")
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(job["rows"], job["columns"])


def _rle(data: bytes, job: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(f"<u{job['bits_allocated'] // 8}")
    decoded = imagecodecs.dicomrle_decode(data, dtype)
    flat = np.frombuffer(decoded, dtype).astype(dtype.newbyteorder("="), copy=False)
    if flat.size != job["rows"] * job["columns"]:
        raise ValueError(f"decodes to {flat.size} pixels, the header says {job['rows']} × {job['columns']}")
    return flat.reshape(job["rows"], job["columns"])


def _ljpeg(data: bytes, job: dict[str, Any]) -> np.ndarray:
    _check_size(jpeg_size(data), job)
    _check_end(data)
    try:
        return _sixteen(imagecodecs.jpeg_decode(data))
    except RuntimeError:  # libjpeg-turbo is the faster one, the other knows a few more variants
        return _sixteen(imagecodecs.ljpeg_decode(data))


def _jpegls(data: bytes, job: dict[str, Any]) -> np.ndarray:
    _check_size(jpeg_size(data), job)
    _check_end(data)
    return _sixteen(imagecodecs.jpegls_decode(data))


def _jpeg2000(data: bytes, job: dict[str, Any]) -> np.ndarray:
    _check_size(j2k_size(data)[:3], job)
    return _sixteen(imagecodecs.jpeg2k_decode(data, numthreads=1))


def _check_size(found: tuple[int, int, int], job: dict[str, Any]) -> None:
    said = (job["rows"], job["columns"], 1)
    if found != said:
        raise ValueError(f"the stream holds rows × columns × components {found}, the header says {said}")


def _check_end(data: bytes) -> None:
    """Refuse a stream without its end marker: libjpeg-turbo fills up what is missing without a word."""
    if data.rfind(_END_OF_IMAGE, max(0, len(data) - _TRAILING_BYTES)) < 0:
        raise ValueError("truncated: the stream has no end marker")


def _sixteen(values: np.ndarray) -> np.ndarray:
    if values.dtype.itemsize != 2:
        raise ValueError(f"decodes to {values.dtype}, 16 bits were expected")
    return values.view(np.uint16)


_DATA = {"raw": _plain_data} | dict.fromkeys(("rle", "ljpeg", "jpegls", "jpeg2000"), _encapsulated_data)
_CODECS = {"raw": _raw, "rle": _rle, "ljpeg": _ljpeg, "jpegls": _jpegls, "jpeg2000": _jpeg2000}

if __name__ == "__main__":
    main()
