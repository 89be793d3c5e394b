"""Do one thing to many studies: in threads, on all cores, each answer kept so that a run that stopped goes on.

Decoding happens in child processes and NumPy leaves the interpreter to others, so threads are enough, and nothing is
pickled. At most one study per worker is in memory.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cspine.datasets.labeled_study import StudyFiles
from cspine.dicom import write_atomically
from cspine.domain import CspineError, StoreError

Values = dict[str, Any]
Report = Callable[[str, float], None]


@dataclass(frozen=True)
class Answer:
    """What a study gave: values, or the reason why not.

    Attributes
    ----------
    kept
        Whether it was there from an earlier run.
    """

    files: StudyFiles
    values: Values
    error: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Work:
    """What is done to each study.

    Attributes
    ----------
    do
        Returns plain JSON values; may raise `CspineError`, which costs its study alone; a `StoreError` ends the run.
    depends_on
        Whatever the answer of a study depends on besides its files, as plain JSON values.
    kept_in
        Folder of answers, ``None`` to keep none.
    still_holds
        Whether a kept answer is still true, asked before it is used: what it speaks of may have been deleted.
    """

    do: Callable[[StudyFiles], Values]
    depends_on: Callable[[StudyFiles], Mapping[str, object]]
    kept_in: Path | None = None
    still_holds: Callable[[Values], bool] = lambda values: True


def over_studies(studies: Sequence[StudyFiles], work: Work, workers: int, report: Report) -> Iterator[Answer]:
    """Yield the answer of every study, in the order in which they are finished.

    Parameters
    ----------
    report
        Called with the UID of a finished study and the share that is done.
    """
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        waiting = iter(studies)
        running: set[Future[Answer]] = set()
        try:
            while True:
                running |= {pool.submit(_answer, files, work) for files in _next(waiting, workers * 2 - len(running))}
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    answer = future.result()
                    done += 1
                    report(answer.files.uid, done / len(studies))
                    yield answer
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def files_signature(files: StudyFiles, parameters: Mapping[str, object]) -> str:
    """Return a hash that changes when a file of the study, its boxes or the parameters do; no pixel is read."""
    digest = hashlib.sha256()
    images = sorted(files.folder.rglob("*")) if files.folder.is_dir() else []
    for path in (*images, *([files.mask] if files.mask else [])):
        if path.is_file():
            status = path.stat()
            digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    rest = {"boxes": [asdict(box) for box in files.boxes], "parameters": dict(parameters)}
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()


def is_kept(files: StudyFiles, work: Work) -> bool:
    """Return whether the answer of a study is there from an earlier run and still true."""
    return _kept_answer(files, work) is not None


def _next(waiting: Iterator[StudyFiles], count: int) -> Iterable[StudyFiles]:
    return [files for _, files in zip(range(count), waiting, strict=False)]


def _answer(files: StudyFiles, work: Work) -> Answer:
    kept = _kept_answer(files, work)
    if kept is not None:
        return Answer(files, kept, kept=True)
    answer = _fresh(files, work)
    if work.kept_in is not None and not answer.error:
        document = {"signature": files_signature(files, work.depends_on(files)), "values": answer.values}
        write_atomically(_place(files, work.kept_in), json.dumps(document).encode())
    return answer


def _place(files: StudyFiles, folder: Path) -> Path:
    return folder / f"{files.uid}.json"


def _kept_answer(files: StudyFiles, work: Work) -> Values | None:
    if work.kept_in is None:
        return None
    values = _kept(_place(files, work.kept_in), files_signature(files, work.depends_on(files)))
    return values if values is not None and work.still_holds(values) else None


def _fresh(files: StudyFiles, work: Work) -> Answer:
    try:
        return Answer(files, work.do(files))
    except StoreError:
        raise  # a full disk ends the run, not a study
    except CspineError as error:
        return Answer(files, {}, str(error) or type(error).__name__)


def _kept(path: Path, signature: str) -> Values | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or document.get("signature") != signature:
        return None
    values = document.get("values")
    return values if isinstance(values, dict) else None
