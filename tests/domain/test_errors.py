"""One error tree, drawn in its docstring; messages name the object."""

import inspect
import re

import pytest

from cspine.domain import CspineError, NotAVolume, Rejected, errors


def _tree(cls: type[Exception]) -> dict[str, str]:
    below = {child.__name__: cls.__name__ for child in cls.__subclasses__() if child.__module__ == errors.__name__}
    for child in cls.__subclasses__():
        below |= _tree(child)
    return below


def _drawn() -> dict[str, str]:
    """Read class → parent from the drawing in the module's docstring."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)", line)
        if found:
            depth = len(found[1]) // 4
            path = [*path[:depth], found[2]]
            if depth:
                parents[found[2]] = path[depth - 1]
    return parents


def test_the_drawing_shows_the_tree_as_it_is():
    assert _drawn() == _tree(CspineError)


def test_every_error_of_the_module_descends_from_one():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    assert len(classes) > 10
    assert all(issubclass(c, CspineError) for c in classes)


def test_not_a_volume_says_where_and_why():
    error = NotAVolume("gap of 5.0 mm, limit 1.9 mm", "series 1.2.3")
    assert str(error) == "series 1.2.3: gap of 5.0 mm, limit 1.9 mm"
    assert (error.reason, error.where) == ("gap of 5.0 mm, limit 1.9 mm", "series 1.2.3")
    assert str(NotAVolume("no slices", "")) == "no slices"


def test_a_rejection_carries_the_status_of_the_peer():
    with pytest.raises(Rejected, match="not stored") as caught:
        raise Rejected("not stored", status="0xA700")
    assert caught.value.status == "0xA700"
