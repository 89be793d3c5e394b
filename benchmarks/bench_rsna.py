"""How fast phantoms are written in the layout of RSNA 2022, and how large they are. What is written is deleted again.

    python -m benchmarks.bench_rsna [--studies 4] [--size small] [--workers 2] [--seed 1] [--json FILE]

The goal, 600 studies an hour with `--size full --workers 4`, is one for a machine of four free processors: the
processor seconds of a study say what another machine would need. The start of the processes counts.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from cspine.datasets import Layout, PhantomPlan, size_named, write_phantoms

COUNTED = ("train_images", "test_images", "segmentations", "truth")


def processor_s() -> float:
    """Return the processor time of this process and of those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def measure(plan: PhantomPlan, workers: int) -> dict[str, float]:
    """Write a set, and return how long it took and how large it is."""
    root = Path(tempfile.mkdtemp(prefix="cspine-bench-"))
    try:
        before, start = processor_s(), time.perf_counter()
        write_phantoms(plan, root / "set", lambda name, share: None, workers, threads=1)
        wall, processor = time.perf_counter() - start, processor_s() - before
        sizes = {name: folder_bytes(root / "set" / name) for name in COUNTED}
        slices = sum(1 for _ in (root / "set").glob("*_images/*/*.dcm"))
    finally:
        shutil.rmtree(root)
    count = plan.studies
    return {
        "studies_per_hour": 3600 * count / wall,
        "processor_s_per_study": processor / count,
        "slices_per_study": slices / count,
        "bytes_per_study": sum(sizes.values()) / count,
        **{f"{name}_bytes": size / count for name, size in sizes.items()},
    }


def folder_bytes(folder: Path) -> int:
    """Return the sum of the sizes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--size", default="small")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    plan = PhantomPlan(options.studies, options.seed, layout=Layout.RSNA, size=size_named(options.size))
    figures = measure(plan, options.workers)
    print(f"layout rsna, size {plan.size}, {plan.studies} studies, {options.workers} workers")
    for name, value in figures.items():
        print(f"  {name:<24}{value:>16,.1f}")
    if options.json:
        asked = {"size": plan.size.value, "studies": plan.studies, "workers": options.workers, "seed": plan.seed}
        options.json.write_text(json.dumps({**asked, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
