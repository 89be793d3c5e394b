"""A service for each test, and studies made once."""

from pathlib import Path

import pytest

from tests.service.builders import Place, make_place, write_neck, zipped
from tests.service.postgres import Postgres


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def neck_zip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return zipped(write_neck(tmp_path_factory.mktemp("neck") / "images"))
