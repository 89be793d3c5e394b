"""Every recipe by name."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, TypeVar, get_origin, get_type_hints

from cspine.training.recipes.slice_transfer import SliceTransfer, slice_transfer

Config = TypeVar("Config")
RECIPES: Mapping[str, Callable[[], SliceTransfer]] = MappingProxyType({"slice-transfer": slice_transfer})


def config_from(kind: type[Config], document: Mapping[str, Any]) -> Config:
    """Return a config from its JSON document, checked as if it were made by hand."""
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # configs are dataclasses
        value, hint = document[field.name], hints[field.name]
        if is_dataclass(hint):
            value = config_from(hint, value)  # type: ignore[arg-type]  # a class, not an instance
        elif get_origin(hint) is tuple:
            value = tuple(value)
        values[field.name] = value
    return kind(**values)
