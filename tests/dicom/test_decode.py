"""Decoding in child processes: what a damaged file, a hanging one or a greedy one costs."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.dicom.decode import DecodePool, Job, default_workers
from cspine.domain import UnsupportedSeries

ROWS, COLUMNS = 8, 16
SLICE_BYTES = ROWS * COLUMNS * 2


def raw_job(path: Path, number: int = 0, **changes: object) -> Job:
    """Return a job for a bare file of 16-bit values."""
    job = Job(
        path=str(path),
        offset=0,
        deflated_from=None,
        codec="raw",
        frame=0,
        frames=1,
        rows=ROWS,
        columns=COLUMNS,
        bits_allocated=16,
        bits_stored=16,
        signed=True,
        big_endian=False,
        slope=1.0,
        intercept=0.0,
        padding=None,
        invert=False,
        out="int16",
        at=number * SLICE_BYTES,
        name=path.name,
    )
    return replace(job, **changes)  # type: ignore[arg-type]  # fields by name


@pytest.fixture
def slices(tmp_path: Path) -> list[Path]:
    """Return bare files; the values of each are its number."""
    paths = [tmp_path / f"slice-{number}" for number in range(24)]
    for number, path in enumerate(paths):
        path.write_bytes(np.full((ROWS, COLUMNS), number, "<i2").tobytes())
    return paths


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    made = DecodePool(2, timeout_s=3.0)
    yield made
    made.close()


def decoded(pool: DecodePool, paths: list[Path]) -> np.ndarray:
    jobs = [raw_job(path, number) for number, path in enumerate(paths)]
    buffer, reports = pool.run(jobs, SLICE_BYTES * len(jobs))
    assert len(reports) == len(jobs)
    return buffer.view(np.int16).reshape(len(jobs), ROWS, COLUMNS)


def test_slices_arrive_in_their_places(pool: DecodePool, slices: list[Path]) -> None:
    assert [int(plane[3, 3]) for plane in decoded(pool, slices)] == list(range(24))


def test_memory_lives_as_long_as_a_view_of_it(pool: DecodePool, slices: list[Path]) -> None:
    plane = decoded(pool, slices)[7]
    decoded(pool, slices[::-1])
    assert (plane == 7).all()


@pytest.mark.slow
def test_a_hanging_file_costs_one_error_that_names_it(pool: DecodePool, slices: list[Path], tmp_path: Path) -> None:
    pipe = tmp_path / "hangs"
    os.mkfifo(pipe)
    with pytest.raises(UnsupportedSeries, match=r"hangs: pixel data cannot be decoded \(decoding took more than 3 s\)"):
        decoded(pool, [*slices[:5], pipe, *slices[5:]])
    assert [int(plane[0, 0]) for plane in decoded(pool, slices)] == list(range(24))


def test_a_child_that_is_killed_costs_one_error_that_names_the_file(
    pool: DecodePool, slices: list[Path], tmp_path: Path
) -> None:
    pipe = tmp_path / "kills"
    os.mkfifo(pipe)
    pool.start()
    children = [int(pid) for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]

    def kill_the_one_that_waits() -> None:
        time.sleep(1.0)
        for pid in children:
            command = Path(f"/proc/{pid}/cmdline")
            if command.exists() and b"pixel_child" in command.read_bytes():
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_the_one_that_waits)
    killer.start()
    with pytest.raises(UnsupportedSeries, match=r"kills: pixel data cannot be decoded .*SIGKILL"):
        decoded(pool, [pipe])
    killer.join()
    deadline = time.monotonic() + 30
    while any(map(_runs, children)) and time.monotonic() < deadline:
        time.sleep(0.01)  # a signal arrives when the processor has time for it
    assert [int(plane[0, 0]) for plane in decoded(pool, slices)] == list(range(24))


def _runs(pid: int) -> bool:
    """Tell whether a process still runs: it is neither gone nor waits to be buried."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] not in ("Z", "X")


def test_a_file_that_wants_all_memory_is_stopped_by_the_limit(slices: list[Path], tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    huge.touch()
    os.truncate(huge, 2 * 30000 * 30000)
    pool = DecodePool(1, memory_bytes=1024 * 2**20)
    try:
        job = raw_job(huge, rows=30000, columns=30000)
        with pytest.raises(UnsupportedSeries, match=r"huge: pixel data cannot be decoded .MemoryError"):
            pool.run([job], 4096)
        assert (decoded(pool, slices[3:4]) == 3).all()
    finally:
        pool.close()


def test_a_missing_file_is_named(pool: DecodePool, slices: list[Path]) -> None:
    slices[9].unlink()
    with pytest.raises(UnsupportedSeries, match=r"slice-9: pixel data cannot be decoded \(FileNotFoundError"):
        decoded(pool, slices)


def test_one_pool_serves_several_threads(pool: DecodePool, slices: list[Path]) -> None:
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(decoded(pool, slices))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert all(np.array_equal(result, results[0]) for result in results)


def test_padding_and_low_values_are_counted(pool: DecodePool, tmp_path: Path) -> None:
    values = np.zeros((ROWS, COLUMNS), "<i2")
    values[0], values[1, :4] = -2000, -900
    path = tmp_path / "padded"
    path.write_bytes(values.tobytes())
    _, (report,) = pool.run([raw_job(path, padding=(-900, -900))], SLICE_BYTES)
    assert report.clamped == COLUMNS + 4
    assert report.highest == 0


def test_there_is_a_worker_per_processor_up_to_a_limit() -> None:
    assert 1 <= default_workers() <= 8


def test_a_child_that_cannot_be_started_is_told(
    pool: DecodePool, slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    pool.start()
    with pytest.raises(UnsupportedSeries, match="no decoder can be started: No such file or directory"):
        decoded(pool, slices)
    monkeypatch.undo()
    assert (decoded(pool, slices[3:4]) == 3).all()
