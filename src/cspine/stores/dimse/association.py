"""One association with an archive, and what its failures mean in our words."""

import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext

from cspine.domain import Rejected, StoreError, StoreTimeout, Unreachable
from cspine.stores.dimse.titles import check_ae_title
from cspine.stores.tls import TlsFiles

_SETTLING_S = 5.0
# PS3.8 9.3.4: what a rejection that we meet in practice means for the user.
_REJECTIONS = {
    (1, 3): "it does not know our AE title {calling}; have it registered there",
    (1, 7): "it is not called {called}; check the AE title",
    (2, 2): "it does not speak our protocol version",
    (3, 1): "it is congested; try again later",
    (3, 2): "it has too many associations open; try again later",
}


@dataclass(frozen=True)
class DimsePeer:
    """An application entity on the network.

    Attributes
    ----------
    called, calling
        AE titles: its own, and ours.
    tls
        ``None`` speaks plain TCP.
    timeout_s
        For a connection, and for each answer.
    """

    host: str
    port: int
    called: str
    calling: str = "CSPINE"
    tls: TlsFiles | None = None
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        check_ae_title(self.called)
        check_ae_title(self.calling)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.called} at {self.host}:{self.port}"


@dataclass
class _Watch:
    """What happened while a connection was made."""

    opened: bool = False
    rejection: A_ASSOCIATE_RJ | None = None
    began_s: float = field(default_factory=time.monotonic)

    def note_open(self, event: Any) -> None:
        self.opened = True

    def note_answer(self, event: Any) -> None:
        """Keep a rejection: one that comes at once, pynetdicom takes for a connection that never was."""
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self.rejection = event.pdu


@contextmanager
def associated(
    peer: DimsePeer, contexts: Sequence[PresentationContext], *, handlers: Sequence[Any] = (), roles: Sequence[Any] = ()
) -> Iterator[Association]:
    """Yield an association that stands; it is released afterwards.

    Parameters
    ----------
    handlers, roles
        As pynetdicom takes them.

    Raises
    ------
    Unreachable
        No connection, or it broke.
    StoreTimeout
        No answer in time.
    Rejected
        The peer does not want us.
    """
    logging.getLogger("pynetdicom").propagate = False  # its records hold names of patients, and tracebacks
    entity = AE(peer.calling)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = peer.timeout_s
    entity.network_timeout = 2 * peer.timeout_s
    watch = _Watch()
    tls = None if peer.tls is None else (peer.tls.client_context(), peer.host)
    try:
        made = entity.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.called,
            ext_neg=list(roles),
            tls_args=tls,
            evt_handlers=[(evt.EVT_CONN_OPEN, watch.note_open), (evt.EVT_PDU_RECV, watch.note_answer), *handlers],
        )
    except (OSError, RuntimeError) as error:
        raise Unreachable(f"{peer.name} cannot be reached: {error}") from error
    transport = made.dul.socket
    connection = None if transport is None else transport.socket
    try:
        if not made.is_established:
            raise _why(peer, made, watch)
        yield made
        if made.is_established:
            made.release()
    finally:
        if made.is_established:
            made.abort()
        for thread in (made, made.dul):
            if thread.is_alive():
                thread.join(peer.timeout_s)
        if connection is not None:
            connection.close()  # pynetdicom leaves it to the garbage collector


def settle(made: Association) -> None:
    """Wait until the association can be used again after an exchange.

    Its loop pauses during an exchange and may still look paused when the next one begins; it then takes the answer away
    (pynetdicom issue 875), which happens on busy machines.
    """
    until_s = time.monotonic() + _SETTLING_S
    while made._is_paused and time.monotonic() < until_s:
        time.sleep(0.001)


def no_answer(peer: DimsePeer, made: Association, what: str) -> StoreError:
    """Return the error about an answer that did not come."""
    if made.acse.is_aborted("a-p-abort"):
        return Unreachable(f"the connection to {peer.name} broke in the midst of {what}; try again")
    if made.acse.is_aborted() or not (made.is_established or made._sent_abort):
        told = f"{peer.name} ended the association in the midst of {what}; it may not allow that to {peer.calling}"
        return Rejected(told, status="aborted")
    return StoreTimeout(f"{peer.name} did not answer {what} within {peer.timeout_s:g} s")


def _why(peer: DimsePeer, made: Association, watch: _Watch) -> StoreError:
    if watch.rejection is not None:
        source, diagnostic = watch.rejection.source or 0, watch.rejection.reason_diagnostic or 0
        told = _REJECTIONS.get((source, diagnostic), "without a reason that helps")
        told = told.format(calling=peer.calling, called=peer.called)
        return Rejected(f"{peer.name} rejected the association: {told}", status=f"source {source} reason {diagnostic}")
    if not watch.opened:
        return _unreachable(peer)
    if time.monotonic() - watch.began_s >= peer.timeout_s:
        return StoreTimeout(f"{peer.name} did not answer the association within {peer.timeout_s:g} s")
    if made.rejected_contexts:
        classes = ", ".join(str(one.abstract_syntax) for one in made.rejected_contexts[:3])
        return Rejected(f"{peer.name} offers nothing of what was asked for ({classes})", status="no context")
    secured = "is it a DICOM port, and does it want TLS?" if peer.tls is None else "is it a DICOM port with TLS?"
    return Rejected(f"{peer.name} ended the connection before an association stood; {secured}", status="aborted")


def _unreachable(peer: DimsePeer) -> StoreError:
    """Return why there is no connection, by trying once more."""
    try:
        with socket.create_connection((peer.host, peer.port), timeout=peer.timeout_s):
            pass
    except TimeoutError:
        return StoreTimeout(f"{peer.name} did not take the connection within {peer.timeout_s:g} s")
    except OSError as error:
        return Unreachable(f"{peer.name} cannot be reached: {error.strerror or error}; is it running")
    if peer.tls is not None:
        return Unreachable(f"{peer.name}: no TLS connection; check its certificate and ours")
    return Unreachable(f"{peer.name} cannot be reached; try again")
