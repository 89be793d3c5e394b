"""The worklist, and everything about one study: findings, documents, images."""

import io
import json
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import IO, Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from PIL import Image

from cspine.dicom import FACE_WARNING, deidentified_images
from cspine.domain import Conflict, NotFound
from cspine.report import GROUPS, RENDERERS
from cspine.service.shown import GEOMETRY, HEAT, LEVELS, VOLUME, ShownVolume, level_outlines
from cspine.service.sorting import IMAGES
from cspine.service.web.guard import REPORT_POLICY, Admin, Operator, TheWeb, Viewer, Web
from cspine.service.windows import PRESETS, preset

router = APIRouter(prefix="/api/studies", tags=["studies"])
StudyId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
SliceNumber = Annotated[int, Path(ge=0)]
# What is never shown in a list: it is for those who run the service.
_BLOCK = 2**20
_HIDDEN = ("upload_id", "result", "job_id")


@router.get("")
def worklist(actor: Viewer, web: TheWeb) -> dict[str, Any]:
    """Return the worklist: rule-in first; uncertain, refused and failed before rule-out; then who waits longest."""
    rows = [_shown(row) for row in web.parts.book.worklist()]
    return {"studies": rows, "uploads": web.parts.spool.open_or_refused(), "now": web.parts.clock()}


@router.get("/{study_id}")
def study(study_id: StudyId, request: Request, actor: Viewer, web: TheWeb) -> dict[str, Any]:
    """Return one study, and its versions where it was sent more than once."""
    row = web.parts.book.row(study_id)
    web.note(request, actor, "view", study_id)
    versions = [
        {k: one[k] for k in ("id", "received_at", "state")} for one in web.parts.book.versions(row["study_uid"])
    ]
    return _shown(row) | {"versions": versions, "documents": _documents(web, row), "windows": _windows()}


@router.get("/{study_id}/findings")
def findings(study_id: StudyId, actor: Viewer, web: TheWeb) -> dict[str, Any]:
    """Return findings.json."""
    found: dict[str, Any] = json.loads(_result_file(web, study_id, RENDERERS["json"].file_name).read_text("utf-8"))
    return found


@router.get("/{study_id}/documents/{kind}")
def document(study_id: StudyId, kind: str, request: Request, actor: Viewer, web: TheWeb) -> FileResponse:
    """Return one document as it was first made: json, html, pdf, or a DICOM object."""
    if kind not in RENDERERS:
        raise NotFound(f"there is no document {kind!r}; there are {', '.join(RENDERERS)}")
    made = RENDERERS[kind]
    path = _result_file(web, study_id, made.file_name)
    web.note(request, actor, f"document {kind}", study_id)
    policy = {"Content-Security-Policy": REPORT_POLICY} if kind == "html" else {}
    where = "inline" if kind in ("html", "pdf", "json") else "attachment"
    return FileResponse(
        path, headers=policy, media_type=made.media_type, filename=made.file_name, content_disposition_type=where
    )


@router.get("/{study_id}/geometry")
def geometry(study_id: StudyId, actor: Viewer, web: TheWeb) -> dict[str, Any]:
    """Return shape and affine (index to patient LPS, mm) of the volume, as stored and axial from the head down."""
    found: dict[str, Any] = json.loads(_result_file(web, study_id, GEOMETRY).read_text("utf-8"))
    return found


@router.get("/{study_id}/volume.nii")
def volume(study_id: StudyId, actor: Viewer, web: TheWeb) -> FileResponse:
    """Return the volume in HU as NIfTI."""
    return FileResponse(_result_file(web, study_id, VOLUME), media_type="application/octet-stream")


@router.get("/{study_id}/levels.nii.gz")
def levels(study_id: StudyId, actor: Viewer, web: TheWeb) -> FileResponse:
    """Return the labels of C1 … C7 (values 1 … 7) as NIfTI."""
    return FileResponse(_result_file(web, study_id, LEVELS), media_type="application/octet-stream")


@router.get("/{study_id}/heat.nii.gz")
def heat(study_id: StudyId, actor: Viewer, web: TheWeb) -> FileResponse:
    """Return the fracture map (0 … 255) as NIfTI; not there without a fracture model."""
    return FileResponse(_result_file(web, study_id, HEAT), media_type="application/octet-stream")


@router.get("/{study_id}/slices/{number}.png")
def slice_png(
    study_id: StudyId,
    number: SliceNumber,
    actor: Viewer,
    web: TheWeb,
    window: Annotated[str, Query(description=f"One of {', '.join(PRESETS)}.")] = "bone",
) -> Response:
    """Return one axial slice, counted from the head, as a picture."""
    gray = ShownVolume.open(_result_folder(web, study_id)).slice_gray(number, preset(window))
    return Response(_png(Image.fromarray(gray)), media_type="image/png")


@router.get("/{study_id}/slices/{number}/levels.png")
def slice_levels(study_id: StudyId, number: SliceNumber, actor: Viewer, web: TheWeb) -> Response:
    """Return the levels of one axial slice as a picture: gray value 1 is C1, 7 is C7."""
    return Response(
        _png(Image.fromarray(level_outlines(_result_folder(web, study_id), number))), media_type="image/png"
    )


@router.get("/{study_id}/deidentified.zip")
def deidentified(study_id: StudyId, request: Request, actor: Operator, web: TheWeb) -> StreamingResponse:
    """Return the images without names, dates and identifiers; a face can still be computed from a CT of the head."""
    row = web.parts.book.row(study_id)
    if not row["study_uid"]:
        raise Conflict(f"study {study_id} is not DICOM; it names no patient, take the NIfTI itself")
    web.note(request, actor, "export images", study_id)
    files = sorted((web.config.studies_dir / study_id / IMAGES).iterdir())
    headers = {"Content-Disposition": 'attachment; filename="deidentified.zip"'}
    return StreamingResponse(_zipped(files), media_type="application/zip", headers=headers)


@router.post("/{study_id}/retry", status_code=202)
def retry(study_id: StudyId, request: Request, actor: Operator, web: TheWeb) -> dict[str, Any]:
    """Analyze a study again: one that failed or was refused, or any that another bundle has analyzed."""
    web.parts.book.analyze_again(study_id, web.parts.bundle)
    web.note(request, actor, "retry", study_id)
    return _shown(web.parts.book.row(study_id))


@router.post("/{study_id}/send", status_code=202)
def send(study_id: StudyId, request: Request, actor: Operator, web: TheWeb) -> dict[str, Any]:
    """Send the result of a study to the archive again, after it was given up."""
    web.parts.book.send_again(study_id)
    web.note(request, actor, "send again", study_id)
    return _shown(web.parts.book.row(study_id))


@router.delete("/{study_id}", status_code=204)
def remove(study_id: StudyId, request: Request, actor: Admin, web: TheWeb) -> None:
    """Remove a study with its images and results."""
    web.parts.book.remove(study_id)
    shutil.rmtree(web.config.studies_dir / study_id, ignore_errors=True)
    web.note(request, actor, "remove", study_id)


def _zipped(files: list[FilePath]) -> Iterator[bytes]:
    """Yield a zip of de-identified images, made on the disk: no export is whole in memory."""
    made = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the context below
    with made:
        _write_zip(files, made)
        made.seek(0)
        while block := made.read(_BLOCK):
            yield block


def _write_zip(files: list[FilePath], made: IO[bytes]) -> None:
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("READ-ME.txt", FACE_WARNING + "\n")
        for number, image in enumerate(deidentified_images(files, secrets.token_bytes(32), "ANONYMOUS"), 1):
            archive.writestr(f"{number:06d}.dcm", image)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _HIDDEN}


def _windows() -> dict[str, list[float]]:
    return {name: [window.low_hu, window.high_hu] for name, window in PRESETS.items()}


def _documents(web: Web, row: dict[str, Any]) -> list[str]:
    if row["result"] is None:
        return []
    folder = web.config.studies_dir / row["id"] / row["result"]
    return [kind for kind, made in RENDERERS.items() if (folder / made.file_name).is_file() and kind not in GROUPS]


def _result_folder(web: Web, study_id: str) -> FilePath:
    row = web.parts.book.row(study_id)
    if row["result"] is None:
        raise Conflict(f"study {study_id} has no result: it is {row['state']}. {row['error']}".rstrip())
    return web.config.studies_dir / study_id / str(row["result"])


def _result_file(web: Web, study_id: str, name: str) -> FilePath:
    path = _result_folder(web, study_id) / name
    if not path.is_file():
        raise NotFound(f"study {study_id} has no {name}")
    return path


def _png(image: Image.Image) -> bytes:
    made = io.BytesIO()
    image.save(made, "PNG", compress_level=1)
    return made.getvalue()
