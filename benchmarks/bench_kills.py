"""Kill the service's workers, or fill its disk, at random moments, many times; count lost, doubled and broken results.

Run as ``python -m benchmarks.bench_kills [--number 100] [--postgresql | --full-disk]``; it needs some minutes.
"""

import argparse
import tempfile
from pathlib import Path

from tests.service.full_disk import fill_disk
from tests.service.killing import kill_workers


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--number", type=int, default=100, help="of kills, or of studies on the disk")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--postgresql", action="store_true", help="the queue is in PostgreSQL instead of SQLite")
    way.add_argument("--full-disk", action="store_true", help="fill the disk instead of killing workers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.full_disk:
            print(fill_disk(folder, options.number, seed=1))
        elif options.postgresql:
            _on_postgresql(folder, options.number)
        else:
            print(kill_workers(folder, options.number, max(4, options.number // 5), seed=1))


def _on_postgresql(folder: Path, kills: int) -> None:
    from tests.service.postgres import postgres_programs, running_postgres  # noqa: PLC0415 - needs the extra postgres
    from tests.stores.certificates import make_certificate  # noqa: PLC0415 - as above

    programs = postgres_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed (Debian: postgresql)")
    with running_postgres(programs, make_certificate("openssl", folder)) as server:
        print(kill_workers(folder, kills, max(4, kills // 5), seed=1, database_url=server.new_database()))


if __name__ == "__main__":
    main()
