"""Read the headers of many study folders on all processors.

A worker does everything that one study needs, down to its row of the table of studies; the process that writes the
tables lists folders and joins what comes back. While the workers start it reads, too.
"""

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import chain, islice
from multiprocessing import get_context

from cspine.datasets.index.slices import StudyFolder
from cspine.datasets.index.studies import StudyHeaders, study_headers

# A task is worth its way to another process from about this many files on.
FILES_PER_TASK = 512
# Fewer files than this are read here: starting processes would take longer.
FILES_FOR_WORKERS = 2 * FILES_PER_TASK
_STUDIES_PER_TASK = 64
_AHEAD_PER_WORKER = 3
_PEEK = 8

_Task = list[StudyFolder]
_Read = Iterator[tuple[StudyFolder, StudyHeaders]]


def read_headers(root: str, studies: Iterable[StudyFolder], workers: int) -> _Read:
    """Yield each study with its headers, in the order given; only a few studies are in memory at a time."""
    tasks = _tasks(studies)
    while first := list(islice(tasks, _PEEK)):
        many = sum(len(study.files) for task in first for study in task) >= FILES_FOR_WORKERS
        if workers > 1 and many:
            yield from _by_processes(root, chain(first, tasks), workers)
            return
        for task in first:
            yield from _read_here(root, task)


def _by_processes(root: str, tasks: Iterator[_Task], workers: int) -> _Read:
    running: deque[tuple[_Task, Future[list[StudyHeaders]]]] = deque()
    with ThreadPoolExecutor(1) as starter:
        starting = starter.submit(_started, workers)
        while not starting.done() and (task := next(tasks, None)) is not None:
            yield from _read_here(root, task)
        pool = starting.result()
    try:
        for task in tasks:
            running.append((task, pool.submit(_read_task, root, task)))
            if len(running) >= workers * _AHEAD_PER_WORKER:
                yield from _next(running)
        while running:
            yield from _next(running)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _next(running: "deque[tuple[_Task, Future[list[StudyHeaders]]]]") -> _Read:
    task, future = running.popleft()
    yield from zip(task, future.result(), strict=True)


def _started(workers: int) -> ProcessPoolExecutor:
    """Return a pool of which one process has answered."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_die_on_interrupt)
    pool.submit(_read_task, "", []).result()
    return pool


def _die_on_interrupt() -> None:
    """Let Ctrl-C end a worker without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _tasks(studies: Iterable[StudyFolder]) -> Iterator[_Task]:
    task: _Task = []
    for study in studies:
        task.append(study)
        if len(task) >= _STUDIES_PER_TASK or sum(len(one.files) for one in task) >= FILES_PER_TASK:
            yield task
            task = []
    if task:
        yield task


def _read_here(root: str, task: _Task) -> _Read:
    for study in task:
        yield study, study_headers(root, study)


def _read_task(root: str, task: _Task) -> list[StudyHeaders]:
    return [study_headers(root, study) for study in task]
