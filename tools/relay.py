"""Join two networks of one machine: what connects on one side is passed on to the other, byte for byte.

::

    python tools/relay.py FROM=TO …

An end is an address of this machine's loopback, such as ``127.0.0.1:8042``, or the path of a socket in the file system,
which processes of every network of this machine see. Two relays, one in each network, make a bridge. Nothing listens
beyond the loopback.
"""

import asyncio
import contextlib
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

BLOCK = 1 << 16

# The loop holds its tasks weakly: one whose both ends wait would be collected, and the connection with it.
_UNDER_WAY: set[asyncio.Task[Any]] = set()
Serve = Callable[[StreamReader, StreamWriter], Coroutine[Any, Any, None]]


def main(words: Sequence[str]) -> None:
    """Relay until ended."""
    pairs = [word.partition("=")[::2] for word in words]
    for end in (end for pair in pairs for end in pair):
        check_end(end)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_relay_all(pairs))


def check_end(end: str) -> None:
    """Raise `SystemExit` unless an end is a path or an address of the loopback."""
    host, colon, port = end.rpartition(":")
    if end.startswith("/"):
        return
    if not colon or not port.isdecimal() or not ip_address(host).is_loopback:
        raise SystemExit(f"{end!r} is no end of a relay: give 127.0.0.1:PORT or an absolute path")


async def relay(here: str, there: str) -> asyncio.Server:
    """Listen at one end and pass on what connects to the other."""
    serve = _passing_on(there)
    if here.startswith("/"):
        Path(here).unlink(missing_ok=True)
        return await asyncio.start_unix_server(serve, here)
    host, _, port = here.rpartition(":")
    return await asyncio.start_server(serve, host, int(port))


async def _relay_all(pairs: Sequence[Sequence[str]]) -> None:
    servers = [await relay(here, there) for here, there in pairs]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _passing_on(there: str) -> Serve:
    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        _UNDER_WAY.add(task)
        try:
            await _pass_on(reader, writer, there)
        finally:
            _UNDER_WAY.discard(task)

    return serve


async def _pass_on(reader: StreamReader, writer: StreamWriter, there: str) -> None:
    try:
        far_reader, far_writer = await _connect(there)
    except OSError:  # nobody is there: the caller sees its connection end
        await _close(writer)
        return
    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    await asyncio.gather(_close(far_writer), _close(writer))


async def _connect(end: str) -> tuple[StreamReader, StreamWriter]:
    if end.startswith("/"):
        return await asyncio.open_unix_connection(end)
    host, _, port = end.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _pump(source: StreamReader, target: StreamWriter) -> None:
    """Pass on until the source has ended, then say so to the target, which may still answer."""
    with contextlib.suppress(OSError):
        while block := await source.read(BLOCK):
            target.write(block)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()


async def _close(writer: StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    main(sys.argv[1:])
