"""What every test may ask for: scans that are not in the repository, outside programs, and the same examples each time.

Test folders are namespace packages below the repository root: shared builders are imported as
``from tests.dicom.builders import …``, never from a ``conftest``.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from cspine.stores import TlsFiles
from tests.service.postgres import Postgres, postgres_programs, running_postgres
from tests.stores.certificates import make_certificate
from tests.stores.orthanc import PASSWORD, PLUGIN, USER, Orthanc, can_make_networks, running_orthanc

ROOT = Path(__file__).resolve().parents[1]

# Too slow or too filtered an example is a property of this machine's load, not of the code.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", parent=settings.get_profile("repeatable"), derandomize=False, max_examples=1000)
settings.load_profile("repeatable")


def _absent(what: str, switch: str) -> NoReturn:
    """Skip the test, or fail it where the environment promises that nothing is absent."""
    if os.environ.get(switch) == "1":
        pytest.fail(f"{what} is absent, and {switch}=1 says that it must be here", pytrace=False)
    pytest.skip(f"{what} is absent")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return a function from a path relative to the data folder to the file or folder, which exists.

    The data folder is ``$CSPINE_DATA``, else ``../shared/data`` beside the checkout. Absent data skips the test
    by name; with ``CSPINE_REQUIRE_DATA=1`` it fails the test.
    """
    root = Path(os.environ.get("CSPINE_DATA") or ROOT.parent / "shared" / "data").resolve()

    def find(relative_path: str) -> Path:
        path = root / relative_path
        if not path.exists():
            _absent(f"data {relative_path}", "CSPINE_REQUIRE_DATA")
        return path

    return find


@pytest.fixture(scope="session")
def require_program() -> Callable[[str], str]:
    """Return a function from the name of an outside program (``dciodvfy``, ``chromium`` …) to its path.

    An absent program skips the test by name; with ``CSPINE_REQUIRE_REAL=1`` it fails the test.
    """

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            _absent(f"program {name}", "CSPINE_REQUIRE_REAL")
        return str(path)

    return find


@pytest.fixture
def small_disk(tmp_path: Path, require_program: Callable[[str], str]) -> Iterator[Callable[[int], Path]]:
    """Return a function from a number of bytes to the folder of a disk that holds no more, mounted for this test."""
    mount, umount = require_program("mount"), require_program("umount")
    with ExitStack() as mounted:

        def make(size: int) -> Path:
            disk = tmp_path / f"disk-{size}"
            disk.mkdir()
            tried = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], check=False)
            if tried.returncode != 0:
                _absent("the right to mount a disk (root on Linux)", "CSPINE_REQUIRE_REAL")
            mounted.callback(subprocess.run, [umount, str(disk)], check=True)
            return disk

        yield make


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, require_program: Callable[[str], str]) -> Iterator[Orthanc]:
    """Return a running Orthanc; the thread of the tests is inside its network."""
    program = require_program("Orthanc")
    if not PLUGIN.exists():
        _absent("Orthanc's DICOMweb plugin", "CSPINE_REQUIRE_REAL")
    if not can_make_networks():
        _absent("the right to make a network (root on Linux)", "CSPINE_REQUIRE_REAL")
    with running_orthanc(program, tmp_path_factory.mktemp("orthanc")) as made, made.network():
        yield made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory, require_program: Callable[[str], str]) -> TlsFiles:
    """Return the files of a certificate for this machine's loopback, which is its own authority."""
    return make_certificate(require_program("openssl"), tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def postgres(certificate: TlsFiles) -> Iterator[Postgres]:
    """Return a running PostgreSQL."""
    programs = postgres_programs()
    if programs is None:
        _absent("PostgreSQL", "CSPINE_REQUIRE_REAL")
    with running_postgres(programs, certificate) as made:
        yield made


@pytest.fixture
def access_file(tmp_path: Path) -> Path:
    """Return an access file with the credentials of Orthanc."""
    path = tmp_path / "access.toml"
    path.write_text(f'user = "{USER}"\npassword = "{PASSWORD}"\n')
    path.chmod(0o600)
    return path
