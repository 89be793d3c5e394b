"""Every field of every recipe says what it is."""

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import pairwise

import pytest

from cspine.datasets import AugmentRange
from cspine.training.recipes import SYSTEM_NAMES, system_named


def configs(config: object) -> Iterator[type]:
    yield type(config)
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from configs(value)


SYSTEMS = tuple(map(system_named, SYSTEM_NAMES))
MAKERS = tuple(make for system in SYSTEMS for make in (system.recipe, system.table))
KINDS = {kind for make in MAKERS for kind in configs(make())} - {AugmentRange}


@pytest.mark.parametrize("kind", sorted(KINDS, key=str))
def test_every_field_of_a_recipe_has_a_docstring_below_it(kind: type) -> None:
    tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    body = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == kind.__name__).body
    told = {
        str(ast.unparse(field.target))
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }
    assert {field.name for field in fields(kind)} == told
