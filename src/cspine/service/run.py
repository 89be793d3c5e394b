"""Run web and workers until asked to stop."""

import threading
from collections.abc import Callable

import uvicorn

from cspine.domain import ConfigError
from cspine.service.accounts import Accounts
from cspine.service.config import ServiceConfig
from cspine.service.parts import open_parts
from cspine.service.staff import bundle_of, log_to_terminal, staff_of
from cspine.service.supervise import Supervisor, check_room
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
    log_to_terminal()
    supervisor = Supervisor(config, staff_of(config))
    supervisor.start()
    stop = threading.Event()
    announcer = threading.Thread(target=parts.outbox.run, args=(stop,), daemon=True)
    announcer.start()
    try:
        scheme = "https" if config.tls_certificate else "http"
        say(f"cspine serves on {scheme}://{config.host}:{config.port} with {config.workers} worker(s); Ctrl-C stops it")
        if config.receive_port:
            say(f"{config.receive_ae_title} receives studies on {config.receive_host}:{config.receive_port}")
        if config.send_to:
            say(f"results go to {config.send_to}")
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
        if server.started:
            return  # asked to stop by a signal
        raise ConfigError(f"{config.host}:{config.port} cannot be listened on; is another service there?") from error
