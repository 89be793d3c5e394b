"""What is written in the tree: reasons beside exceptions, no forbidden words, nothing of one machine."""

import ast
import re
import tomllib

import pytest

from tests.architecture.sources import FILES, ROOT, SOURCE, layer_of, name_of, tracked_text_files, tree_of

# A silenced check names its rule and then says why, after a dash or a second hash sign.
SILENCED = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover)(?P<rest>.*)$")
WITH_REASON = re.compile(r"^(:\s*[A-Z]+\d+(\s*,\s*[A-Z]+\d+)*|\[[\w, -]+\])\s*(#|-|—)\s*\S.{7,}")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplemented")
# Spelled so that this file does not match itself.
MACHINE = re.compile(
    r"(?<![\w.])/(work|farm|root|home)/\w|/tmp/[a-z]+/|"
    + r"pypi\.org|pythonhosted|pytorch\.org/whl|registry\.npmjs|:/{2}deb\."
)
# No result of ours may be read as a clearance (see the findings decision page).
CLEARANCE = re.compile(r"\b(cleared|normal)\b", re.IGNORECASE)
SPEAKING_LAYERS = {"report", "pipeline", "workflow", "cli"}
TEMPLATE_SUFFIXES = {".html", ".j2", ".jinja", ".typ", ".svg", ".txt"}
STYLE_SHEET = re.compile(r"<style.*?</style>|[\w-]+:\s*normal", re.DOTALL)


def _python_lines() -> list[tuple[str, str]]:
    return [
        (f"{name}:{number}", line)
        for name, text in tracked_text_files()
        if name.endswith(".py") and name != "tests/architecture/test_words.py"
        for number, line in enumerate(text.splitlines(), 1)
    ]


def _spoken_strings(tree: ast.Module) -> list[str]:
    """Return the strings of a module that are not docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    return [node.value for node in constants if isinstance(node.value, str)]


def test_every_silenced_check_names_its_rule_and_its_reason():
    silent = [
        f"{where}: {line.strip()}"
        for where, line in _python_lines()
        if (found := SILENCED.search(line)) and not WITH_REASON.match(found["rest"])
    ]
    assert silent == []


def test_every_rule_that_the_linter_leaves_out_has_its_reason_on_the_line():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rules = tomllib.loads(text)["tool"]["ruff"]["lint"]
    sections = [
        text.split("\nignore = [", 1)[1].split("]", 1)[0],
        text.split("per-file-ignores]", 1)[1].split("\n\n", 1)[0],
    ]
    lines = [line for section in sections for line in section.splitlines() if '"' in line]
    assert len(lines) >= len(rules["per-file-ignores"])
    assert [line.strip() for line in lines if "  # " not in line] == []


def test_nothing_is_left_unfinished():
    assert [where for where, line in _python_lines() if UNFINISHED.search(line)] == []


def test_no_tracked_file_speaks_of_one_machine_or_one_registry():
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked_text_files()
        if name != "tests/architecture/test_words.py"
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_no_string_that_a_reader_sees_gives_a_clearance():
    spoken = [
        f"{name_of(path)}: {text.strip()[:100]}"
        for path in FILES
        if layer_of(path) in SPEAKING_LAYERS
        for text in _spoken_strings(tree_of(path))
        if CLEARANCE.search(text)
    ]
    assert spoken == []


def test_no_template_gives_a_clearance():
    templates = [path for path in SOURCE.rglob("*") if path.suffix in TEMPLATE_SUFFIXES]
    spoken = [name_of(p) for p in templates if CLEARANCE.search(STYLE_SHEET.sub("", p.read_text(encoding="utf-8")))]
    assert spoken == []


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("x = 1  # noqa: N806", False),
        ("x = 1  # noqa", False),
        ("x = 1  # noqa: N806 - one capital per axis", True),
        ("x = y  # type: ignore[arg-type]  # stubs lack the overload", True),
        ("x = y  # type: ignore", False),
    ],
)
def test_a_reason_is_told_from_a_bare_exception(line: str, good: bool):
    found = SILENCED.search(line)
    assert found is not None
    assert bool(WITH_REASON.match(found["rest"])) is good
