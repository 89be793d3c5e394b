"""Names of application entities."""

import re

from cspine.domain import ConfigError

_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")


def check_ae_title(title: str) -> None:
    """Check an AE title (PS3.5 6.2).

    Raises
    ------
    ConfigError
        Not 1 … 16 printable characters without backslash and outer spaces.
    """
    if not _AE_TITLE.fullmatch(title):
        raise ConfigError(f"{title!r} is no AE title: 1 to 16 printable ASCII characters, no backslash")
