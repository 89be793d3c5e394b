"""How long `cspine` takes to say anything: its help, and the import of the package.

    python -m benchmarks.bench_startup [--repeats 15] [--json FILE]

Wall time counts for the user; processor time stays the same when the machine is busy with other things.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ENTRY = "from cspine.cli.main import main; main()"
COMMANDS = {
    "python": ("-c", "pass"),
    "import cspine": ("-c", "import cspine"),
    "cspine --help": ("-c", ENTRY, "--help"),
    "cspine detect --help": ("-c", ENTRY, "detect", "--help"),
    "cspine info": ("-c", ENTRY, "info"),
}
TARGET_S = {"cspine --help": 0.2}


def once(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Return (wall, processor) seconds of one process."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime


def measure(repeats: int) -> dict[str, dict[str, float]]:
    """Return median and fastest wall time and median processor time; commands take turns."""
    for arguments in COMMANDS.values():
        once(arguments)
    rounds = [{name: once(arguments) for name, arguments in COMMANDS.items()} for _ in range(repeats)]
    figures = {}
    for name in COMMANDS:
        walls, processor = zip(*(one[name] for one in rounds), strict=True)
        figures[name] = {
            "median_s": statistics.median(walls),
            "fastest_s": min(walls),
            "processor_s": statistics.median(processor),
        }
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    figures = measure(options.repeats)
    print(f"startup, {options.repeats} rounds{'median':>12}{'fastest':>9}{'processor':>11}")
    for name, row in figures.items():
        target = f"   target {TARGET_S[name]}" if name in TARGET_S else ""
        print(f"{name:<24}{row['median_s']:>11.3f}{row['fastest_s']:>9.3f}{row['processor_s']:>11.3f}{target}")
    if options.json:
        options.json.write_text(json.dumps({"repeats": options.repeats, "commands": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
