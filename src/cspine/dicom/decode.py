"""Decode slices in a pool of disposable child processes that write into shared memory.

A damaged image may crash a codec, exhaust memory or hang. It then costs its child, which is replaced, and one error
that names the file. Children are started when first needed and stay warm; the parent copies no pixel
(docs/decisions: decoding in child processes).
"""

import atexit
import contextlib
import functools
import json
import mmap
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cspine.domain import UnsupportedSeries

WORKERS_LIMIT = 8
CHILD_MEMORY_BYTES = 1536 * 2**20
SLICE_TIMEOUT_S = 30.0
START_TIMEOUT_S = 60.0

_CHILD = Path(__file__).with_name("pixel_child.py")
_BATCHES_PER_WORKER = 6
_LARGEST_BATCH = 16
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Job:
    """One slice to decode; what the child needs to know of it.

    Attributes
    ----------
    out
        ``"int16"`` or ``"float32"``.
    at
        Where its HU begin in the shared buffer, bytes.
    invert
        Whether the stored values stand upside down.
    """

    path: str
    offset: int
    deflated_from: int | None
    codec: str
    frame: int
    frames: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    big_endian: bool
    slope: float
    intercept: float
    padding: tuple[int, int] | None
    invert: bool
    out: str
    at: int
    name: str


@dataclass(frozen=True)
class Decoded:
    """What the child says of one slice: pixels set to air because they were padding, and the highest HU."""

    clamped: int
    highest: float


def decode(jobs: Sequence[Job], buffer_bytes: int, workers: int | None = None) -> tuple[np.ndarray, list[Decoded]]:
    """Decode all jobs.

    Parameters
    ----------
    buffer_bytes
        Size of the shared buffer that the jobs write into.
    workers
        Number of child processes; default: one per processor, at most `WORKERS_LIMIT`.

    Returns
    -------
    tuple
        The buffer as uint8, which frees itself with its last view, and one report per job.

    Raises
    ------
    UnsupportedSeries
        A slice cannot be decoded: names the file and says why.
    """
    return _pool(workers or default_workers(), os.getpid()).run(jobs, buffer_bytes)


def warm_up(workers: int | None = None) -> None:
    """Start the child processes without waiting for them."""
    _pool(workers or default_workers(), os.getpid()).start()


def default_workers() -> int:
    """Return one worker per processor that this process may use, at most `WORKERS_LIMIT`."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(WORKERS_LIMIT, usable))


@functools.cache
def _pool(workers: int, process: int) -> "DecodePool":
    """Return the pool of this process; `process` keeps a forked copy from talking to its parent's children."""
    pool = DecodePool(workers)
    atexit.register(pool.close_if_owner, process)
    return pool


class DecodePool:
    """Child processes that decode slices.

    Parameters
    ----------
    workers
        Number of children.
    memory_bytes, timeout_s
        What one child may use, and how long one slice may take.
    """

    def __init__(self, workers: int, memory_bytes: int = CHILD_MEMORY_BYTES, timeout_s: float = SLICE_TIMEOUT_S):
        self._workers = workers
        self._children: queue.LifoQueue[_Child] = queue.LifoQueue()
        for _ in range(workers):
            self._children.put(_Child(memory_bytes, timeout_s))

    def start(self) -> None:
        """Start all idle children without waiting for them."""
        idle = []
        while not self._children.empty():
            try:
                idle.append(self._children.get_nowait())
            except queue.Empty:
                break
        for child in idle:
            # A child that cannot be started says so when it is needed.
            with contextlib.suppress(OSError):
                child.start()
            self._children.put(child)

    def run(self, jobs: Sequence[Job], buffer_bytes: int) -> tuple[np.ndarray, list[Decoded]]:
        """Decode all jobs; see `decode`."""
        descriptor = _shared_file(buffer_bytes)
        try:
            shared = np.frombuffer(mmap.mmap(descriptor, buffer_bytes), np.uint8)
            batches = _batches(jobs, self._workers)
            stop = threading.Event()
            with ThreadPoolExecutor(self._workers) as threads:
                answers = list(threads.map(lambda batch: self._run_batch(batch, descriptor, stop), batches))
        finally:
            os.close(descriptor)
        return shared, [decoded for answer in answers for decoded in answer]

    def close(self) -> None:
        """End all idle children."""
        while not self._children.empty():
            self._children.get_nowait().stop()

    def close_if_owner(self, process: int) -> None:
        """End the children at exit of the process that started them, not of a forked copy."""
        if os.getpid() == process:
            self.close()

    def _run_batch(self, batch: Sequence[Job], descriptor: int, stop: threading.Event) -> list[Decoded]:
        if stop.is_set():
            return []
        child = self._children.get()
        try:
            return child.decode(batch, descriptor)
        except UnsupportedSeries:
            stop.set()
            raise
        finally:
            self._children.put(child)


class _Child:
    """One child process, started when first needed and again after it died."""

    def __init__(self, memory_bytes: int, timeout_s: float):
        self._memory_bytes, self._timeout_s = memory_bytes, timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._replies = b""
        self._ready = False

    def start(self) -> socket.socket:
        if self._link is not None and self._process is not None and self._process.poll() is None:
            return self._link
        self.stop()
        ours, theirs = socket.socketpair()
        self._link, self._replies, self._ready = ours, b"", False
        command = [sys.executable, "-P", str(_CHILD), str(theirs.fileno()), str(self._memory_bytes)]
        with theirs:
            self._process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD,
            )
        return ours

    def stop(self) -> None:
        if self._link is not None:
            self._link.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._link = self._process = None

    def decode(self, batch: Sequence[Job], descriptor: int) -> list[Decoded]:
        """Decode one batch; whatever goes wrong is said of the slice at which it happened."""
        done: list[Decoded] = []
        try:
            link = self.start()
            self._wait_until_ready(link)
            body = json.dumps({"jobs": [asdict(job) for job in batch]}).encode()
            socket.send_fds(link, [struct.pack("<I", len(body))], [descriptor])
            link.sendall(body)
            for job in batch:
                done.append(self._reply(link, job))
        except TimeoutError as error:
            slow = ("decoding", self._timeout_s) if self._ready else ("the start of a decoder", START_TIMEOUT_S)
            self.stop()
            raise _failure(batch[len(done)], f"{slow[0]} took more than {slow[1]:g} s") from error
        except OSError as error:
            why = self._obituary() if self._process else f"no decoder can be started: {error.strerror or error}"
            raise _failure(batch[len(done)], why) from error
        return done

    def _wait_until_ready(self, link: socket.socket) -> None:
        if not self._ready:
            link.settimeout(START_TIMEOUT_S)
            self._line(link)
            link.settimeout(self._timeout_s)
            self._ready = True

    def _line(self, link: socket.socket) -> bytes:
        while b"\n" not in self._replies:
            part = link.recv(1 << 16)
            if not part:
                raise ConnectionResetError
            self._replies += part
        line, self._replies = self._replies.split(b"\n", 1)
        return line

    def _reply(self, link: socket.socket, job: Job) -> Decoded:
        answer = json.loads(self._line(link))
        if "error" in answer:
            self.stop()  # it may still be busy with the rest of the batch
            raise _failure(job, str(answer["error"]))
        return Decoded(int(answer["clamped"]), float(answer["highest"]))

    def _obituary(self) -> str:
        """Say how the child ended, and forget it."""
        code = None
        if self._process is not None:
            try:
                code = self._process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                code = None
        self.stop()
        if code is not None and code < 0:
            return f"the decoder was ended by {signal.Signals(-code).name}"
        return f"the decoder ended with status {code}"


def _failure(job: Job, why: str) -> UnsupportedSeries:
    return UnsupportedSeries(f"{job.name}: pixel data cannot be decoded ({why}); send the image again")


def _batches(jobs: Sequence[Job], workers: int) -> list[Sequence[Job]]:
    size = max(1, min(_LARGEST_BATCH, len(jobs) // (workers * _BATCHES_PER_WORKER)))
    return [jobs[at : at + size] for at in range(0, len(jobs), size)]


def _shared_file(size: int) -> int:
    """Return the descriptor of `size` bytes of memory without a name, so that nothing can be left behind."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("cspine-pixels")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
