"""The Markdown pages of the repository, and what stands in their code blocks."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield the page's name and the text of every code block in one language."""
    for page in PAGES:
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if kind == language:
                yield name_of(page), text


def console_lines(program: str) -> list[tuple[str, str]]:
    """Return page and arguments of every shown call of a program, by name or from a `bin` folder."""
    call = re.compile(rf"^\$ (?:[\w./-]*/)?{re.escape(program)}(?=\s|$)(.*)$", re.MULTILINE)
    return [(page, line.strip()) for page, text in blocks("console") for line in call.findall(text)]
