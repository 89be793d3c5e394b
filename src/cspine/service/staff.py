"""The processes of the service beside the web server: workers that analyze, a receiver, and one that sends results."""

import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from cspine.domain import ConfigError, CspineError
from cspine.models import ModelBundle, default_bundle_path, load_bundle
from cspine.pipeline import Analyzer
from cspine.service.config import ServiceConfig
from cspine.service.duties import analysis, sending
from cspine.service.parts import open_parts
from cspine.service.receiving import receive, receiver_config
from cspine.service.spool import MIB
from cspine.service.worker import Watch, Worker
from cspine.stores import RemoteStore, TlsFiles, open_store, read_access

ORPHAN_EVERY_S = 1.0

Role = Callable[[ServiceConfig, int], None]

_log = logging.getLogger("cspine.service")


def staff_of(config: ServiceConfig) -> tuple[Role, ...]:
    """Return what runs beside the web server, each in a process of its own.

    Raises
    ------
    ConfigError
        Settings of TLS, mails, receiving or sending are impossible, or another program listens on the port.
    """
    if config.tls_certificate is not None:
        TlsFiles(config.tls_certificate, config.tls_key).server_context()
    if config.mail_access is not None:
        read_access(config.mail_access)
    staff: list[Role] = [run_worker] * config.workers
    if config.receive_port:
        _check_receiving(config)
        staff.append(run_receiver)
    if config.send_to:
        archive_of(config)
        staff.append(run_sender)
    return tuple(staff)


def bundle_of(config: ServiceConfig) -> ModelBundle:
    """Return the model bundle in use.

    Raises
    ------
    BundleError
        It is missing or damaged.
    """
    return load_bundle(config.bundle or default_bundle_path())


def archive_of(config: ServiceConfig) -> RemoteStore:
    """Return the archive that results go to; nothing is asked of it yet.

    Raises
    ------
    ConfigError
        Its address or access file is impossible.
    """
    access = None if config.send_access is None else read_access(config.send_access)
    return open_store(config.send_to, access)


def run_worker(config: ServiceConfig, parent: int) -> None:
    """Be a worker process: do jobs until asked to stop, or until `parent` is gone."""
    _be_staff(config)
    bundle = bundle_of(config)
    parts = open_parts(config, bundle.id)
    Worker(config, parts, analysis(config, parts, lambda: _analyzer(config, bundle)), Watch(parent)).run(
        threading.Event()
    )


def run_sender(config: ServiceConfig, parent: int) -> None:
    """Be the process that sends results: until asked to stop, or until `parent` is gone."""
    _be_staff(config)
    parts = open_parts(config, "")
    Worker(config, parts, sending(config, parts, archive_of(config)), Watch(parent)).run(threading.Event())


def run_receiver(config: ServiceConfig, parent: int) -> None:
    """Be the process that receives studies: until asked to stop, or until `parent` is gone."""
    _be_staff(config)
    stop = threading.Event()
    threading.Thread(target=_follow, args=(parent, stop), daemon=True).start()
    try:
        receive(config, open_parts(config, ""), stop)
    except CspineError as error:
        _log.error("receiver: %s", error)
        raise SystemExit(1) from error


def log_to_terminal() -> None:
    """Say what the service does; of the libraries only what is wrong: their chatter may name studies."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    _log.setLevel(logging.INFO)


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


def _be_staff(config: ServiceConfig) -> None:
    log_to_terminal()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent says when to stop
    limit_memory(config.worker_memory_mib)


def _follow(parent: int, stop: threading.Event) -> None:
    """Ask to stop once the parent is gone."""
    while not stop.wait(ORPHAN_EVERY_S):
        if os.getppid() != parent:
            stop.set()


def _check_receiving(config: ServiceConfig) -> None:
    place = receiver_config(config)
    if place.tls is not None:
        place.tls.server_context()
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((place.host, place.port))
    except OSError as error:
        raise ConfigError(
            f"receive_port: cannot listen on {place.host}:{place.port}: {error.strerror or error}; give another port"
        ) from error


def _analyzer(config: ServiceConfig, bundle: ModelBundle) -> Analyzer:
    return Analyzer(bundle, engine=config.engine, threads=threads_of(config))


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)
