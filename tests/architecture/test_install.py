"""What a user installs: how large, under which licenses, and everything that the package needs inside its wheel."""

import re
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sources import ROOT

INSTALL_LIMIT_MB = 700
BUNDLE_LIMIT_MB = 20
NEVER_IN_CORE = {
    "torch",
    "monai",
    "lightning",
    "timm",
    "safetensors",
    "onnxruntime",
    "pandas",
    "simpleitk",
    "pylibjpeg-libjpeg",
}


def _needs(found: Distribution) -> set[str]:
    """Return the names that a distribution requires here, extras left out."""
    required = [Requirement(text) for text in found.requires or []]
    here = [need for need in required if need.marker is None or need.marker.evaluate({"extra": ""})]
    return {canonicalize_name(need.name) for need in here}


def _core() -> dict[str, Distribution]:
    """Return every distribution that ``pip install cspine`` brings, by name."""
    found: dict[str, Distribution] = {}
    waiting = _needs(distribution("cspine"))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            waiting |= _needs(found[name])
    return found


def _license(found: Distribution) -> str:
    """Return what the metadata says, short: some put the whole text of a license there."""
    fields = ("License-Expression", "License", "Classifier")
    stated = [text for field in fields for text in found.metadata.get_all(field) or []]
    return " ".join(text[:80] for text in stated if not text.startswith("Operating") and "ntended" not in text)


def test_the_core_install_has_no_torch_and_nothing_of_the_extras():
    core = _core()
    assert {"numpy", "openvino", "pydicom", "highdicom", "typer"} <= set(core)
    assert NEVER_IN_CORE & set(core) == set()


def test_nothing_in_the_core_install_is_under_a_gpl():
    """The lesser GPL is told apart by its name."""
    strict = {name: _license(found) for name, found in _core().items()}
    assert {n: text for n, text in strict.items() if re.search(r"(?<!L)(?<!Lesser )\bA?GPL|General Public", text)} == {}


def test_the_core_install_is_small_enough():
    files = {Path(str(found.locate_file(f))) for found in _core().values() for f in found.files or []}
    size = sum(path.stat().st_size for path in files if path.is_file())
    assert size < INSTALL_LIMIT_MB * 1_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@pytest.mark.slow
def test_the_wheel_holds_every_tracked_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile):
    listed = subprocess.run(["git", "ls-files", "src/cspine"], cwd=ROOT, check=True, capture_output=True, text=True)
    tracked = {name.removeprefix("src/") for name in listed.stdout.split("\n") if (ROOT / name).is_file()}
    inside = {name for name in wheel.namelist() if name.startswith("cspine/")}
    assert tracked - inside == set()
    assert {name for name in inside - tracked if "__pycache__" in name or name.endswith((".pyc", ".log"))} == set()


@pytest.mark.slow
def test_the_wheel_brings_the_license_and_a_bundle_of_bounded_size(wheel: zipfile.ZipFile):
    names = wheel.namelist()
    assert [n for n in names if n.endswith("licenses/LICENSE")]
    assert [n for n in names if n.endswith("licenses/NOTICE")]
    bundle = [info for info in wheel.infolist() if info.filename.startswith("cspine/models/data/")]
    assert [info for info in bundle if info.filename.endswith("manifest.json")]
    assert 0 < sum(info.file_size for info in bundle) <= BUNDLE_LIMIT_MB * 1_000_000
