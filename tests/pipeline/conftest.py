"""The pipeline on the coded phantom: plumbing without trained weights."""

import pytest

from cspine.models import ModelBundle
from cspine.pipeline import Analyzer
from tests.models.coded import coded_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return coded_bundle(tmp_path_factory.mktemp("coded") / "bundle")


@pytest.fixture(scope="session")
def analyzer(bundle: ModelBundle) -> Analyzer:
    return Analyzer(bundle, threads=2)
