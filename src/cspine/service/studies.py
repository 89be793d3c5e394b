"""The studies that the service knows, and the worklist: what needs a look first stands first."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update

from cspine.dicom import StudyHeader
from cspine.domain import Conflict, Decision, NotFound
from cspine.service.database import Clock, Database, reserve
from cspine.service.queue import JobQueue
from cspine.service.states import JobState
from cspine.service.tables import jobs, studies, uploads

ANALYZE, SEND = "analyze", "send"
SHOWN_LIMIT = 500
# What the worklist says of a patient.
_HEADER_FIELDS = (
    "patient_name",
    "patient_id",
    "birth_date",
    "patient_sex",
    "patient_age",
    "accession_number",
    "study_date",
    "study_time",
    "study_description",
    "series_description",
    "is_phantom",
)

# How far a result is on its way to the archive.
_SENDING_FIELDS = ("state", "attempt", "error", "run_after", "ended_at")


class Urgency(IntEnum):
    """Lower comes first. What is not known, refused or failed never stands below what is ruled out."""

    RULE_IN = 0
    NEEDS_A_LOOK = 1
    PENDING = 2
    RULE_OUT = 3


@dataclass(frozen=True)
class NewStudy:
    """What is known of a study when it arrives.

    Attributes
    ----------
    id
        Of the content of its files: the same files are the same study.
    study_uid
        Empty where there is none (NIfTI).
    """

    id: str
    study_uid: str
    upload_id: str
    header: StudyHeader
    files: int


@dataclass(frozen=True)
class Result:
    """What the analysis of a study says, as far as lists show it.

    Attributes
    ----------
    folder
        Of the documents, relative to the study's folder.
    """

    decision: Decision
    probability: float | None
    phantom: bool
    folder: str


class StudyBook:
    """The table of studies."""

    def __init__(self, database: Database, queue: JobQueue, clock: Clock) -> None:
        self._database, self._queue, self._clock = database, queue, clock

    def add(self, new: NewStudy, bundle: str) -> bool:
        """Enter a study with the job that analyzes it; of the versions of one study, the last to arrive supersedes.

        Workers may enter them in another order than they arrived. Returns whether it was new; the same content a second
        time changes nothing.
        """
        with self._database.write() as connection:
            reserve(connection, new.study_uid or new.id)
            if connection.execute(select(studies.c.id).where(studies.c.id == new.id)).scalar() is not None:
                return False
            received_at = self._received_at(connection, new.upload_id)
            newer = self._supersede(connection, new, received_at) if new.study_uid else None
            job_id = self._queue.add(connection, ANALYZE, new.id, bundle)
            self._insert(connection, new, {"received_at": received_at, "superseded_by": newer, "job_id": job_id})
        return True

    def analyze_again(self, study_id: str, bundle: str) -> None:
        """Queue a study for the bundle in use; one that failed with it is tried again.

        Raises
        ------
        NotFound, Conflict
            No such study, or its job is not one that can be tried again.
        """
        row = self.row(study_id)
        if row["bundle"] == bundle:
            self._queue.retry(row["job_id"])
            return
        with self._database.write() as connection:
            job_id = self._queue.add(connection, ANALYZE, study_id, bundle)
            connection.execute(update(studies).where(studies.c.id == study_id).values(job_id=job_id))

    def send_again(self, study_id: str) -> None:
        """Queue the sending of a result again that was given up.

        Raises
        ------
        NotFound, Conflict
            No such study; nothing of it is sent to an archive, or the sending goes on or is done.
        """
        mine = and_(jobs.c.kind == SEND, jobs.c.subject == study_id, jobs.c.bundle == self.row(study_id)["bundle"])
        with self._database.read() as connection:
            number = connection.execute(select(jobs.c.id).where(mine)).scalar()
        if number is None:
            raise Conflict(f"the result of study {study_id} is not one that is sent to an archive")
        self._queue.retry(number)

    def set_result(self, connection: Connection, study_id: str, result: Result) -> None:
        """Note a result within the transaction that ends its job."""
        values = asdict(result) | {"decision": result.decision.value, "resulted_at": self._clock()}
        values["result"] = values.pop("folder")
        connection.execute(update(studies).where(studies.c.id == study_id).values(**values))

    def row(self, study_id: str) -> dict[str, Any]:
        """Return one study with its job.

        Raises
        ------
        NotFound
            There is none of this name.
        """
        with self._database.read() as connection:
            found = connection.execute(_joined().where(studies.c.id == study_id)).first()
        if found is None:
            raise NotFound(f"there is no study {study_id!r}; it may have been removed")
        return _plain(found)

    def versions(self, study_uid: str) -> list[dict[str, Any]]:
        """Return all versions of a study, the newest first; none without a UID."""
        if not study_uid:
            return []
        query = _joined().where(studies.c.study_uid == study_uid).order_by(studies.c.received_at.desc())
        with self._database.read() as connection:
            return [_plain(row) for row in connection.execute(query)]

    def worklist(self) -> list[dict[str, Any]]:
        """Return the studies that are not superseded: the urgent first, within that who waits longest."""
        query = _joined().where(studies.c.superseded_by.is_(None)).order_by(studies.c.received_at.desc())
        with self._database.read() as connection:
            rows = [_plain(row) for row in connection.execute(query.limit(SHOWN_LIMIT))]
        return sorted(rows, key=lambda row: (row["urgency"], row["received_at"]))

    def remove(self, study_id: str) -> None:
        """Forget a study and its job; raises `NotFound`."""
        row = self.row(study_id)
        with self._database.write() as connection:
            connection.execute(studies.delete().where(studies.c.id == study_id))
            about = and_(jobs.c.kind.in_((ANALYZE, SEND)), jobs.c.subject == row["id"])
            connection.execute(jobs.delete().where(about))

    def known(self) -> set[str]:
        """Return the identities of all studies."""
        with self._database.read() as connection:
            return set(connection.execute(select(studies.c.id)).scalars())

    def _supersede(self, connection: Connection, new: NewStudy, received_at: float) -> str | None:
        """Let a version take the place of the one that is current; return that one where it arrived later."""
        current = and_(studies.c.study_uid == new.study_uid, studies.c.superseded_by.is_(None))
        later = select(studies.c.id).where(current, studies.c.received_at > received_at)
        newer: str | None = connection.execute(later).scalar()
        if newer is None:
            connection.execute(update(studies).where(current).values(superseded_by=new.id))
        return newer

    def _insert(self, connection: Connection, new: NewStudy, more: Mapping[str, Any]) -> None:
        header = {name: getattr(new.header, name) for name in _HEADER_FIELDS}
        values = {"id": new.id, "study_uid": new.study_uid, "upload_id": new.upload_id, "files": new.files}
        connection.execute(insert(studies).values(**values, **more, header=header, phantom=new.header.is_phantom))

    def _received_at(self, connection: Connection, upload_id: str) -> float:
        """Return when the last byte came: waiting begins there, not when a worker had time."""
        query = select(uploads.c.finished_at).where(uploads.c.id == upload_id)
        return connection.execute(query).scalar() or self._clock()


def urgency(state: JobState, decision: Decision | None) -> Urgency:
    """Return where a study stands in the worklist."""
    if decision is Decision.RULE_IN:
        return Urgency.RULE_IN
    if state in (JobState.REFUSED, JobState.FAILED) or decision in (Decision.UNCERTAIN, Decision.NOT_ASSESSED):
        return Urgency.NEEDS_A_LOOK
    return Urgency.RULE_OUT if decision is Decision.RULE_OUT else Urgency.PENDING


def _joined() -> Any:
    job = [getattr(jobs.c, name) for name in ("bundle", "state", "attempt", "stage", "share", "error_kind", "error")]
    sends = jobs.alias()
    sending = [getattr(sends.c, name).label(f"sending_{name}") for name in _SENDING_FIELDS]
    same = and_(sends.c.kind == SEND, sends.c.subject == studies.c.id, sends.c.bundle == jobs.c.bundle)
    return select(studies, *job, *sending).join(jobs, jobs.c.id == studies.c.job_id).outerjoin(sends, same)


def _plain(row: Row[Any]) -> dict[str, Any]:
    values = row._asdict()
    sending = {name: values.pop(f"sending_{name}") for name in _SENDING_FIELDS}
    values["sending"] = sending if sending["state"] else None
    decision = Decision(values["decision"]) if values["decision"] else None
    return {**values, "urgency": int(urgency(JobState(values["state"]), decision))}
