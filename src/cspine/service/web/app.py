"""Put the application together: routes, guards, errors, pages."""

from importlib.resources import files

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from cspine import __version__
from cspine.service.accounts import Accounts
from cspine.service.audit import Audit
from cspine.service.config import ServiceConfig
from cspine.service.feedback import FeedbackBook
from cspine.service.parts import Parts, open_parts
from cspine.service.staff import bundle_of
from cspine.service.supervise import check_room
from cspine.service.web import (
    routes_admin,
    routes_feedback,
    routes_pages,
    routes_session,
    routes_studies,
    routes_uploads,
)
from cspine.service.web.errors import add_error_handlers
from cspine.service.web.guard import SecurityHeaders, Web

ABOUT = "Upload CT studies of the cervical spine, follow their analysis, read the findings. Research use only."
ROUTERS = tuple(
    routes.router
    for routes in (routes_session, routes_uploads, routes_studies, routes_feedback, routes_admin, routes_pages)
)


def create_app(config: ServiceConfig, parts: Parts | None = None) -> FastAPI:
    """Return the web application; it starts no worker.

    Parameters
    ----------
    parts
        Opened before, or ``None`` to open them.

    Raises
    ------
    ConfigError, StoreError, BundleError
        The folder or the database cannot be used, or the bundle is missing.
    """
    check_room(config)
    parts = parts or open_parts(config, bundle_of(config).id)
    app = FastAPI(
        title="cspine",
        version=__version__,
        description=ABOUT,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    accounts = Accounts(config, parts.database, parts.clock)
    feedback = FeedbackBook(parts.database, parts.clock, config.studies_dir)
    app.state.web = Web(config, parts, accounts, Audit(parts.database, parts.clock), feedback)
    add_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=str(files("cspine.service") / "static")), name="static")
    app.add_middleware(SecurityHeaders)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(config.hosts))
    return app
