"""Run independent pieces of work in this process or in others, and report each that is done."""

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

Job = Callable[[], None]
Report = Callable[[str, float], None]


def run_jobs(jobs: Sequence[tuple[str, Job]], before: int, workers: int, report: Report) -> None:
    """Run jobs; their order may differ with the workers, so a job must not depend on another.

    Parameters
    ----------
    jobs
        Name and work; the work goes to another process when `workers` is above 1, so it must be picklable.
    before
        Jobs that were done in earlier runs; they count in the shares.
    report
        Called with a name and the share of all that is done: before a job in this process, after one in another.
    """
    total = before + len(jobs)
    workers = min(workers, len(jobs))
    if workers <= 1:
        for done, (name, job) in enumerate(jobs, before):
            report(name, done / total)
            job()
        return
    context = get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_die_on_interrupt) as pool:
        running = {pool.submit(job): name for name, job in jobs}
        try:
            for done, future in enumerate(as_completed(running), before + 1):
                future.result()
                report(running[future], done / total)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _die_on_interrupt() -> None:
    """Let Ctrl-C end a worker without a word; the parent cleans up."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
