"""A bundle that reads coded phantoms, and a coded study, made once."""

from pathlib import Path

import pytest

from tests.models.coded import coded_bundle
from tests.workflow.oracle import write_coded


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    return coded_bundle(tmp_path_factory.mktemp("bundle") / "coded").folder


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    return write_coded(tmp_path_factory.mktemp("study") / "images", "2.25.11")
