"""A sender for tests, on the loopback."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ

from cspine.stores.dimse.association import settle
from tests.stores.objects import CT_IMAGE

VERIFICATION = "1.2.840.10008.1.1"


# pynetdicom leaves a socket that never got a connection to the garbage collector.
LEFT_OPEN = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


class Caller:
    """Calls one port of this machine."""

    def __init__(
        self, port: int, called: str = "CSPINE", calling: str = "SCANNER", answer_s: float = 20, **how: object
    ):
        self._port, self._called, self._how = port, called, how
        self._entity = AE(calling)
        self._entity.acse_timeout = self._entity.network_timeout = 20
        self._entity.dimse_timeout = answer_s
        self._entity.add_requested_context(CT_IMAGE)
        self._entity.add_requested_context(VERIFICATION)

    @contextmanager
    def call(self) -> Iterator[Association]:
        """Yield an association, however it ended."""
        association = self._entity.associate("127.0.0.1", self._port, ae_title=self._called, **self._how)
        transport = association.dul.socket
        connection = None if transport is None else transport.socket
        yield association
        if association.is_established:
            association.release()
        for thread in (association, association.dul):
            if thread.is_alive():
                thread.join(20)
        if connection is not None:
            connection.close()  # pynetdicom leaves it to the garbage collector

    @contextmanager
    def established(self) -> Iterator[Association]:
        """Yield an association that stands."""
        with self.call() as association:
            assert association.is_established
            yield association

    def ended(self) -> str:
        """Call, and return how that ended."""
        seen: list[object] = []
        self._how["evt_handlers"] = [(evt.EVT_PDU_RECV, lambda event: seen.append(event.pdu))]
        with self.call() as association:
            if any(isinstance(pdu, A_ASSOCIATE_RJ) for pdu in seen):
                return "rejected"  # pynetdicom may say aborted when it came at once
            states = ("established", "rejected", "aborted")
            return next((state for state in states if getattr(association, f"is_{state}")), "released")

    def store(self, *datasets: Dataset) -> list[int]:
        """Send objects and return the status of each; -1 where there was no answer."""
        with self.established() as association:
            answers = []
            for one in datasets:
                settle(association)
                answers.append(int(association.send_c_store(one).get("Status", -1)))
            return answers
