"""Sizes and habits that keep the code readable. The limits are those of the architecture."""

import ast

import numpy as np

from tests.architecture.sources import FILES, Function, functions, layer_of, name_of, tree_of

FUNCTION_LINES = 60
FUNCTION_LINES_P95 = 45
FILE_LINES = 400
PARAMETERS = 7
# The job boundary: the one place that may catch everything, because one bad study must not stop the rest.
BROAD_EXCEPT_ALLOWED = {"src/cspine/workflow/run.py"}
BROAD = {"Exception", "BaseException"}
# Names that say where code was put, not what it is about.
VAGUE_MODULES = {
    "base",
    "common",
    "core",
    "data",
    "handler",
    "handlers",
    "helper",
    "helpers",
    "manager",
    "misc",
    "stuff",
    "tools",
    "util",
    "utils",
}


def _lines(function: Function) -> int:
    return int(function.end_lineno or function.lineno) - function.lineno + 1


def _parameters(function: Function) -> int:
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len([a for a in listed if a.arg not in ("self", "cls")]) + bool(arguments.vararg) + bool(arguments.kwarg)


def _caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {t.id if isinstance(t, ast.Name) else ast.unparse(t) for t in types}


def test_no_function_is_longer_than_a_page():
    long = [f"{name_of(p)}:{f.lineno} {f.name} {_lines(f)}" for p in FILES for f in functions(p)]
    assert [entry for entry in long if int(entry.rsplit(" ", 1)[1]) > FUNCTION_LINES] == []


def test_nineteen_of_twenty_functions_are_short():
    lengths = [_lines(f) for path in FILES for f in functions(path)]
    assert float(np.percentile(lengths, 95)) <= FUNCTION_LINES_P95


def test_no_file_is_longer_than_four_hundred_lines():
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: n for name, n in lengths.items() if n > FILE_LINES} == {}


def test_no_function_takes_more_than_seven_parameters():
    """Commands are left out: their parameters are the options that a user types."""
    crowded = [
        f"{name_of(path)}:{f.lineno} {f.name} {_parameters(f)}"
        for path in FILES
        if layer_of(path) != "cli"
        for f in functions(path)
        if _parameters(f) > PARAMETERS
    ]
    assert crowded == []


def test_only_the_command_line_prints():
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        if layer_of(path) != "cli"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert found == []


def test_nothing_is_global():
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Global)
    ]
    assert found == []


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Return whether the handler only cleans up: its last word is a bare ``raise``."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_everything_is_caught_in_one_place_only():
    broad = {
        name_of(path)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and _caught(node) & BROAD and not _raises_again(node)
    }
    assert broad <= BROAD_EXCEPT_ALLOWED


def test_modules_are_named_by_what_they_are_about():
    named = {name_of(path) for path in FILES if {path.stem, path.parent.name} & VAGUE_MODULES}
    assert named == set()
