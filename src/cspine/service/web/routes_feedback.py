"""What radiologists say to the findings, and what is made of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from cspine.domain import InputError, WorldBox
from cspine.service.feedback import NOTE_LIMIT, Opinion, Verdict
from cspine.service.web.guard import Operator, TheWeb, Viewer

router = APIRouter(prefix="/api", tags=["feedback"])
StudyId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Point = tuple[float, float, float]


class Said(BaseModel):
    """An opinion on a location (confirm, reject, redraw) or on a level (present, absent, redraw)."""

    vertebra: Annotated[str, Field(max_length=2)]
    location: Annotated[int | None, Field(ge=0)] = None
    verdict: Verdict
    box_lps_mm: tuple[Point, Point] | None = None
    note: Annotated[str, Field(max_length=NOTE_LIMIT)] = ""


@router.get("/studies/{study_id}/feedback")
def feedback(study_id: StudyId, actor: Viewer, web: TheWeb) -> list[dict[str, Any]]:
    """Return what was said of a study, the oldest first; the last word on each finding counts."""
    return web.feedback.of(web.parts.book.row(study_id))


@router.post("/studies/{study_id}/feedback", status_code=201)
def say(study_id: StudyId, said: Said, request: Request, actor: Operator, web: TheWeb) -> None:
    """Keep an opinion, with who and when."""
    try:
        box = None if said.box_lps_mm is None else WorldBox(*said.box_lps_mm)
    except ValueError as error:
        raise InputError(str(error)) from error
    opinion = Opinion(said.vertebra, said.location, said.verdict, box, said.note)
    web.feedback.add(web.parts.book.row(study_id), opinion, actor.name)
    web.note(request, actor, f"feedback {said.verdict}", study_id)


@router.get("/feedback/labels.zip")
def labels(request: Request, actor: Operator, web: TheWeb) -> Response:
    """Return the labels of all studies that were answered in full: train.csv and train_bounding_boxes.csv."""
    content, counts = web.feedback.export()
    web.note(request, actor, "export labels", f"{counts['studies']} studies")
    headers = {f"X-Cspine-{name.replace('_', '-').title()}": str(number) for name, number in counts.items()}
    headers["Content-Disposition"] = 'attachment; filename="labels.zip"'
    return Response(content, media_type="application/zip", headers=headers)


@router.get("/feedback/agreement")
def agreement(actor: Viewer, web: TheWeb) -> list[dict[str, Any]]:
    """Return how many locations were confirmed, redrawn or rejected, by day."""
    return web.feedback.agreement()
