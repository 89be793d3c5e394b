"""Associations that come to nothing, and what we say of them."""

import socket
import time
from threading import Thread

import pytest
from pynetdicom.acse import ACSE

from cspine.domain import Rejected
from cspine.stores import open_store

# PS3.8 9.3.4: rejected for good by the service user, called AE title not recognized.
REJECTION = bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 7])


@pytest.fixture
def rejecting_port():
    """Return a port of the loopback where whatever comes is rejected and hung up on."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(REJECTION)

        thread = Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


def test_a_rejection_that_comes_before_we_wait_for_an_answer_is_told_as_one(rejecting_port, monkeypatch):
    send = ACSE.send_request

    def send_and_dawdle(acse: ACSE) -> None:
        """Let the other thread send the request, take the answer and close, as it may on a busy machine."""
        send(acse)
        assert acse.socket is not None
        until_s = time.monotonic() + 20
        while acse.dul.to_user_queue.empty() or acse.socket._is_connected:
            assert time.monotonic() < until_s
            time.sleep(0.01)

    monkeypatch.setattr(ACSE, "send_request", send_and_dawdle)
    with pytest.raises(Rejected, match="it is not called OTHER; check the AE title") as caught:
        open_store(f"dimse://CSPINE@127.0.0.1:{rejecting_port}/OTHER").echo()
    assert caught.value.status == "source 1 reason 7"
