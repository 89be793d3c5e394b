"""Names that a package imports when they are asked for (PEP 562), because what they stand on may not be installed."""

from collections.abc import Callable, Mapping
from importlib import import_module

from cspine.domain import ConfigError


def late_names(package: str, places: Mapping[str, str], extra: str) -> Callable[[str], object]:
    """Return a module's ``__getattr__`` that finds each name in the sub-package that `places` gives for it.

    Parameters
    ----------
    extra
        Which extra of `cspine` brings what the sub-packages import; the error about its absence names it.
    """

    def find(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(import_module(f"{package}.{places[name]}"), name)
        except ModuleNotFoundError as error:
            absent = (error.name or "").split(".")[0]
            if absent == "cspine":
                raise
            raise ConfigError(
                f"{name} needs {absent}, which is not installed; install it with: pip install 'cspine[{extra}]'"
            ) from error

    return find
