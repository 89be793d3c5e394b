"""What workers do: sort an upload into studies, analyze a study, send its result to the archive."""

import logging
import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from sqlalchemy import Connection

from cspine.domain import InputError, Unreachable
from cspine.service.analyzing import Attempt, analyze_study, drop_results
from cspine.service.audit import Audit
from cspine.service.config import ServiceConfig
from cspine.service.parts import Parts
from cspine.service.queue import Job
from cspine.service.sorting import SortLimits, sort_upload
from cspine.service.spool import SORT
from cspine.service.studies import ANALYZE, SEND
from cspine.stores import RemoteStore
from cspine.workflow import Analyzing, Progress, dicom_results, has_dicom

Duty = Callable[[Job, Progress], None]

_log = logging.getLogger("cspine.service")


class MakeAnalyzer(Protocol):
    """Makes what analyzes, once it is needed."""

    def __call__(self) -> Analyzing:
        """Return it."""


def analysis(config: ServiceConfig, parts: Parts, make_analyzer: MakeAnalyzer) -> Mapping[str, Duty]:
    """Return the duties of a worker that analyzes.

    Parameters
    ----------
    make_analyzer
        Called when the first study comes.
    """
    return MappingProxyType({SORT: _Sorting(config, parts), ANALYZE: _Analysis(config, parts, make_analyzer)})


def sending(config: ServiceConfig, parts: Parts, archive: RemoteStore) -> Mapping[str, Duty]:
    """Return the duties of the one that sends results to an archive."""
    return MappingProxyType({SEND: _Sending(config, parts, archive)})


class _Sorting:
    def __init__(self, config: ServiceConfig, parts: Parts) -> None:
        self._config, self._parts = config, parts

    def __call__(self, job: Job, progress: Progress) -> None:
        limits = SortLimits(self._parts.bundle, self._config.max_files)
        folder = self._config.spool_dir / job.subject
        number = sort_upload(folder, self._config.studies_dir, self._parts.book, limits, progress)
        self._parts.queue.succeed(job, lambda connection: None)
        self._parts.spool.discard(job.subject)
        _log.info("upload %s: %d studies", job.subject, number)


class _Analysis:
    def __init__(self, config: ServiceConfig, parts: Parts, make_analyzer: MakeAnalyzer) -> None:
        self._config, self._parts, self._make = config, parts, make_analyzer
        self._analyzer: Analyzing | None = None

    def __call__(self, job: Job, progress: Progress) -> None:
        folder = self._config.studies_dir / job.subject
        drop_results(folder, self._parts.book.row(job.subject)["result"])
        if self._analyzer is None:
            progress("load the networks", 0.0)
            self._analyzer = self._make()
        trying = Attempt(folder, job.id, job.attempt, secrets.token_hex(4))
        case, result = analyze_study(trying, self._analyzer, self._config.kinds, progress)
        goes_out = bool(self._config.send_to) and has_dicom(tuple(case.documents))

        def effects(connection: Connection) -> None:
            self._parts.book.set_result(connection, job.subject, result)
            if goes_out:
                self._parts.queue.add(connection, SEND, job.subject, job.bundle)

        self._parts.queue.succeed(job, effects)
        drop_results(folder, result.folder)
        _log.info("study %s: %s", job.subject, result.decision)


class _Sending:
    """Sends what was rendered once, byte for byte: however often it is tried, the archive holds it once."""

    def __init__(self, config: ServiceConfig, parts: Parts, archive: RemoteStore) -> None:
        self._config, self._parts, self._archive = config, parts, archive
        self._audit = Audit(parts.database, parts.clock)

    def __call__(self, job: Job, progress: Progress) -> None:
        row = self._parts.book.row(job.subject)
        if row["superseded_by"] is not None:
            raise InputError("a newer version came before the result of this one was sent; only the newer one goes out")
        progress("send to the archive", 0.1)
        documents = dicom_results(self._config.studies_dir / job.subject / row["result"])
        if not documents:
            raise Unreachable("the result is being replaced by a newer one")
        sent = self._archive.send_all(documents)
        self._parts.queue.succeed(job, lambda connection: None)
        self._audit.note("cspine", "send", job.subject, self._archive.name)
        _log.info("study %s: %d objects sent", job.subject, len(sent))
