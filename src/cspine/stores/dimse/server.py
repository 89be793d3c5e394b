"""The listening side of pynetdicom, with a doorkeeper: who may connect, how many at a time, and within which bounds."""

import ipaddress
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket
from socketserver import BaseServer
from typing import Any

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from cspine.stores.dimse.guard import Bounds, guarded

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Beyond the associations that may be open: so many more are told that there are too many; the rest is cut off.
_TOLD = 4


@dataclass(frozen=True)
class Door:
    """Who may connect, and within which bounds.

    Attributes
    ----------
    associations
        At a time.
    silence_s
        Longest pause in the midst of a PDU or a handshake.
    report
        Told of every refusal.
    """

    networks: tuple[Network, ...]
    associations: int
    bounds: Bounds
    silence_s: float
    tls: ssl.SSLContext | None
    report: Callable[[str], None]

    def admits(self, host: str) -> bool:
        """Whether an address is on the list."""
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.networks)


class GuardedServer(ThreadedAssociationServer):
    """An association server behind a door."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32
    door: Door

    def __init__(self, *args: Any, door: Door, **rest: Any):
        self.door = door
        self._shaking_hands = 0
        self._count = threading.Lock()
        rest["request_handler"] = _GuardedHandler
        super().__init__(*args, **rest)

    def get_request(self) -> tuple[socket, Any]:
        """Accept a connection; a handshake would let one silent peer keep all others out."""
        assert self.socket is not None
        return self.socket.accept()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse addresses that are not on the list, and what is too many."""
        host = str(client_address[0])
        if not self.door.admits(host):
            self.door.report(f"refused a connection from {host}: its address is not on the list")
            return False
        open_now = len(self.active_associations) + self._shaking_hands
        if open_now >= self.door.associations + _TOLD:
            self.door.report(f"refused a connection from {host}: {open_now} are open")
            return False
        return True

    def shutdown(self) -> None:
        """Stop listening; open associations go on."""
        BaseServer.shutdown(self)
        self.server_close()

    def shake_hands(self, connection: socket) -> socket:
        """Return the connection within its bounds."""
        with self._count:
            self._shaking_hands += 1
        try:
            door = self.door
            return guarded(connection, door.bounds, door.tls, door.silence_s)
        finally:
            with self._count:
                self._shaking_hands -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what ended a connection before it became an association."""
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        self.door.report(f"a connection from {client_address[0]} failed: {error}")


class _GuardedHandler(RequestHandler):
    """Makes an association of a connection, within bounds."""

    server: GuardedServer

    def handle(self) -> None:
        """Shake hands, then let pynetdicom take over."""
        self.request = self.server.shake_hands(self.request)
        super().handle()
