"""Studies that arrive by themselves: each complete version is analyzed, stored, and sent where results go."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cspine.domain import StoreError
from cspine.stores import ReceivedStudy
from cspine.workflow.archive import send_folder
from cspine.workflow.case import Analyzing
from cspine.workflow.studies import StudyOutcome, Wish, run_source

LAST_DOCUMENT = "findings.json"


class Incoming:
    """Takes received studies over, one after the other; what `Delivery` calls.

    The results of a version go into ``<out>/<study UID>/<version>``. Where that holds them already, because only the
    archive failed, they are sent as they are.

    Parameters
    ----------
    wish
        Its ``out`` is the root; with an ``archive``, results are sent there.
    tell
        Gets every outcome.
    """

    def __init__(self, analyzer: Analyzing, wish: Wish, tell: Callable[[StudyOutcome], object]):
        self._analyzer, self._wish, self._tell = analyzer, wish, tell

    def __call__(self, study: ReceivedStudy) -> None:
        """Analyze one version.

        Raises
        ------
        StoreError
            The archive or the disk failed; call again. A study that is refused is only told.
        """
        folder = self._wish.out / study.study_uid / f"{study.version}"
        if self._resent(folder):
            return
        wish = replace(self._wish, out=folder, study_uid=study.study_uid)
        for outcome in run_source(study.folder, lambda: self._analyzer, wish):
            if isinstance(outcome.error, StoreError):
                raise outcome.error
            self._tell(outcome)
            del outcome  # its volume must not stay while the next study is read

    def _resent(self, folder: Path) -> bool:
        if self._wish.archive is None or not (folder / LAST_DOCUMENT).exists():
            return False
        send_folder(folder, self._wish.archive)
        return True
