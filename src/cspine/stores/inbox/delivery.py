"""Hand complete studies over, each at least once, whatever happens between."""

import time
from collections.abc import Callable

from cspine.domain import StoreError
from cspine.stores.inbox.inbox import Inbox
from cspine.stores.inbox.versions import ReceivedStudy

_FORGET_EVERY_S = 60.0


class Delivery:
    """Seals studies that fell quiet and hands them over.

    Parameters
    ----------
    quiet_s
        A study is complete when nothing of it has arrived for so long.
    on_study
        Called with one version at a time, in one thread. When it returns, the version counts as taken over and is not
        handed over again. It may raise `StoreError` to say "not now": it is called again later. A version is also
        handed over again when the process dies before the call's end is on disk, so the callee must be idempotent on
        ``(study_uid, digest)``.
    keep_s
        Studies that were taken over are forgotten so long after their last object; ``None`` keeps them.
    retry_s
        After a "not now".
    report
        Told what went wrong, in sentences without patient data.
    """

    def __init__(
        self,
        inbox: Inbox,
        quiet_s: float,
        on_study: Callable[[ReceivedStudy], None],
        *,
        keep_s: float | None = None,
        retry_s: float = 30.0,
        report: Callable[[str], None] = lambda sentence: None,
    ):
        self._inbox, self._quiet_s, self._on_study = inbox, quiet_s, on_study
        self._keep_s, self._retry_s, self._report = keep_s, retry_s, report
        self._not_before_s = self._forget_at_s = 0.0

    def step(self, now_s: float) -> None:
        """Do what is due.

        Parameters
        ----------
        now_s
            Seconds that only ever grow.
        """
        if now_s < self._not_before_s:
            return
        try:
            for uid in self._inbox.quiet(self._quiet_s):
                self._inbox.seal(uid)
            for study in self._inbox.untold():
                self._on_study(study)
                self._inbox.mark_told(study)
            if self._keep_s is not None and now_s >= self._forget_at_s:
                self._forget_at_s = now_s + _FORGET_EVERY_S
                self._inbox.forget_before(time.time() - self._keep_s)
        except StoreError as error:
            self._not_before_s = now_s + self._retry_s
            self._report(f"{error}; tried again in {self._retry_s:g} s")
