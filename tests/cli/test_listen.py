"""`cspine listen` as a user runs it, fed by another program, killed, and on a full disk."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from cspine.dicom import body_offset
from tests.cli.programs import PROGRAM, called
from tests.stores.dimse.peer import Caller
from tests.stores.objects import ct_dataset, ct_file
from tests.stores.orthanc import can_make_networks

STUDIES, SLICES, ASSOCIATIONS = 50, 8, 4


class Listening:
    """A running `cspine listen`."""

    def __init__(self, process: subprocess.Popen, stderr: Path) -> None:
        self.process, self.stderr = process, stderr
        self.port = self._port()

    def _port(self) -> int:
        until = time.monotonic() + 240
        while time.monotonic() < until and self.process.poll() is None:
            found = re.search(r"listens on 127\.0\.0\.1:(\d+)", self.stderr.read_text())
            if found:
                return int(found[1])
            time.sleep(0.05)
        raise AssertionError(self.stderr.read_text())

    def peak_mb(self) -> float:
        """The most memory that it has held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


@contextmanager
def _listening(folder: Path, *arguments: object, before: tuple[str, ...] = ()) -> Iterator[Listening]:
    command = [*before, *PROGRAM, "listen", folder, "--port", "0", "--json", *arguments]
    errors = folder.parent / "stderr.txt"
    with open(errors, "w") as err, open(folder.parent / "stdout.txt", "w") as out:
        process = subprocess.Popen([str(a) for a in command], stdout=out, stderr=err)
        try:
            yield Listening(process, errors)
        finally:
            process.kill()
            process.wait()


def _told(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder.parent / "stdout.txt").read_text().splitlines()]


def _bodies(folder: Path) -> set[bytes]:
    files = [path.read_bytes() for path in folder.iterdir()]
    return {one[body_offset(one) :] for one in files}


@pytest.mark.slow
def test_fifty_studies_over_four_associations_all_arrive_once(tmp_path, require_program):
    """Times and memory stand in docs/how-to/pacs.md; they are printed, to be seen with ``pytest -s``."""
    storescu, sent = require_program("storescu"), tmp_path / "sent"
    studies = {f"2.25.9.{k}": [ct_file(f"2.25.9.{k}", n, value=k) for n in range(SLICES)] for k in range(STUDIES)}
    for number, (uid, files) in enumerate(studies.items()):
        (sent / f"{number % ASSOCIATIONS}" / uid).mkdir(parents=True)
        for n, content in enumerate(files):
            (sent / f"{number % ASSOCIATIONS}" / uid / f"{n}.dcm").write_bytes(content)
    quiet_s = 8

    def send(part: int) -> int:
        call = [storescu, "--scan-directories", "--recurse", "-aec", "CSPINE", "127.0.0.1", str(listening.port)]
        return subprocess.run([*call, sent / f"{part}"], check=False, capture_output=True).returncode

    with _listening(tmp_path / "inbox", "--quiet", quiet_s, "--stop-after", STUDIES) as listening:
        with ThreadPoolExecutor(ASSOCIATIONS) as pool:
            assert list(pool.map(send, range(ASSOCIATIONS))) == [0] * ASSOCIATIONS
        peak_mb = listening.peak_mb()
        assert listening.process.wait(120) == 0
    told = _told(tmp_path / "inbox")
    assert sorted(one["study_uid"] for one in told) == sorted(studies)
    assert {one["version"] for one in told} == {1}
    for one in told:
        expected = {content[body_offset(content) :] for content in studies[one["study_uid"]]}
        assert _bodies(Path(one["folder"])) == expected
    waits = sorted(
        (Path(one["folder"]).parent / "told").stat().st_mtime - one["last_received_s"] - quiet_s for one in told
    )
    sys.stdout.write(
        f"{STUDIES} studies of {SLICES} objects, {ASSOCIATIONS} associations: handed over after the quiet time by "
        f"{waits[len(waits) // 2]:.2f} s median, {waits[int(0.95 * len(waits))]:.2f} s p95; receiver {peak_mb:.0f} MB\n"
    )


@pytest.mark.slow
def test_a_received_study_is_read_and_its_results_are_written(study, bundle, tmp_path, require_program):
    out = tmp_path / "out"
    how = ("--quiet", 2, "--stop-after", 1, "--out", out, "--bundle", bundle)
    with _listening(tmp_path / "inbox", *how) as listening:
        call = [require_program("storescu"), "--scan-directories", "-aec", "CSPINE", "127.0.0.1", str(listening.port)]
        subprocess.run([*call, study], check=True, capture_output=True)
        assert listening.process.wait(240) == 0
    (first, *_) = (tmp_path / "stdout.txt").read_text().splitlines()
    assert json.loads(first)["study_uid"] == "2.25.11"
    findings = json.loads((out / "2.25.11" / "1" / "findings.json").read_text())
    assert findings["study"]["study_instance_uid"] == "2.25.11"


def test_over_tls_another_program_sends_and_what_is_not_encrypted_or_not_known_gets_nothing_in(
    tmp_path, require_program, certificate
):
    (tmp_path / "1.dcm").write_bytes(ct_file("2.25.8", 1))
    files = (certificate.cert_file, certificate.key_file, certificate.ca_file)
    secured = [word for pair in zip(("--tls-cert", "--tls-key", "--tls-ca"), files, strict=True) for word in pair]
    storescu, trusting = require_program("storescu"), ["+cf", certificate.ca_file]
    with _listening(tmp_path / "inbox", "--quiet", 600, *secured) as listening:

        def send(*how: object) -> bool:
            call = [storescu, *how, "-aec", "CSPINE", "127.0.0.1", str(listening.port), tmp_path / "1.dcm"]
            return subprocess.run(call, check=False, capture_output=True).returncode == 0

        assert "with TLS" in listening.stderr.read_text()
        assert not send()
        assert not send("+tla", *trusting)
        assert list((tmp_path / "inbox").rglob("*.dcm")) == []
        assert send("+tls", certificate.key_file, certificate.cert_file, *trusting)
    (kept,) = (tmp_path / "inbox" / "incoming").rglob("*.dcm")
    assert (
        kept.read_bytes()[body_offset(kept.read_bytes()) :] == ct_file("2.25.8", 1)[body_offset(ct_file("2.25.8", 1)) :]
    )


@pytest.mark.slow
def test_after_a_kill_everything_that_was_acknowledged_is_there(tmp_path):
    acknowledged: set[int] = set()
    number = 0
    for trial in range(3):
        with _listening(tmp_path / "inbox", "--quiet", 600) as listening:
            fresh = range(number + 1, number + 5 + 3 * trial)
            answers = Caller(listening.port).store(*(ct_dataset("2.25.5", k) for k in fresh))
            acknowledged |= {k for k, answer in zip(fresh, answers, strict=True) if answer == 0}
            listening.process.send_signal(signal.SIGKILL)
            number = fresh[-1]
    with _listening(tmp_path / "inbox", "--quiet", 0.1, "--stop-after", 1) as listening:
        assert listening.process.wait(120) == 0
    (study,) = _told(tmp_path / "inbox")
    assert len(acknowledged) == number
    assert study["objects"] == number


@pytest.mark.slow
def test_a_full_disk_is_answered_with_a700_and_what_was_taken_is_whole(tmp_path, require_program):
    if not can_make_networks():
        pytest.skip("a disk of its own needs root on Linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = f'mount -t tmpfs -o size=160k none {folder} && exec "$@"'
    before = (require_program("unshare"), "--mount", "sh", "-c", mounted, "sh")
    with _listening(folder / "inbox", "--keep-free-gb", 0, "--quiet", 600, before=before) as listening:
        datasets = [ct_dataset("2.25.6", k, side=64) for k in range(40)]
        answers = Caller(listening.port).store(*datasets)
        kept = list(Path(f"/proc/{listening.process.pid}/root{folder}/inbox/incoming").rglob("*.dcm"))
        told = listening.stderr.read_text()
    taken = answers.count(0)
    assert 0 < taken < len(answers)
    assert set(answers) == {0, 0xA700}
    assert len(kept) == taken
    assert re.search("are free on the disk of|no space left on the disk", told)


def test_listen_explains_itself():
    said = called("listen", "--help")
    assert said.code == 0
    assert "--allow-from" in said.out
