"""The acceptance suite with coded necks in place of phantoms: written in seconds."""

from pathlib import Path

import pytest

from cspine.datasets import AcceptanceSuite, read_suite, write_acceptance
from tests.datasets.coded_fractures import coded_with_fractures


def silent(name: str, share: float) -> None:
    """Report nothing."""


def coded_suite(root: Path) -> AcceptanceSuite:
    """Write the whole suite with coded necks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cspine.datasets.acceptance_suite.make_case", coded_with_fractures)
        write_acceptance(root, silent)
    return read_suite(root)
