"""The pages: files without a word about any patient; their scripts ask the API."""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


def _page(name: str) -> HTMLResponse:
    return HTMLResponse((files("cspine.service") / "static" / name).read_text("utf-8"))


@router.get("/")
def worklist_page() -> HTMLResponse:
    """Return the worklist."""
    return _page("worklist.html")


@router.get("/login")
def login_page() -> HTMLResponse:
    """Return the page to log in."""
    return _page("login.html")


@router.get("/studies/{study_id}")
def viewer_page(study_id: str) -> HTMLResponse:
    """Return the viewer."""
    return _page("viewer.html")


@router.get("/admin")
def admin_page() -> HTMLResponse:
    """Return the page of accounts, keys and the audit."""
    return _page("admin.html")
