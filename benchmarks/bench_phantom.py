"""Make phantoms: seconds a case, studies an hour, crops a second.

    python -m benchmarks.bench_phantom [--studies 20] [--workers 4] [--scans 24]

One person's whole neck at 0.5 mm, stage by stage, in processor and wall-clock seconds; then raw DICOM studies as
`sample_spec` draws them (written to a temporary folder one by one and deleted), and vertebra crops for training
(`sample_crops`). Processor seconds add up all threads.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from cspine.dicom import StoredAs, StudyHeader, write_ct_series
from cspine.dicom.decode import default_workers
from cspine.domain import Volume
from cspine.phantom import CropPlan, Field, PhantomSpec, make_case, make_subject, sample_crops, sample_spec
from cspine.phantom.case import around_grid, field_grid, fine_grid, ground_truth
from cspine.phantom.render import render_hu, render_labels
from cspine.phantom.scanner import scan

T = TypeVar("T")
TARGETS = "goals: 20 s a neck at 0.5 mm on 4 cores, 600 raw studies an hour on 4 cores, 5 crops a second and core"


def neck(seed: int) -> PhantomSpec:
    """Return a whole neck, 512×512 pixels over 180 mm, slices of 0.5 mm, not tilted."""
    spec = sample_spec(np.random.default_rng(seed), field=Field.WHOLE)
    scanner = replace(
        spec.scanner,
        field_of_view_mm=180.0,
        matrix=(512, 512),
        spacing_mm=0.5,
        thickness_mm=0.5,
        tilt_deg=0.0,
        motion_mm=0.0,
    )
    return replace(spec, scanner=scanner)


def stages(seed: int, threads: int) -> None:
    """Print what each stage of one neck takes."""
    spec, times = neck(seed), {}

    def timed(name: str, work: Callable[[], T]) -> T:
        wall, processor = time.perf_counter(), time.process_time()
        done = work()
        times[name] = time.process_time() - processor, time.perf_counter() - wall
        return done

    subject = timed("bones and posture", lambda: make_subject(spec))
    grid = field_grid(subject, spec)
    fine, around = fine_grid(grid), around_grid(subject, grid)
    hu = timed("painting", lambda: render_hu(subject, fine, threads))
    whole = timed("the body around", lambda: Volume(around, render_hu(subject, around, threads)))
    rng = np.random.default_rng(0)
    timed("scanner", lambda: scan(hu, fine, spec.scanner, rng, target=grid, whole_body=whole, threads=threads))
    timed("labels", lambda: render_labels(subject, grid, threads))
    timed("truth", lambda: ground_truth(subject, grid, spec.scanner, threads))
    print(f"one neck, {grid.shape[0]} slices of {grid.shape[1]}×{grid.shape[2]}, {threads} threads, seconds")
    print(f"{'':<20}{'processor':>10}{'wall':>8}")
    total = tuple(sum(t[k] for t in times.values()) for k in (0, 1))
    for name, (processor, wall) in (times | {"together": total}).items():
        print(f"{name:<20}{processor:>10.2f}{wall:>8.2f}")


def write_study(number: int) -> tuple[int, int, float]:
    """Make one study, write it raw, delete it; return slices, bytes and processor seconds."""
    start = time.process_time()
    spec = sample_spec(np.random.default_rng([11, number]), field=Field.WHOLE)
    case = make_case(spec, threads=1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "series")
        header = StudyHeader(is_phantom=True)
        write_ct_series(case.volume, folder, stored_as=StoredAs.RAW, header=header)
        size = sum(path.stat().st_size for path in folder.iterdir())
    return case.volume.grid.shape[0], size, time.process_time() - start


def studies(count: int, workers: int) -> None:
    """Print how many raw studies an hour some workers make."""
    start = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        done = list(pool.map(write_study, range(count)))
    hours = (time.perf_counter() - start) / 3600
    slices, size, processor = np.array(done).T
    print(
        f"{count} raw studies, {workers} workers: {count / hours:.0f} an hour; a study has {slices.mean():.0f} slices,"
    )
    print(
        f"{size.mean() / 1e6:.0f} MB and takes {processor.mean():.1f} (median {np.median(processor):.1f}) processor "
        f"seconds: 4 free cores would make {4 * 3600 / processor.mean():.0f} an hour"
    )


def crops(scans: int) -> None:
    """Print how many crops one thread makes in a second, growing the person included."""
    plan = CropPlan(scans=scans)
    wall, processor = time.perf_counter(), time.process_time()
    count = sum(1 for _ in islice(sample_crops(plan, np.random.default_rng(0)), 7 * scans))
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    print(f"{count} crops {plan.shape} at {plan.spacing_mm} mm of one person, {scans} scans:")
    print(f"{count / processor:.1f} a processor second, {count / wall:.1f} a second")


def main(arguments: list[str] | None = None) -> None:
    """Print the three measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--threads", type=int, default=default_workers())
    parser.add_argument("--scans", type=int, default=24)
    options = parser.parse_args(arguments)
    print(TARGETS)
    stages(5, options.threads)
    if options.studies:
        studies(options.studies, options.workers)
    crops(options.scans)


if __name__ == "__main__":
    main()
