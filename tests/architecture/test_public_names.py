"""The public surface of every package is what its ``__all__`` says, and is tested in a folder of the same name."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import LAYERS, ROOT, SOURCE, tree_of

# What a package needs to import the rest of its names when they are asked for.
MEANS_OF_IMPORT = {"TYPE_CHECKING", "import_module"}
PACKAGES = sorted(path.parent for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE)


def _dotted(package: Path) -> str:
    return ".".join(package.relative_to(SOURCE.parent).parts)


def _bound_names(init: Path) -> Iterator[str]:
    """Yield the public names that a module binds at its top level, by hand, by import, or when they are asked for."""
    body = tree_of(init).body
    late = [inner for node in body if isinstance(node, ast.If) for inner in node.body]
    for node in [*body, *late]:
        if isinstance(node, ast.ImportFrom):
            imported = (alias.asname or alias.name for alias in node.names)
            yield from (name for name in imported if name not in MEANS_OF_IMPORT)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("package", PACKAGES, ids=_dotted)
def test_all_lists_exactly_what_the_package_binds(package: Path):
    bound = sorted(name for name in _bound_names(package / "__init__.py") if not name.startswith("_"))
    listed = importlib.import_module(_dotted(package)).__dict__.get("__all__", [])
    assert sorted(listed) == bound


@pytest.mark.parametrize("package", PACKAGES, ids=_dotted)
def test_every_public_name_exists(package: Path):
    module = importlib.import_module(_dotted(package))
    assert [name for name in module.__dict__.get("__all__", []) if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES, ids=_dotted)
def test_a_package_exports_something_or_only_holds_modules_of_its_parent(package: Path):
    exports = importlib.import_module(_dotted(package)).__dict__.get("__all__", [])
    assert exports or package.name in {"cli"}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_tests_in_a_folder_of_its_name(layer: str):
    assert list((ROOT / "tests" / layer).glob("test_*.py"))


def test_every_test_folder_is_named_after_a_layer_or_a_concern_of_the_whole():
    whole = {"architecture", "docs", "acceptance"}
    folders = {path.parent.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert folders - set(LAYERS) - whole == set()
