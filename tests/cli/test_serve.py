"""The service's commands: settings are printed and checked, accounts are made without a password in sight."""

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cspine.cli.exit_codes import ExitCode
from cspine.cli.main import app
from cspine.domain import Unauthenticated
from cspine.service import open_accounts, read_config
from tests.cli.programs import called

PASSWORD = "five blue tigers"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "cspine.toml"
    path.write_text('data_dir = "data"\n', encoding="utf-8")
    return path


def _run(*arguments: object, said: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(a) for a in arguments], input=said)
    return done.exit_code, done.output


def test_the_example_is_a_settings_file():
    said = called("serve", "--example")
    assert tomllib.loads(said.out) == {"data_dir": "cspine-data"}
    assert "# port = 8600" in said.out


def test_an_account_is_made_and_removed(config: Path):
    assert _run("account", "add", "ann", "--role", "admin", "--config", config, said=PASSWORD + "\n") == (
        0,
        "ann is admin\n",
    )
    accounts = open_accounts(read_config(config))
    accounts.by_session(accounts.log_in("ann", PASSWORD, ""))
    assert _run("account", "list", "--config", config)[1].split() == ["ann", "admin"]
    code, said = _run("account", "remove", "ann", "--config", config)
    assert (code, said) == (ExitCode.USAGE, "cspine: 'ann' is the last administrator; make another one first\n")


def test_a_weak_password_and_an_unknown_role_are_refused(config: Path):
    code, said = _run("account", "add", "ann", "--config", config, said="short\n")
    assert (code, "at least 12 are needed" in said) == (ExitCode.USAGE, True)
    code, said = _run("account", "add", "ann", "--role", "king", "--config", config, said=PASSWORD + "\n")
    assert (code, "no role 'king'" in said) == (ExitCode.USAGE, True)


def test_a_key_is_printed_once_and_works(config: Path):
    code, said = _run("account", "key", "bridge", "--role", "viewer", "--config", config)
    accounts = open_accounts(read_config(config))
    assert (code, accounts.by_key(said.strip()).name) == (0, "key:bridge")
    with pytest.raises(Unauthenticated):
        accounts.by_key("cspine_other")


def test_a_missing_settings_file_is_named(tmp_path: Path):
    code, said = _run("serve", "--config", tmp_path / "none.toml")
    assert code == ExitCode.USAGE
    assert "none.toml: cannot be read" in said


def test_studies_handed_to_the_service_are_not_written_elsewhere_too(config: Path, tmp_path: Path):
    code, said = _run("listen", tmp_path / "inbox", "--port", 0, "--to-service", config, "--out", tmp_path / "out")
    assert code == ExitCode.USAGE
    assert "--to-service goes without --out" in said
