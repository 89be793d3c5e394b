"""The demonstration with a real archive, from the first slice to the results in it, and its end; not as root."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.orthanc import PLUGIN
from tools.demo_pacs import ROOT_UID

pytestmark = pytest.mark.slow
NOBODY = 65534
PROGRAM = (sys.executable, "-m", "tools.demo_pacs")


@pytest.fixture
def programs(require_program) -> None:
    for name in ("Orthanc", "storescu", "unshare", "ip", "setpriv"):
        require_program(name)
    if not PLUGIN.exists():
        pytest.skip("Orthanc's DICOMweb plugin is absent")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder of `NOBODY`."""
    with tempfile.TemporaryDirectory(prefix="cspine-nobody-") as name:
        if os.geteuid() == 0:
            shutil.chown(name, NOBODY, NOBODY)
        yield Path(name)


def _command(folder: Path, *words: object) -> list[str]:
    """Return the call; root becomes `NOBODY` before, who sees Python even where it lies in root's home."""
    call = [*PROGRAM, *(str(one) for one in words)]
    if os.geteuid() != 0:
        return call
    steps = [f"exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --inh-caps=-all {shlex.join(call)}"]
    python, home = Path(sys.base_prefix), Path.home()
    if python.is_relative_to(home):
        held = folder / "python"
        held.mkdir()
        steps = [
            f"mount --bind {python} {held} && mount -t tmpfs -o mode=755 none {home}",
            f"mkdir -p {python} && mount --bind {held} {python} && umount {held} && rmdir {held}",
            *steps,
        ]
    return ["unshare", "--mount", "sh", "-c", " && ".join(steps)]


def test_studies_go_through_the_archive_and_their_results_come_back(programs, repository: Path, folder: Path):
    pictures = os.environ.get("CSPINE_SCREENSHOTS")
    more = ["--pictures", folder / "pictures"] if pictures else []
    command = _command(folder, "--once", "--keep", folder / "kept", *more)
    environment = os.environ | {"HOME": str(folder)}
    done = subprocess.run(
        command, cwd=repository, capture_output=True, text=True, timeout=3000, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Whole^Neck   uncertain; in the archive: DOC, OT, PR, SEG, SR" in done.stdout
    assert "Water^Only   refused: no cervical vertebra found" in done.stdout
    assert "archive: http://127.0.0.1:" in done.stdout
    assert not [word for word in ("Whole", "DEMO-1", ROOT_UID) if word in done.stderr]  # logs name no patient, no study
    assert list(_processes_with(str(folder))) == []
    for picture in (folder / "pictures").glob("*"):
        shutil.copy(picture, str(pictures))


def test_ctrl_c_ends_everything_and_a_second_one_does_not_stop_that(programs, repository: Path, folder: Path):
    environment = os.environ | {"HOME": str(folder), "TMPDIR": str(folder)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        _command(folder), cwd=repository, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert "Orthanc is up" in next(running.stdout)
        assert len(list(_processes_with(str(folder)))) >= 3
        for _ in range(2):
            os.killpg(running.pid, signal.SIGINT)
        rest, errors = running.communicate(timeout=300)
    assert (running.returncode, rest.split()) == (0, ["ending", "ended"]), errors
    assert list(_processes_with(str(folder))) == []
    assert list(folder.iterdir()) == []


def test_who_may_not_make_networks_is_told_so_and_nothing_is_started(programs, repository: Path, folder: Path):
    refusing = folder / "unshare"
    refusing.write_text("#!/bin/sh\necho unshare failed: Operation not permitted >&2\nexit 1\n")
    refusing.chmod(0o755)
    environment = os.environ | {"HOME": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        PROGRAM, cwd=repository, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.returncode == 1
    assert "may not give Orthanc a network of its own (unshare failed: Operation not permitted)" in done.stderr
    assert "or run it as root" in done.stderr
    assert "Traceback" not in done.stderr


def _processes_with(word: str):
    """Yield the programs whose command line names a folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if word in words and "pytest" not in words.replace(word, ""):
            yield words
