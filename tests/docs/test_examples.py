"""What the pages show is what the program does: commands, targets and examples are checked against it."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from cspine.cli.main import app
from cspine.report import findings_json
from tests.docs.pages import PAGES, ROOT, blocks, console_lines
from tests.report.builders import partial_neck

COMMANDS = console_lines("cspine")
EXAMPLES = list(blocks("python"))


def _parse(words: list[str]) -> None:
    """Parse a call of `cspine` as the program would, without running it."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0] not in command.commands and hasattr(command, "default"):
            words = [command.default, *words]
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    context = command.context_class(command, info_name="cspine")
    command.make_parser(context).parse_args(list(words))


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{p}:{c}" for p, c in COMMANDS])
def test_every_shown_command_is_understood_by_the_program(page: str, line: str):
    _parse(shlex.split(line))


def test_an_unknown_option_would_be_noticed():
    with pytest.raises(Exception, match="No such option"):
        _parse(["detect", "study", "--no-such-option"])


def test_commands_are_shown_on_several_pages():
    assert len({page for page, _ in COMMANDS}) >= 6


def test_every_shown_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {line.split()[0] for _, line in console_lines("make")}
    spoken = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))}
    assert (shown | spoken) - targets == set()
    assert {"demo", "check"} <= shown


@pytest.mark.slow
@pytest.mark.parametrize(("page", "code"), EXAMPLES, ids=[page for page, _ in EXAMPLES])
def test_every_python_example_runs(page: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The examples find a document in `results`, as `cspine detect` leaves it there, and its text under that name."""
    document = findings_json(*partial_neck(), {"read": 0.1})
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "findings.json").write_bytes(document)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {"__name__": "example", "text": document})
