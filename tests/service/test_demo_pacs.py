"""The demonstration with a real archive, from the first slice to the results in it, and its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores.orthanc import PLUGIN
from tools.demo_pacs import ROOT_UID

pytestmark = pytest.mark.slow


@pytest.fixture
def programs(require_program) -> None:
    for name in ("Orthanc", "storescu", "unshare", "ip"):
        require_program(name)
    if not PLUGIN.exists():
        pytest.skip("Orthanc's DICOMweb plugin is absent")


def test_studies_go_through_the_archive_and_their_results_come_back(programs, repository: Path, tmp_path: Path):
    pictures = os.environ.get("CSPINE_SCREENSHOTS")
    more = ["--pictures", pictures] if pictures else []
    command = [sys.executable, "-m", "tools.demo_pacs", "--once", "--keep", tmp_path / "kept", *more]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Whole^Neck   not assessed; in the archive: DOC, OT, PR, SEG, SR" in done.stdout
    assert "Water^Only   refused: no cervical vertebra found" in done.stdout
    assert "archive: http://127.0.0.1:" in done.stdout
    assert not [word for word in ("Whole", "DEMO-1", ROOT_UID) if word in done.stderr]  # logs name no patient, no study
    assert list(_processes_with(str(tmp_path))) == []


def _processes_with(word: str):
    """Yield the programs whose command line names a folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if word in words and "pytest" not in words.replace(word, ""):
            yield words
