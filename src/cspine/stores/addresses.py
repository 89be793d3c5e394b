"""Addresses of archives, as a user types them.

::

    dicomweb://HOST[:PORT]/PATH          DICOMweb over HTTP
    dicomwebs://HOST[:PORT]/PATH         … over HTTPS
    dimse://[OUR-TITLE@]HOST[:PORT]/TITLE[?move=HOST:PORT]   DIMSE; fetch by C-GET, or by C-MOVE to that address
    dimses://…                           … over TLS
"""

from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from cspine.domain import ConfigError
from cspine.stores.access import Access
from cspine.stores.remote import RemoteStore

if TYPE_CHECKING:
    from cspine.stores.dimse import MoveTo

SCHEMES = ("dicomweb", "dicomwebs", "dimse", "dimses")
DIMSE_PORT, DIMSE_TLS_PORT = 104, 2762

_WEB_FORM = "dicomweb://HOST[:PORT]/PATH"
_DIMSE_FORM = "dimse://[OUR-TITLE@]HOST[:PORT]/TITLE"


def is_remote(place: str) -> bool:
    """Whether a place is the address of an archive, and not a path."""
    scheme, colon, _ = place.partition("://")
    return bool(colon) and scheme.lower() in SCHEMES


def open_store(address: str, access: Access | None = None) -> RemoteStore:
    """Return the archive at an address; nothing is asked of it yet.

    Raises
    ------
    ConfigError
        No such address, or a secret that would travel unencrypted.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{address!r} is no address: {error}") from error
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"{address!r} is no address of an archive; it looks like {_WEB_FORM} or {_DIMSE_FORM}")
    if not parts.hostname or parts.fragment:
        raise ConfigError(f"{address!r} names no host; it looks like {_WEB_FORM} or {_DIMSE_FORM}")
    if parts.password is not None:
        raise ConfigError("a password does not belong into an address, where others can see it; use an access file")
    if parts.scheme in ("dicomweb", "dicomwebs"):
        return _web(parts, access)
    return _dimse(parts, port, access or Access())


def _web(parts: SplitResult, access: Access | None) -> RemoteStore:
    from cspine.stores.dicomweb import DicomWebStore  # noqa: PLC0415 - HTTP is imported only where it is spoken

    if parts.username or parts.query:
        raise ConfigError(f"a DICOMweb address has neither user nor query; it looks like {_WEB_FORM}")
    scheme = "https" if parts.scheme == "dicomwebs" else "http"
    return DicomWebStore(f"{scheme}://{parts.netloc}{parts.path}", access)


def _dimse(parts: SplitResult, port: int | None, access: Access) -> RemoteStore:
    from cspine.stores.dimse import DimsePeer, DimseStore  # noqa: PLC0415 - DIMSE is imported only where it is spoken

    if access.has_secret:
        raise ConfigError("DIMSE knows neither tokens nor passwords; an access file for it holds certificates only")
    secured = parts.scheme == "dimses"
    called = unquote(parts.path.strip("/"))
    if not called:
        raise ConfigError(f"the address names no AE title; it looks like {_DIMSE_FORM}")
    peer = DimsePeer(
        str(parts.hostname),
        port or (DIMSE_TLS_PORT if secured else DIMSE_PORT),
        called,
        unquote(parts.username or "CSPINE"),
        access.tls if secured else None,
    )
    return DimseStore(peer, _move_to(parts.query))


def _move_to(query: str) -> "MoveTo | None":
    from cspine.stores.dimse import MoveTo  # noqa: PLC0415 - as above

    if not query:
        return None
    given = parse_qs(query, keep_blank_values=True)
    host, colon, port = given.get("move", [""])[0].rpartition(":")
    if set(given) != {"move"} or not colon or not host or not port.isdecimal():
        raise ConfigError(f"{query!r} is no option of an address; there is move=HOST:PORT")
    return MoveTo(host.strip("[]"), int(port))
