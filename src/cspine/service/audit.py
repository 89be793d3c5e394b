"""Who did what and when: views, exports, log-ins, changes. Studies are named by identity, never by patient."""

from typing import Any

from sqlalchemy import insert, select

from cspine.service.database import Clock, Database
from cspine.service.tables import audit

PAGE = 500


class Audit:
    """The table of what was done; rows are added, never changed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def note(self, actor: str, action: str, subject: str, address: str, outcome: str = "done") -> None:
        """Add a row.

        Parameters
        ----------
        actor
            Account or key; of a failed log-in the name that was tried.
        subject
            Study, upload, account or key.
        """
        values = {"actor": actor[:80], "action": action, "object": subject[:80], "address": address[:64]}
        with self._database.write() as connection:
            connection.execute(insert(audit).values(**values, at=self._clock(), outcome=outcome))

    def page(self, before: int | None = None) -> list[dict[str, Any]]:
        """Return the newest rows, or those before one."""
        query = select(audit).order_by(audit.c.id.desc()).limit(PAGE)
        if before is not None:
            query = query.where(audit.c.id < before)
        with self._database.read() as connection:
            return [row._asdict() for row in connection.execute(query)]
