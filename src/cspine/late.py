"""Names that a package imports when they are asked for (PEP 562): what they stand on may be absent, or slow to load."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def late_names(package: str, places: Mapping[str, Sequence[str]], extra: str = "") -> Callable[[str], object]:
    """Return a module's ``__getattr__`` that finds each name where `places` says that it is.

    Parameters
    ----------
    places
        Package or module below this one → the names that come from it.
    extra
        Which extra of `cspine` brings what the modules import; the error about its absence names it.
    """
    homes = {name: home for home, names in places.items() for name in names}

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        except ModuleNotFoundError as error:
            from cspine.domain import ConfigError  # noqa: PLC0415  # this module stands below every layer

            absent = (error.name or "").split(".")[0]
            if absent == "cspine" or not extra:
                raise
            raise ConfigError(
                f"{name} needs {absent}, which is not installed; install it with: pip install 'cspine[{extra}]'"
            ) from error

    return find
