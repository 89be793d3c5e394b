"""How commands end: no traceback, no control characters, a log for what is our mistake."""

import re
from pathlib import Path

import pytest
import typer

from cspine.cli.exit_codes import ExitCode
from cspine.cli.guard import printable, run_command
from cspine.domain import NoImages


def ended(command, **options) -> int:
    with pytest.raises(typer.Exit) as caught:
        run_command(command, **options)
    return caught.value.exit_code


def test_a_command_ends_with_the_code_that_it_returns():
    assert ended(lambda: ExitCode.SOME_REFUSED) == 6


def test_an_error_of_ours_is_one_sentence(capsys):
    def command():
        raise NoImages("/data: no file was found")

    assert ended(command) == 3
    assert capsys.readouterr().err == "cspine: /data: no file was found\n"


def test_a_mistake_of_ours_leaves_a_log_and_says_where(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken_command():
        raise ZeroDivisionError("by nothing")

    assert ended(broken_command) == 5
    said = capsys.readouterr().err
    assert said.startswith("cspine: internal error (ZeroDivisionError): by nothing.")
    assert "broken_command" not in said
    (place,) = re.findall(r"the details are in (\S+)", said)
    log = Path(place)
    assert "broken_command" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_verbose_shows_the_place_of_a_mistake(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken_command():
        raise ZeroDivisionError("by nothing")

    assert ended(broken_command, verbose=True) == 5
    assert "in broken_command" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_is_no_second_failure(capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")

    def command():
        raise ZeroDivisionError

    assert ended(command) == 5
    assert "run again with -v" in capsys.readouterr().err


def test_ctrl_c_is_a_word_and_a_code(capsys):
    def command():
        raise KeyboardInterrupt

    assert ended(command) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_values_from_files_do_not_steer_the_terminal():
    assert printable("a\x1b[31mb\nc\u202ed") == "a\ufffd[31mb\ufffdc\ufffdd"
    assert printable("line\nline\x07", keep_lines=True) == "line\nline\ufffd"
    assert printable("Müller · C1–C7") == "Müller · C1–C7"
