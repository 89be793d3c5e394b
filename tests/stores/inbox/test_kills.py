"""An inbox that is killed at any moment: what it acknowledged is there, and each study is handed over."""

import os
import random
import select
import signal
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from cspine.stores import Delivery, Inbox, InboxLimits
from tests.stores.objects import ct_file

KILLS = 100
STUDIES = 4


def _work(folder: Path, first: int, answers: int) -> None:
    """Put objects, acknowledge each with a byte, and hand studies over all the while; never return."""
    inbox = Inbox(folder / "inbox", InboxLimits(free_bytes=0))

    def take_over(study) -> None:
        with open(folder / "taken", "a") as taken:
            taken.write(f"{study.study_uid} {study.version} {study.objects} {study.digest}\n")

    delivery = Delivery(inbox, 0.0, take_over)
    for number in count(first):
        inbox.put(ct_file(f"2.25.{number % STUDIES}", number))
        os.write(answers, b".")
        if number % 3 == 0:
            delivery.step(number)


def _killed(folder: Path, first: int, after_s: float) -> int:
    """Let a process work, kill it so long after its first answer, and return how many objects it acknowledged."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _work(folder, first, write)
        finally:
            os._exit(1)
    os.close(write)
    select.select([read], [], [], 60)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    got = len(os.read(read, 1 << 16))
    os.close(read)
    return got


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked there")
def test_nothing_that_was_acknowledged_is_lost_over_a_hundred_kills(tmp_path):
    pauses, first = random.Random(5), 0
    for _ in range(KILLS):
        # The last object may have been kept without its answer: it is sent again, as a scanner does.
        first += _killed(tmp_path, first, pauses.uniform(0, 0.1))
    assert first > KILLS
    inbox = Inbox(tmp_path / "inbox", InboxLimits(free_bytes=0))
    final: dict[str, int] = {}
    Delivery(inbox, 0.0, lambda study: final.update({study.study_uid: study.objects})).step(0)
    taken = [line.split() for line in (tmp_path / "taken").read_text().splitlines()]
    told = {uid: int(objects) for uid, _, objects, _ in taken} | final
    # Up to one object beyond the acknowledged ones may have reached the disk.
    assert first <= sum(told.values()) <= first + 1
    versions = {(uid, version): (objects, digest) for uid, version, objects, digest in taken}
    assert len({(uid, v, *rest) for (uid, v), rest in versions.items()}) == len({tuple(row) for row in taken})
