"""`--set key=value`: change one field of a frozen config, checked against its type (see docs/decisions, settings)."""

import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cspine.domain import ConfigError
from cspine.training.names import nearest

Config = TypeVar("Config")
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def with_settings(config: Config, settings: Iterable[str]) -> Config:
    """Return a config with fields replaced.

    Parameters
    ----------
    settings
        ``key=value`` each; a key is a field, or fields of fields joined by dots.

    Raises
    ------
    ConfigError
        Not of this form, an unknown key (the nearest one is named), a value that does not read as the field's type, or
        one that the config itself refuses.
    """
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: expected key=value")
        config = _replaced(config, key.strip().split("."), value.strip(), key.strip())
    return config


def config_from(kind: type[Config], document: Mapping[str, Any]) -> Config:
    """Return a config from its JSON document, checked as if it were made by hand.

    A field that the document lacks, because it was written before there was such a field, takes its default.

    Raises
    ------
    ConfigError
        The document lacks a field without default, holds an unknown one, or a value that the config refuses.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # configs are dataclasses
    for name in document:
        if name not in known:
            raise ConfigError(
                f"{kind.__name__} has no field {name!r}{nearest(name, known)}; it was written by another version"
            )
    for name, field in known.items():
        if name not in document:
            if field.default is MISSING and field.default_factory is MISSING:
                raise ConfigError(f"{kind.__name__}: field {name!r} is missing; it was written by another version")
            continue
        value, hint = document[name], hints[name]
        if is_dataclass(hint):
            value = config_from(hint, value)  # type: ignore[arg-type]  # a class, not an instance
        elif get_origin(hint) is tuple:
            value = tuple(value)
        values[name] = value
    return kind(**values)


def keys_of(config: object, prefix: str = "") -> list[str]:
    """Return every key that can be set."""
    found: list[str] = []
    for field in fields(config):  # type: ignore[arg-type]  # configs are dataclasses
        value = getattr(config, field.name)
        inner = keys_of(value, f"{prefix}{field.name}.") if is_dataclass(value) else [f"{prefix}{field.name}"]
        found += inner
    return found


def _replaced(config: Any, path: list[str], value: str, key: str) -> Any:
    names = [field.name for field in fields(config)]
    if path[0] not in names:
        all_keys = keys_of(config)
        raise ConfigError(
            f"unknown setting {key!r}{nearest('.'.join(path), all_keys)}; known here are {', '.join(all_keys)}"
        )
    current = getattr(config, path[0])
    if is_dataclass(current):
        if len(path) == 1:
            raise ConfigError(f"setting {key!r} has parts: set one of {', '.join(keys_of(current, key + '.'))}")
        return replace(config, **{path[0]: _replaced(current, path[1:], value, key)})
    if len(path) > 1:
        raise ConfigError(f"setting {key!r}: {path[0]} has no parts")
    return replace(config, **{path[0]: _parsed(get_type_hints(type(config))[path[0]], value, key)})


def _parsed(kind: Any, value: str, key: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value.lower() == "none" and type(None) in inner:
            return None
        kind = next(k for k in inner if k is not type(None))
        return _parsed(kind, value, key)
    if origin is tuple:
        return tuple(_parsed(inner[0], part.strip(), key) for part in value.split(",") if part.strip())
    try:
        return WORDS[value.lower()] if kind is bool else kind(value)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"setting {key!r} takes {kind.__name__}, got {value!r}") from error
