"""What MkDocs asks while it builds: the reference pages that come from the program itself.

A page of commands, a table of exit codes and one page of names per layer are generated from `cspine` as it is
installed, so they cannot go stale; a page that asks for something unknown fails the build.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from cspine.cli.exit_codes import CODE_OF_ERROR, ExitCode
from cspine.cli.exit_codes import __doc__ as exit_code_table
from cspine.cli.main import app
from cspine.service import settings_table

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    ("domain", "the nouns that everybody shares"),
    ("dicom", "image objects to volumes, and back"),
    ("phantom", "a cervical spine with known truth"),
    ("models", "model bundles, and what runs them"),
    ("evaluation", "findings against truth"),
    ("pipeline", "volume to analysis"),
    ("report", "analysis and source to documents"),
    ("stores", "where series come from and results go"),
    ("datasets", "data on disk and cases"),
    ("workflow", "read, analyze, render, write, over one or many studies"),
    ("service", "uploads, jobs, worklist and viewer, over HTTP (needs the extra `serve`)"),
    ("training", "from phantoms and scans to a bundle (needs the extra `train`)"),
)
MARKER = re.compile(r"<!-- generated: ([\w-]+) -->")
HELP_WIDTH = 80


def on_files(files: Files, config: MkDocsConfig) -> Files:
    lines = [f"- [`cspine.{name}`]({name}.md): {job}" for name, job in LAYERS]
    index = "\n".join(["# Names of the package", "", "One page for each layer, from its docstrings.", "", *lines, ""])
    files.append(File.generated(config, "reference/api/index.md", content=index))
    for name, _ in LAYERS:
        page = f"# cspine.{name}\n\n::: cspine.{name}\n"
        files.append(File.generated(config, f"reference/api/{name}.md", content=page))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    return MARKER.sub(_generate, markdown)


def _generate(marker: re.Match[str]) -> str:
    makers = {"commands": commands, "exit-codes": exit_codes, "settings": settings}
    if marker[1] not in makers:
        raise PluginError(f"nothing generates {marker[1]!r}; known: {', '.join(makers)}")
    return makers[marker[1]]()


def settings() -> str:
    rows = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {about} |" for name, default, about in settings_table()
    ]
    return "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows])


def commands() -> str:
    """Return a section for each command, with the text that its ``--help`` prints."""
    return "\n".join(f"## `{context.command_path}`\n\n```text\n{context.get_help()}\n```\n" for context in contexts())


def contexts() -> Iterator[Any]:
    """Yield a context of every command, groups first.

    It is untyped: typer brings its own copy of click and does not publish its classes.
    """
    stack: list[tuple[str, Any, Any]] = [("cspine", typer.main.get_command(app), None)]
    while stack:
        name, command, parent = stack.pop(0)
        settings = {**command.context_settings, "terminal_width": HELP_WIDTH, "max_content_width": HELP_WIDTH}
        context = command.context_class(command, info_name=name, parent=parent, **settings)
        yield context
        below = getattr(command, "commands", {})
        stack = [(child, below[child], context) for child in below] + stack


def exit_codes() -> str:
    """Return the table of exit codes, with the errors that give each."""
    meanings = dict(re.findall(r"^(\d+) +(\S.*)$", exit_code_table or "", re.MULTILINE))
    rows = ["| code | meaning | errors |", "|---|---|---|"]
    for code in ExitCode:
        kinds = ", ".join(f"`{kind.__name__}`" for kind, given in CODE_OF_ERROR if given is code)
        rows.append(f"| {code.value} | {meanings[str(code.value)]} | {kinds} |")
    return "\n".join(rows)
