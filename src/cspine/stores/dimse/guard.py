"""Sockets that bound what a peer may announce: pynetdicom reads a PDU of any announced length into memory.

The framing of the upper layer protocol (PS3.8 9.3.1) is followed byte by byte: type, reserved, length of what follows.
"""

import errno
import socket
import ssl
import struct
import time
from dataclasses import dataclass

_HEADER = struct.Struct(">BxL")
_DATA = 4


@dataclass(frozen=True)
class Bounds:
    """What one connection may do.

    Attributes
    ----------
    pdu_bytes
        Longest PDU.
    message_bytes
        Data between two objects.
    pdu_s
        A PDU must have arrived whole so long after its first byte.
    """

    pdu_bytes: int
    message_bytes: int
    pdu_s: float


class Framing:
    """Follows the stream of one connection."""

    def __init__(self, bounds: Bounds):
        self._bounds = bounds
        self._header = bytearray()
        self._left, self._message, self._began_s = 0, 0, 0.0

    def begin_message(self) -> None:
        """Count the data of a message from here on."""
        self._message = 0

    def follow(self, data: bytes) -> bytes:
        """Take note of bytes that arrived, and return them.

        Raises
        ------
        OSError
            Beyond the bounds; the connection is of no use any more.
        """
        rest = memoryview(data)
        while rest:
            if not self._left:
                rest = self._read_header(rest)
            taken = min(self._left, len(rest))
            self._left -= taken
            rest = rest[taken:]
        if (self._left or self._header) and time.monotonic() - self._began_s > self._bounds.pdu_s:
            raise TimeoutError(f"a PDU took longer than {self._bounds.pdu_s:g} s")
        return data

    def _read_header(self, rest: memoryview) -> memoryview:
        if not self._header:
            self._began_s = time.monotonic()
        wanted = _HEADER.size - len(self._header)
        self._header += rest[:wanted]
        if len(self._header) < _HEADER.size:
            return rest[wanted:]
        kind, self._left = _HEADER.unpack(self._header)
        self._header.clear()
        if self._left > self._bounds.pdu_bytes:
            raise OSError(errno.EMSGSIZE, f"a PDU of {self._left} bytes; at most {self._bounds.pdu_bytes} are read")
        self._message += self._left if kind == _DATA else 0
        if self._message > self._bounds.message_bytes:
            raise OSError(errno.EMSGSIZE, f"an object of more than {self._bounds.message_bytes} bytes")
        return rest[wanted:]


class GuardedSocket(socket.socket):
    """A plain connection within bounds."""

    framing: Framing | None = None

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive within the bounds."""
        return _followed(self, super().recv(bufsize, flags))


class GuardedTlsSocket(ssl.SSLSocket):
    """An encrypted connection within bounds."""

    framing: Framing | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive within the bounds."""
        return _followed(self, super().recv(buflen, flags))


def _followed(connection: GuardedSocket | GuardedTlsSocket, data: bytes) -> bytes:
    """Return the data; close the connection at its end and beyond its bounds, where pynetdicom would leave it open."""
    try:
        followed = data if connection.framing is None else connection.framing.follow(data)
    except OSError:
        connection.close()
        raise
    if not data:
        connection.close()
    return followed


def guarded(
    connection: socket.socket, bounds: Bounds, context: ssl.SSLContext | None, silence_s: float
) -> GuardedSocket | GuardedTlsSocket:
    """Take over an accepted connection; do the TLS handshake where there is a context.

    Parameters
    ----------
    silence_s
        After so long without a byte in the midst of something, the connection ends.

    Raises
    ------
    OSError
        The handshake failed or took too long.
    """
    connection.settimeout(silence_s)
    if context is None:
        plain = GuardedSocket(connection.family, connection.type, connection.proto, fileno=connection.detach())
        plain.settimeout(silence_s)
        plain.framing = Framing(bounds)
        return plain
    context.sslsocket_class = GuardedTlsSocket
    secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    assert isinstance(secured, GuardedTlsSocket)
    try:
        secured.do_handshake()
    except OSError:
        secured.close()
        raise
    secured.framing = Framing(bounds)
    return secured
