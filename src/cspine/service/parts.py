"""The parts of the service, put together once for each process."""

import time
from dataclasses import dataclass

from cspine.service.config import ServiceConfig
from cspine.service.database import Clock, Database, open_database
from cspine.service.outbox import Outbox
from cspine.service.queue import NO_ROOM, JobQueue, RetryPolicy
from cspine.service.spool import Spool
from cspine.service.studies import SEND, StudyBook


@dataclass(frozen=True)
class Parts:
    """What web and workers share.

    Attributes
    ----------
    bundle
        Identity of the model bundle in use.
    """

    database: Database
    queue: JobQueue
    book: StudyBook
    spool: Spool
    outbox: Outbox
    bundle: str
    clock: Clock


def open_parts(config: ServiceConfig, bundle: str, clock: Clock = time.time) -> Parts:
    """Open the database and what stands on it.

    Raises
    ------
    ConfigError, StoreError
        As `Database`.
    """
    database = open_database(config)
    policy = RetryPolicy(config.max_attempts, config.retry_first_s, config.lease_s)
    patient = RetryPolicy(config.send_attempts, config.retry_first_s, config.lease_s, config.send_wait_max_s)
    box = Outbox(config, database, clock)
    queue = JobQueue(database, clock, policy, box.announce, {SEND: patient, NO_ROOM: patient})
    book = StudyBook(database, queue, clock)
    return Parts(database, queue, book, Spool(config, database, queue, clock), box, bundle, clock)
