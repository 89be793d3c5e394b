"""The whole way of one study of 300 slices of 512×512: seconds and peak memory per stage.

    python -m benchmarks.bench_detect [--slices 300] [--repeats 5] [--bundle DIR] [--keep DIR] [--peer] [--json FILE]

The study is a phantom, so that a bundle finds a neck in it; it is made once (minutes), or taken from DIR when it is
there. "Warm" repeats the whole way in one process, as a service does; its memory is the highest resident memory of that
process within each stage (Linux). "Process" is `cspine detect` from a shell: interpreter, imports and the compilation
of the networks included. "Peer" is the design of the first place of RSNA 2022
(`winner-2022`: one network of its first model and one of its second, random weights), which judges the same seven
vertebrae; it stands beside the stage "look for fractures", because both are given the vertebrae. Needs torch.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cspine.cli.options import default_threads
from cspine.dicom import StoredAs, StudyHeader, write_ct_series
from cspine.domain import Box, Vertebra
from cspine.models import default_bundle_path, load_bundle
from cspine.phantom import Coverage, PhantomSpec, Scanner, make_case
from cspine.pipeline import Analyzer
from cspine.workflow import Done, Wish, run_source

TARGET_WARM_S, TARGET_MEMORY_MIB = 3.0, 1536
JUDGING, LEVELS = "look for fractures", 7
ENTRY = "from cspine.cli.main import main; main()"
SAMPLE_S = 0.02


def make_study(folder: Path, slices: int) -> None:
    """Write a phantom neck with that many slices, once."""
    if folder.exists():
        return
    height_mm = 170.0
    scanner = Scanner(spacing_mm=height_mm / slices, thickness_mm=max(1.0, height_mm / slices))
    coverage = Coverage(top=Vertebra.C1, top_mm=height_mm - 135.0, bottom=Vertebra.T2, bottom_mm=20.0)
    volume = make_case(PhantomSpec(seed=5, scanner=scanner, coverage=coverage), threads=default_threads()).volume
    count, rows, columns = volume.grid.shape
    first = max(count - slices, 0) // 2  # the neck may be longer than the field
    volume = volume.crop(Box((first, 0, 0), (min(first + slices, count), rows, columns)))
    header = StudyHeader(patient_name="Benchmark^Phantom", is_phantom=True)
    write_ct_series(volume, folder, header=header, stored_as=StoredAs.RAW)


def warm(images: Path, bundle: Path, repeats: int, out: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return median seconds and highest MiB per stage and of the whole, in one process."""
    analyzer = Analyzer(load_bundle(bundle), threads=default_threads())
    memory = StageMemory()
    runs, wholes = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        (outcome,) = run_source(images, lambda: analyzer, Wish(("json", "html"), out), memory)
        wholes.append(time.perf_counter() - start)
        if not isinstance(outcome.ended, Done):
            raise SystemExit(f"the phantom was refused: {outcome.error}")
        runs.append(outcome.ended.value.timings_s)
        del outcome
    stages = {stage: statistics.median(run.get(stage, 0.0) for run in runs[1:]) for stage in runs[-1]}
    memory("", 1.0)
    peaks = {**memory.peaks_mib, "whole": max(memory.peaks_mib.values())}
    return {**stages, "first whole": wholes[0], "whole": statistics.median(wholes[1:])}, peaks


def process(images: Path, bundle: Path, repeats: int, out: Path) -> dict[str, float]:
    """Return median seconds of `cspine detect`, its processor seconds, and the peak memory of all its processes."""
    command = [sys.executable, "-c", ENTRY, "detect", str(images), "--bundle", str(bundle), "--out", str(out), "--json"]
    walls, processor, memory = [], [], []
    for _ in range(repeats):
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        sampler = MemorySampler(child.pid)
        sampler.start()
        _, status, usage = os.wait4(child.pid, 0)
        walls.append(time.perf_counter() - start)
        child.returncode = os.waitstatus_to_exitcode(status)
        sampler.stop()
        if child.returncode != 0:
            raise SystemExit(f"cspine detect ended with {child.returncode}")
        processor.append(usage.ru_utime + usage.ru_stime)
        # Not ru_maxrss: a child's begins with the memory of the process that started it, here the warm one.
        memory.append(sampler.peak_mib)
    return {
        "whole": statistics.median(walls),
        "processor": statistics.median(processor),
        "peak memory MiB": max(memory),
    }


def peer(repeats: int) -> float:
    """Return median seconds that both networks of `winner-2022` take for the seven vertebrae of a study."""
    import torch  # noqa: PLC0415  # of the extra train, which only this part needs

    from cspine.training.recipes.winner_2022 import winner_2022  # noqa: PLC0415  # the same extra
    from cspine.training.recipes.winner_2022.run import build_networks  # noqa: PLC0415  # the same extra

    recipe = winner_2022()
    plan = recipe.crops
    torch.set_num_threads(default_threads())
    first, second = (network.eval() for network in build_networks(recipe, LEVELS))
    slices = torch.rand(1, plan.slices, recipe.channels, plan.size, plan.size)
    features = torch.rand(1, LEVELS * plan.slices, second.width)
    walls = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            for _ in range(LEVELS):
                first(slices)
            second(features)
            walls.append(time.perf_counter() - start)
    return statistics.median(walls[1:])


class StageMemory:
    """Notes the highest resident memory of this process in each stage; a progress function. Linux."""

    def __init__(self) -> None:
        self.peaks_mib: dict[str, float] = {}
        self._stage = ""

    def __call__(self, stage: str, share: float) -> None:
        """End the stage that runs, and begin another."""
        self.peaks_mib[self._stage] = max(self.peaks_mib.get(self._stage, 0.0), _highest_mib(os.getpid()))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the mark back (proc(5))
        self._stage = stage


class MemorySampler(threading.Thread):
    """Watches the proportional memory (PSS: what is shared counts once) of a process and its descendants. Linux.

    Between two samples the process alone may hold more: its own highest mark is taken, too.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._over = pid, threading.Event()
        self.peak_mib = 0.0

    def run(self) -> None:
        """Sample until stopped."""
        while not self._over.wait(SAMPLE_S):
            together = sum(_pss_mib(pid) for pid in _descendants(self._pid))
            self.peak_mib = max(self.peak_mib, together, _highest_mib(self._pid))

    def stop(self) -> None:
        """End the sampling."""
        self._over.set()
        self.join()


def _descendants(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        try:
            waiting += [int(p) for p in Path(f"/proc/{current}/task/{current}/children").read_text().split()]
        except OSError:  # it ended meanwhile, or this is no Linux
            continue
    return found


def _pss_mib(pid: int) -> float:
    return _kept_mib(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def _highest_mib(pid: int) -> float:
    return _kept_mib(Path(f"/proc/{pid}/status"), "VmHWM:")


def _kept_mib(path: Path, key: str) -> float:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(key)), 0.0)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--keep", type=Path, help="folder for the study, made when it is not there")
    parser.add_argument("--peer", action="store_true", help="also time the networks of winner-2022; needs torch")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        images = options.keep or Path(scratch, "images")
        make_study(images, options.slices)
        stages, peaks = warm(images, options.bundle, options.repeats, Path(scratch, "warm"))
        shell = process(images, options.bundle, options.repeats, Path(scratch, "process"))
    print(f"{options.slices} slices of 512×512, {default_threads()} threads, medians of {options.repeats}, seconds")
    for stage, seconds in stages.items():
        peak = f"{peaks[stage]:>8.0f} MiB" if stage in peaks else ""
        print(f"  warm     {stage:<20}{seconds:>8.2f}{peak}{f'   target {TARGET_WARM_S}' if stage == 'whole' else ''}")
    for name, value in shell.items():
        print(f"  process  {name:<20}{value:>8.2f}{f'   target {TARGET_MEMORY_MIB}' if 'memory' in name else ''}")
    found: dict[str, object] = {"slices": options.slices, "warm_s": stages, "warm_mib": peaks, "process": shell}
    if options.peer:
        theirs, ours = peer(options.repeats), stages.get(JUDGING, float("nan"))
        print(f"  peer     winner-2022         {theirs:>8.2f}   {theirs / ours:.1f} times “{JUDGING}”")
        found["peer_s"] = theirs
    print(f"  load     before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    if options.json:
        options.json.write_text(json.dumps({**found, "load": [load[0], os.getloadavg()[0]]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
