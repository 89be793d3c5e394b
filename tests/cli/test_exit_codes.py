"""One table from errors to exit codes, and every document of it says the same."""

import re

import pytest

from cspine.cli import exit_codes, guard
from cspine.cli.exit_codes import ExitCode, exit_code_of, exit_code_of_studies
from cspine.cli.main import EPILOG
from cspine.domain import (
    BundleCorrupt,
    BundleMissing,
    ConfigError,
    CspineError,
    NoImages,
    NotAVolume,
    OutOfScope,
    Rejected,
    RenderError,
    StoreTimeout,
    TrainingStopped,
    Unreachable,
    UnsupportedSeries,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoImages("x"), ExitCode.REFUSED_INPUT),
        (NotAVolume("x", "y"), ExitCode.REFUSED_INPUT),
        (UnsupportedSeries("x"), ExitCode.REFUSED_INPUT),
        (OutOfScope("x"), ExitCode.REFUSED_INPUT),
        (BundleMissing("x"), ExitCode.BUNDLE),
        (BundleCorrupt("x"), ExitCode.BUNDLE),
        (Unreachable("x"), ExitCode.STORE),
        (Rejected("x"), ExitCode.STORE),
        (StoreTimeout("x"), ExitCode.STORE),
        (ConfigError("x"), ExitCode.USAGE),
        (TrainingStopped("x"), ExitCode.TRAINING_STOPPED),
        (RenderError("x"), ExitCode.INTERNAL),
        (ZeroDivisionError("x"), ExitCode.INTERNAL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
def test_each_error_has_its_code(error, code):
    assert exit_code_of(error) is code


def test_no_error_of_ours_is_internal_by_oversight():
    listed = tuple(kind for kind, _ in exit_codes.CODE_OF_ERROR)
    assert [kind for kind in CspineError.__subclasses__() if not issubclass(kind, listed)] == []


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([None], ExitCode.DONE),
        ([None, None], ExitCode.DONE),
        ([NoImages("x")], ExitCode.REFUSED_INPUT),
        ([OutOfScope("x"), NoImages("x")], ExitCode.REFUSED_INPUT),
        ([None, OutOfScope("x")], ExitCode.SOME_REFUSED),
        ([Rejected("x"), OutOfScope("x")], ExitCode.SOME_REFUSED),
        ([None, ZeroDivisionError("x")], ExitCode.INTERNAL),
    ],
)
def test_several_studies_have_one_code(errors, code):
    assert exit_code_of_studies(errors) is code


def test_the_help_lists_exactly_the_codes_of_the_table():
    listed = {int(line.split()[0]) for line in EPILOG.splitlines() if re.match(r"\s+\d+\s", line)}
    assert listed == {int(code) for code in ExitCode}


def test_the_table_in_the_source_lists_exactly_the_codes():
    listed = {int(line.split()[0]) for line in (exit_codes.__doc__ or "").splitlines() if re.match(r"\d+\s", line)}
    assert listed == {int(code) for code in ExitCode}


def test_the_code_of_an_interruption_is_the_same_in_both_places():
    assert guard.INTERRUPTED == ExitCode.INTERRUPTED
