"""What administrators do: accounts, keys, the audit. And what watches the service: health and metrics."""

import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from cspine import __version__
from cspine.service.accounts import Role
from cspine.service.metrics import metrics_text
from cspine.service.web.guard import Admin, TheWeb, Viewer

router = APIRouter(prefix="/api", tags=["administration"])


class NewAccount(BaseModel):
    """Name, role and password of an account."""

    name: Annotated[str, Field(max_length=80)]
    role: Annotated[str, Field(max_length=16)]
    password: Annotated[str, Field(max_length=1000)]


class NewKey(BaseModel):
    """Name, role and life of a key."""

    name: Annotated[str, Field(max_length=80)]
    role: Annotated[str, Field(max_length=16)]
    days: Annotated[float, Field(gt=0, le=3650)] = 365


@router.get("/health")
def health(web: TheWeb) -> dict[str, Any]:
    """Say whether the service works; open to all, says nothing else."""
    web.parts.queue.counts()
    free = shutil.disk_usage(web.config.data_dir).free // 2**20
    room = free >= web.config.min_free_mib
    return {"status": "ok" if room else "disk-full", "version": __version__}


@router.get("/metrics")
def metrics(actor: Viewer, web: TheWeb) -> Response:
    """Return figures for Prometheus; it sends a key of a viewer."""
    return Response(metrics_text(web.config, web.parts), media_type="text/plain; version=0.0.4")


@router.get("/accounts")
def accounts(actor: Admin, web: TheWeb) -> list[dict[str, Any]]:
    """Return all accounts."""
    return web.accounts.listed()


@router.post("/accounts", status_code=201)
def add_account(new: NewAccount, request: Request, actor: Admin, web: TheWeb) -> None:
    """Make an account."""
    web.accounts.add(new.name, Role.named(new.role), new.password)
    web.note(request, actor, "add account", new.name)


@router.delete("/accounts/{name}", status_code=204)
def remove_account(name: str, request: Request, actor: Admin, web: TheWeb) -> None:
    """Remove an account and end its sessions."""
    web.accounts.remove(name)
    web.note(request, actor, "remove account", name)


@router.get("/keys")
def keys(actor: Admin, web: TheWeb) -> list[dict[str, Any]]:
    """Return all keys, without what they are."""
    return web.accounts.keys_listed()


@router.post("/keys", status_code=201)
def add_key(new: NewKey, request: Request, actor: Admin, web: TheWeb) -> dict[str, str]:
    """Make a key for a program; it is shown this once."""
    token = web.accounts.add_key(new.name, Role.named(new.role), new.days)
    web.note(request, actor, "add key", new.name)
    return {"key": token}


@router.delete("/keys/{key_id}", status_code=204)
def remove_key(key_id: str, request: Request, actor: Admin, web: TheWeb) -> None:
    """Withdraw a key."""
    web.accounts.remove_key(key_id)
    web.note(request, actor, "remove key", key_id)


@router.get("/audit")
def audit(actor: Admin, web: TheWeb, before: Annotated[int | None, Query(ge=1)] = None) -> list[dict[str, Any]]:
    """Return who did what, the newest first."""
    return web.audit.page(before)
