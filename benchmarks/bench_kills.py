"""Kill the service's workers at random moments, many times, and count lost, doubled and broken results.

Run as ``python -m benchmarks.bench_kills [KILLS]``; it needs a few minutes.
"""

import sys
import tempfile
from pathlib import Path

from tests.service.killing import kill_workers

if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        print(kill_workers(Path(folder), kills=wanted, studies=max(4, wanted // 5), seed=1))
