"""Uploads in pieces: announce, send, finish, follow. An interrupted upload goes on where it stopped."""

import errno
import os
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from cspine.domain import Rejected, StoreError, TooLarge, Unreachable
from cspine.service.spool import MIB, Announced
from cspine.service.web.guard import Operator, TheWeb, Viewer

PIECE_MIB = 64
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

router = APIRouter(prefix="/api/uploads", tags=["uploads"])
UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


class NewUpload(BaseModel):
    """What will be sent."""

    files: Annotated[int, Field(ge=1, description="How many files: 1 for a zip archive.")]
    total_bytes: Annotated[int, Field(ge=0, description="Bytes of all of them together.")]


@router.post("", status_code=201)
def announce(new: NewUpload, request: Request, actor: Operator, web: TheWeb) -> dict[str, Any]:
    """Announce an upload; refused at once when it is too large or the disk too full."""
    name = web.parts.spool.begin(Announced(new.files, new.total_bytes), actor.name)
    web.note(request, actor, "upload", name)
    return {"id": name, "piece_bytes": PIECE_MIB * MIB}


@router.put("/{upload_id}/files/{number}", status_code=204)
async def send_piece(
    upload_id: UploadId,
    number: Annotated[int, Path(ge=0)],
    request: Request,
    web: TheWeb,
    *,
    actor: Operator,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> None:
    """Append the body to a file; `offset` says where it begins, and must be where the file ends."""
    descriptor, room = await run_in_threadpool(web.parts.spool.open_file, upload_id, number, offset)
    try:
        await _append(request, descriptor, min(room, PIECE_MIB * MIB))
    finally:
        os.close(descriptor)


@router.post("/{upload_id}/finish", status_code=202)
def finish(upload_id: UploadId, request: Request, actor: Operator, web: TheWeb) -> dict[str, Any]:
    """Say that everything was sent; sorting into studies begins."""
    web.parts.spool.finish(upload_id)
    return web.parts.spool.status(upload_id)


@router.get("/{upload_id}")
def follow(upload_id: UploadId, actor: Viewer, web: TheWeb) -> dict[str, Any]:
    """Return how much of each file has come, and what became of the upload."""
    return web.parts.spool.status(upload_id)


async def _append(request: Request, descriptor: int, room: int) -> None:
    """Write the body as it comes; what is written when the connection breaks stays, and is gone on from."""
    try:
        async for block in request.stream():
            if len(block) > room:
                raise TooLarge(f"more bytes than the upload was announced with, or than {PIECE_MIB} MiB in one request")
            room -= len(block)
            await run_in_threadpool(_write_all, descriptor, block)
        await run_in_threadpool(os.fsync, descriptor)
    except OSError as error:
        raise _translated(error) from error


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def _translated(error: OSError) -> StoreError:
    if error.errno in _FULL:
        return Rejected("the disk is full; what came before is kept, go on when there is room", status="ENOSPC")
    return Unreachable(f"the upload cannot be written: {error.strerror or error}")
