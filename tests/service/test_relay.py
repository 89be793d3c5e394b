"""The bridge between two networks passes everything on, ends when one side ends, and listens on the loopback only."""

import asyncio
import contextlib
import gc
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.relay import check_end, relay


@pytest.mark.parametrize("end", ["0.0.0.0:8042", "10.1.2.3:80", "localhost", "127.0.0.1:", "socket"])
def test_an_end_beyond_the_loopback_is_refused(end):
    with pytest.raises(SystemExit, match="is no end of a relay"):
        check_end(end)


def test_two_relays_pass_bytes_both_ways_and_close_with_their_ends(tmp_path: Path):
    async def trial() -> tuple[bytes, bytes]:
        async def answer(reader, writer):
            writer.write(b"heard " + await reader.read())
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        middle = f"{tmp_path}/middle.sock"
        inside = await relay(middle, f"127.0.0.1:{port}")
        outside = await relay("127.0.0.1:0", middle)
        entry = outside.sockets[0].getsockname()
        said = await _call(entry, b"x" * 300_000)
        inside.close()
        server.close()
        await inside.wait_closed()
        nothing = await _call(entry, b"nobody")
        outside.close()
        await outside.wait_closed()
        return said, nothing

    said, nothing = asyncio.run(trial())
    assert said == b"heard " + b"x" * 300_000
    assert nothing == b""


async def _call(address, content: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(content)
    writer.write_eof()
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def test_what_is_under_way_outlives_the_garbage_collector(tmp_path: Path):
    """The loop itself holds tasks weakly: a relay whose ends both wait would be collected with what it carries."""

    async def trial() -> list[bytes]:
        async def answer(reader, writer):
            writer.write(await reader.read())
            writer.close()
            await writer.wait_closed()

        async def collect() -> None:
            while True:
                gc.collect()
                await asyncio.sleep(0)

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        inside = await relay(f"{tmp_path}/middle.sock", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        outside = await relay("127.0.0.1:0", f"{tmp_path}/middle.sock")
        collector = asyncio.create_task(collect())
        said = [await _call(outside.sockets[0].getsockname(), bytes([k]) * 1_000_000) for k in range(2)]
        collector.cancel()
        for one in (outside, inside, server):
            one.close()
            await one.wait_closed()
        return said

    assert asyncio.run(trial()) == [bytes([k]) * 1_000_000 for k in range(2)]


def test_the_program_relays_until_it_is_ended(tmp_path: Path, repository: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"127.0.0.1:{server.getsockname()[1]}"
        path = tmp_path / "in.sock"
        process = subprocess.Popen([sys.executable, repository / "tools" / "relay.py", f"{path}={there}"])
        try:
            deadline = time.monotonic() + 120
            while not path.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(str(path))
                caller.sendall(b"hello")
                connection, _ = server.accept()
                assert connection.recv(5) == b"hello"
                connection.close()
        finally:
            process.terminate()
            assert process.wait(60) == -15
