"""How a user gets into a store: secrets and certificates from a file that nobody else may read, never from a URL."""

import stat
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path

from cspine.domain import ConfigError
from cspine.stores.tls import TlsFiles

_FILES = tuple(one.name for one in fields(TlsFiles))
_SECRETS = ("token", "user", "password")


@dataclass(frozen=True)
class Access:
    """What a store asks for.

    Attributes
    ----------
    token
        Bearer token (RFC 6750); excludes user and password.
    user, password
        For HTTP basic authentication.
    """

    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsFiles = field(default_factory=TlsFiles)

    def __post_init__(self) -> None:
        if self.token is not None and self.user is not None:
            raise ConfigError("a token and a user are both given; a store takes one of them")
        if (self.user is None) != (self.password is None):
            raise ConfigError("a user needs a password, and a password a user")

    @property
    def has_secret(self) -> bool:
        """Whether something is sent that nobody else may hear."""
        return self.token is not None or self.password is not None


def read_access(path: Path) -> Access:
    """Read an access file: TOML with ``token``, or ``user`` and ``password``; ``ca_file``, ``cert_file``, ``key_file``.

    Relative files are beside it.

    Raises
    ------
    ConfigError
        It cannot be read, others may read it, or a setting is unknown.
    """
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"{path} may be read by others; take that away with: chmod 600 {path}")
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the access file {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    unknown = sorted(set(given) - {*_SECRETS, *_FILES})
    if unknown:
        raise ConfigError(f"{path}: unknown setting {unknown[0]!r}; there are {', '.join((*_SECRETS, *_FILES))}")
    wrong = sorted(name for name, value in given.items() if not isinstance(value, str) or not value)
    if wrong:
        raise ConfigError(f"{path}: {wrong[0]} must be a text")
    files = {name: path.parent / given[name] for name in _FILES if name in given}
    return Access(given.get("token"), given.get("user"), given.get("password"), TlsFiles(**files))
