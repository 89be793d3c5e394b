"""Processes of the service: started, watched, and started again when one dies."""

import contextlib
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

from cspine.domain import ConfigError
from cspine.service.config import ServiceConfig
from cspine.service.staff import Role

WATCH_S = 0.3
FIRST_WAIT_S, LONGEST_WAIT_S, HEALTHY_S = 0.5, 30.0, 60.0
STOP_S = 10.0

_log = logging.getLogger("cspine.service")


@dataclass
class _Post:
    """One place for a process, and what is known of who held it."""

    role: Role
    process: BaseProcess | None = None
    started_at: float = 0.0
    wait_s: float = FIRST_WAIT_S
    not_before: float = 0.0


@dataclass
class Supervisor:
    """Keeps processes running.

    Attributes
    ----------
    staff
        What each of them runs.
    start_method
        How `multiprocessing` starts it.
    """

    config: ServiceConfig
    staff: Sequence[Role]
    start_method: str = "spawn"
    longest_wait_s: float = LONGEST_WAIT_S
    restarts: int = 0
    _posts: list[_Post] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the processes, and watch them from a thread."""
        self._posts = [_Post(role) for role in self.staff]
        self._look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the processes to stop, wait for them, and end those that do not."""
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
        """Ids of the processes that run."""
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
        """Note that a process has died; one that dies at once waits longer each time."""
        assert post.process is not None
        code = post.process.exitcode
        post.wait_s = FIRST_WAIT_S if now - post.started_at > HEALTHY_S else min(2 * post.wait_s, self.longest_wait_s)
        post.not_before, post.process = now + post.wait_s, None
        self.restarts += 1
        _log.warning("%s ended with code %s; another starts in %g s", _name(post.role), code, post.wait_s)

    def _hire(self, post: _Post, now: float) -> None:
        context: Any = multiprocessing.get_context(self.start_method)
        process = context.Process(target=post.role, args=(self.config, os.getpid()), name=_name(post.role))
        process.start()
        post.process, post.started_at = process, now
        _log.info("%s is process %s", process.name, process.pid)


def _name(role: Role) -> str:
    return role.__name__.removeprefix("run_")


def check_room(config: ServiceConfig) -> None:
    """Check that the folder of the service can be made and is for its owner only.

    Raises
    ------
    ConfigError
        It cannot be made, or others may look into it.
    """
    try:
        for folder in (config.data_dir, config.studies_dir, config.spool_dir, config.inbox_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(PermissionError):
            config.data_dir.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"data_dir {config.data_dir} cannot be made: {error.strerror or error}") from error
