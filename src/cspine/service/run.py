"""Run web and workers until asked to stop."""

import logging
import threading
from collections.abc import Callable

import uvicorn

from cspine.domain import ConfigError
from cspine.service.accounts import Accounts
from cspine.service.config import ServiceConfig
from cspine.service.parts import open_parts
from cspine.service.supervise import Supervisor, bundle_of, check_room
from cspine.service.tidy import tidy
from cspine.service.web import create_app

Say = Callable[[str], None]


def run_service(config: ServiceConfig, say: Say) -> None:
    """Start the workers and the web server, and wait for a signal to stop.

    Parameters
    ----------
    say
        Called with sentences for the person at the terminal.

    Raises
    ------
    ConfigError, StoreError, BundleError
        It cannot start.
    """
    check_room(config)
    bundle = bundle_of(config)
    parts = open_parts(config, bundle.id)
    tidy(config, parts)
    if not Accounts(config, parts.database, parts.clock).listed():
        say("there is no account yet: make one with  cspine account add NAME --role admin --config FILE")
    app = create_app(config, parts)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    supervisor = Supervisor(config)
    supervisor.start()
    stop = threading.Event()
    announcer = threading.Thread(target=parts.outbox.run, args=(stop,), daemon=True)
    announcer.start()
    try:
        scheme = "https" if config.tls_certificate else "http"
        say(f"cspine serves on {scheme}://{config.host}:{config.port} with {config.workers} worker(s); Ctrl-C stops it")
        _serve(app, config)
    finally:
        stop.set()
        supervisor.stop()
        announcer.join()
        parts.database.close()


def _serve(app: object, config: ServiceConfig) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]  # an ASGI application, whatever its class
            host=config.host,
            port=config.port,
            access_log=False,  # the audit says who did what; query strings and addresses stay out of logs
            log_level="warning",
            server_header=False,
            ssl_certfile=config.tls_certificate,
            ssl_keyfile=config.tls_key,
            timeout_graceful_shutdown=5,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
    try:
        server.run()
    except SystemExit as error:
        raise ConfigError(f"{config.host}:{config.port} cannot be listened on; is another service there?") from error
