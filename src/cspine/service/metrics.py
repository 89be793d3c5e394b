"""Figures for Prometheus, read from the tables when they are asked for: every process gives the same ones."""

import shutil

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select

from cspine.service.config import ServiceConfig
from cspine.service.parts import Parts
from cspine.service.tables import outbox, studies

WINDOW_S = 24 * 3600.0


def metrics_text(config: ServiceConfig, parts: Parts) -> bytes:
    """Return the figures in Prometheus' text format."""
    registry = CollectorRegistry()
    jobs = Gauge("cspine_jobs", "Jobs by kind and state.", ["kind", "state"], registry=registry)
    for (kind, state), number in parts.queue.counts().items():
        jobs.labels(kind, state).set(number)
    decisions = Gauge(
        "cspine_studies", "Studies by decision; empty where there is none.", ["decision"], registry=registry
    )
    waits = Gauge(
        "cspine_result_seconds", "Seconds from the last image to the result, last day.", ["q"], registry=registry
    )
    undelivered = Gauge("cspine_undelivered", "Announcements that did not arrive yet.", registry=registry)
    since = parts.clock() - WINDOW_S
    with parts.database.read() as connection:
        counts = connection.execute(select(studies.c.decision, func.count()).group_by(studies.c.decision))
        for decision, number in counts:
            decisions.labels(decision or "").set(number)
        spent = (studies.c.resulted_at - studies.c.received_at).label("spent")
        took = sorted(connection.execute(select(spent).where(studies.c.resulted_at > since)).scalars())
        waiting = select(func.count()).select_from(outbox).where(outbox.c.delivered_at.is_(None))
        undelivered.set(connection.execute(waiting).scalar() or 0)
    for name, share in (("0.5", 0.5), ("0.95", 0.95)):
        if took:
            waits.labels(name).set(took[min(len(took) - 1, int(share * len(took)))])
    free = Gauge("cspine_disk_free_bytes", "Free bytes where the service keeps everything.", registry=registry)
    free.set(shutil.disk_usage(config.data_dir).free)
    return generate_latest(registry)
