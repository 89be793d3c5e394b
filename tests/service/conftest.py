"""A service for each test, and studies made once."""

from pathlib import Path

import pytest

from tests.service.builders import Place, make_place, write_neck, zipped


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture(scope="session")
def neck_zip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return zipped(write_neck(tmp_path_factory.mktemp("neck") / "images"))
