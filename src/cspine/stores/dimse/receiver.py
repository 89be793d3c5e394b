"""`Receiver`: a C-STORE provider that answers "success" only for what is on the disk.

Use
---
::

    inbox = Inbox(folder)
    with Receiver(ReceiverConfig(port=11112), inbox) as receiver:
        receiver.run(Delivery(inbox, quiet_s=30, on_study=take_over), stop)

Contract: `on_study` gets a `ReceivedStudy` when nothing of a study has arrived for ``quiet_s``. Its folder holds all
objects of the study so far and never changes. Late or changed objects make a new version, which supersedes. Each
version is handed over at least once, also after a crash; see `Delivery`.
"""

import ipaddress
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made by the module's __getattr__

from cspine.dicom import NETWORK_SYNTAXES
from cspine.domain import ConfigError, InputError, StoreError, Unreachable
from cspine.stores.dimse.guard import Bounds
from cspine.stores.dimse.server import Door, GuardedServer, Network
from cspine.stores.dimse.titles import check_ae_title
from cspine.stores.inbox import Delivery, Inbox
from cspine.stores.tls import TlsFiles

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000

_LOOPBACK = ("127.0.0.0/8", "::1/128")
# Senders exceed what was announced to them; an A-ASSOCIATE-RQ of 128 contexts has some 50 KB.
_PDU_SLACK = 4
_STEP_S = 0.25
_CLOSING_S = 10.0


@dataclass(frozen=True)
class ReceiverConfig:
    """Where to listen, and to whom.

    Attributes
    ----------
    ae_title
        Ours; a call to another title is rejected.
    host
        Address to bind; only this machine can reach the default.
    port
        0 takes any that is free.
    callers
        AE titles that may call; with none, any title from an allowed address.
    networks
        Addresses that may connect, as ``"10.1.2.3"`` or ``"10.1.0.0/16"``.
    associations
        At a time.
    pdu_bytes
        Longest PDU that is asked for; four times as much ends the connection.
    idle_s
        Longest silence.
    tls
        Speak TLS with these files; with a ``ca_file``, only to clients with a certificate from there.
    """

    ae_title: str = "CSPINE"
    host: str = "127.0.0.1"
    port: int = 11112
    callers: tuple[str, ...] = ()
    networks: tuple[str, ...] = _LOOPBACK
    associations: int = 8
    pdu_bytes: int = 131_072
    idle_s: float = 60.0
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        for title in (self.ae_title, *self.callers):
            check_ae_title(title)
        _ = self.allowed
        for name, value, least, most in (
            ("port", self.port, 0, 65_535),
            ("associations", self.associations, 1, 1_000),
            ("pdu_bytes", self.pdu_bytes, 4_096, 16 * 2**20),
            ("idle_s", self.idle_s, 0.1, 86_400),
        ):
            if not least <= value <= most:
                raise ConfigError(f"{name} is {value}, must be {least} … {most}")

    @property
    def allowed(self) -> tuple[Network, ...]:
        """The networks that may connect."""
        try:
            return tuple(ipaddress.ip_network(network) for network in self.networks)
        except ValueError as error:
            raise ConfigError(f"{error}; addresses look like 10.1.2.3 or 10.1.0.0/16") from error


class Receiver:
    """Listens for objects and keeps them in an inbox.

    Parameters
    ----------
    report
        Told of every refusal, in sentences without patient data; called from many threads.
    """

    def __init__(self, config: ReceiverConfig, inbox: Inbox, report: Callable[[str], None] = lambda sentence: None):
        self._config, self._inbox, self._report = config, inbox, report
        self._server: GuardedServer | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; 0 when it does not."""
        return 0 if self._server is None else int(self._server.server_address[1])

    def start(self) -> None:
        """Listen, in threads of its own.

        Raises
        ------
        Unreachable
            The address cannot be bound.
        ConfigError
            The TLS files cannot be used.
        """
        logging.getLogger("pynetdicom").propagate = False  # its records hold names of patients, and tracebacks
        config = self._config
        entity = _entity(config)
        tls = None if config.tls is None else config.tls.server_context()
        bounds = Bounds(_PDU_SLACK * config.pdu_bytes, self._inbox.limits.object_bytes, config.idle_s)
        door = Door(config.allowed, config.associations, bounds, config.idle_s, tls, self._report)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_REJECTED, self._rejected)]
        try:
            server = entity.make_server(
                (config.host, config.port), evt_handlers=handlers, server_class=GuardedServer, door=door
            )
        except OSError as error:
            place = f"{config.host}:{config.port}"
            raise Unreachable(f"cannot listen on {place}: {error.strerror or error}; give another port") from error
        assert isinstance(server, GuardedServer)
        threading.Thread(target=server.serve_forever, args=(_STEP_S,), daemon=True).start()
        self._server = server

    def run(self, delivery: Delivery, stop: threading.Event) -> None:
        """Hand over studies that fall quiet, in this thread, until told to stop. Errors of the callee come through."""
        while not stop.wait(_STEP_S):
            delivery.step(time.monotonic())

    def close(self, patience_s: float = _CLOSING_S) -> None:
        """Stop listening; associations that are open may end within `patience_s`, then they are aborted."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        until_s = time.monotonic() + patience_s
        while server.active_associations and time.monotonic() < until_s:
            time.sleep(0.02)
        for association in server.active_associations:
            association.abort()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _store(self, event: Any) -> int:
        """Keep one object; the status says what became of it (PS3.4 B.2.3)."""
        connection = event.assoc.dul.socket.socket
        if connection is not None:
            connection.framing.begin_message()
        try:
            self._inbox.put(event.encoded_dataset(), str(event.request.AffectedSOPInstanceUID))
        except StoreError as error:
            self._report(f"refused an object of {_who(event.assoc)} with status A700: {error}")
            return OUT_OF_RESOURCES
        except InputError as error:
            self._report(f"refused an object of {_who(event.assoc)} with status C000: {error}")
            return CANNOT_UNDERSTAND
        return SUCCESS

    def _rejected(self, event: Any) -> None:
        self._report(f"rejected an association of {_who(event.assoc)}: wrong AE title, or too many are open")


def _entity(config: ReceiverConfig) -> AE:
    entity = AE(config.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(config.callers)
    entity.maximum_associations = config.associations
    entity.maximum_pdu_size = config.pdu_bytes
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = config.idle_s
    entity.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), list(NETWORK_SYNTAXES))
    return entity


def _who(association: Any) -> str:
    requestor = association.requestor
    return f"{requestor.ae_title.strip()} at {requestor.address}"
