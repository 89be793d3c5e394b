"""Worker processes: started with a memory limit, watched, and started again when one dies."""

import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, NoReturn

from cspine.domain import ConfigError
from cspine.models import ModelBundle, default_bundle_path, load_bundle
from cspine.pipeline import Analyzer
from cspine.service.config import ServiceConfig
from cspine.service.parts import open_parts
from cspine.service.spool import MIB
from cspine.service.worker import Watch, Worker

WATCH_S = 0.3
FIRST_WAIT_S, LONGEST_WAIT_S, HEALTHY_S = 0.5, 30.0, 60.0
STOP_S = 10.0

_log = logging.getLogger("cspine.service")


def bundle_of(config: ServiceConfig) -> ModelBundle:
    """Return the model bundle in use.

    Raises
    ------
    BundleError
        It is missing or damaged.
    """
    return load_bundle(config.bundle or default_bundle_path())


def run_worker(config: ServiceConfig, parent: int) -> None:
    """Be a worker process: do jobs until asked to stop, or until `parent` is gone."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent says when to stop
    limit_memory(config.worker_memory_mib)
    bundle = bundle_of(config)
    parts = open_parts(config, bundle.id)
    worker = Worker(config, parts, lambda: _analyzer(config, bundle), Watch(parent))
    worker.run(threading.Event())


def limit_memory(mib: int) -> None:
    """Bound the data of this process: beyond it, allocations fail and the job with them, not the machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = mib * MIB
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if sys.platform.startswith("linux"):  # elsewhere the limit leaves out what mmap gives
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def threads_of(config: ServiceConfig) -> int:
    """Return how many processor threads a worker has."""
    if config.threads:
        return config.threads
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, there // config.workers)


@dataclass
class _Post:
    """One place for a worker, and what is known of who held it."""

    process: BaseProcess | None = None
    started_at: float = 0.0
    wait_s: float = FIRST_WAIT_S
    not_before: float = 0.0


@dataclass
class Supervisor:
    """Keeps worker processes running.

    Attributes
    ----------
    target
        What a worker process runs; replaced in tests.
    start_method
        How `multiprocessing` starts it.
    """

    config: ServiceConfig
    target: Callable[[ServiceConfig, int], None] = run_worker
    start_method: str = "spawn"
    longest_wait_s: float = LONGEST_WAIT_S
    restarts: int = 0
    _posts: list[_Post] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the workers, and watch them from a thread."""
        self._posts = [_Post() for _ in range(self.config.workers)]
        self._look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the workers to stop, wait for them, and end those that do not."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        running = [post.process for post in self._posts if post.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in running:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [post.process.pid for post in self._posts if post.process is not None and post.process.pid]

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_S):
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        for post in self._posts:
            if post.process is not None and not post.process.is_alive():
                self._bury(post, now)
            if post.process is None and now >= post.not_before:
                self._hire(post, now)

    def _bury(self, post: _Post, now: float) -> None:
        """Note that a worker has died; one that dies at once waits longer each time."""
        assert post.process is not None
        code = post.process.exitcode
        post.wait_s = FIRST_WAIT_S if now - post.started_at > HEALTHY_S else min(2 * post.wait_s, self.longest_wait_s)
        post.not_before, post.process = now + post.wait_s, None
        self.restarts += 1
        _log.warning("a worker ended with code %s; another starts in %g s", code, post.wait_s)

    def _hire(self, post: _Post, now: float) -> None:
        context: Any = multiprocessing.get_context(self.start_method)
        process = context.Process(target=self.target, args=(self.config, os.getpid()))
        process.start()
        post.process, post.started_at = process, now


def _analyzer(config: ServiceConfig, bundle: ModelBundle) -> Analyzer:
    return Analyzer(bundle, engine=config.engine, threads=threads_of(config))


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


def check_room(config: ServiceConfig) -> None:
    """Check that the folder of the service can be made and is for its owner only.

    Raises
    ------
    ConfigError
        It cannot be made, or others may look into it.
    """
    try:
        for folder in (config.data_dir, config.studies_dir, config.spool_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(PermissionError):
            config.data_dir.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"data_dir {config.data_dir} cannot be made: {error.strerror or error}") from error
