"""Who may do what: accounts with passwords, keys for programs, sessions for browsers.

Nothing secret is stored: of passwords a scrypt hash with its own salt, of keys and session tokens a SHA-256 (they are
random and long, so a fast hash is enough). There is no account and no password before somebody makes one.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from cspine.domain import ConfigError, Conflict, Forbidden, NotFound, TooManyTries, Unauthenticated
from cspine.service.config import ServiceConfig
from cspine.service.database import Clock, Database, open_database
from cspine.service.tables import accounts, api_keys, audit, sessions

LEAST_PASSWORD = 12
FAILURES_ALLOWED, FAILURE_WINDOW_S = 5, 900.0
LOG_IN = "log in"
KEY_PREFIX = "cspine_"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,79}")
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


class Role(IntEnum):
    """Each may do what the ones before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> "Role":
        """Return the role of a name; raises `ConfigError`."""
        try:
            return cls[name.upper()]
        except KeyError as error:
            raise ConfigError(f"there is no role {name!r}; there are viewer, operator, admin") from error


@dataclass(frozen=True)
class Actor:
    """Who asks.

    Attributes
    ----------
    csrf
        What a browser's session must send along with every change; ``None`` for a program with a key, which sends no
        cookies that another page could make it send.
    """

    name: str
    role: Role
    csrf: str | None = None

    def need(self, role: Role) -> None:
        """Raise `Forbidden` unless the actor has at least this role."""
        if self.role < role:
            raise Forbidden(f"this needs the role {role.name.lower()}; {self.name} is {self.role.name.lower()}")


class Accounts:
    """The tables of accounts, keys and sessions."""

    def __init__(self, config: ServiceConfig, database: Database, clock: Clock) -> None:
        self._config, self._database, self._clock = config, database, clock

    def add(self, name: str, role: Role, password: str) -> None:
        """Make an account.

        Raises
        ------
        ConfigError
            An impossible name, or a password that is too short.
        Conflict
            There is one of this name.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no account name: letters, digits and . _ @ -, at most 80")
        _check_password(name, password)
        values = {"name": name, "role": role.name.lower(), "password": _hashed(password), "created_at": self._clock()}
        with self._database.write() as connection:
            if connection.execute(select(accounts.c.name).where(accounts.c.name == name)).scalar() is not None:
                raise Conflict(f"there is an account {name!r} already")
            connection.execute(insert(accounts).values(**values))

    def remove(self, name: str) -> None:
        """Remove an account and its sessions.

        Raises
        ------
        NotFound, Conflict
            There is none, or it is the last administrator.
        """
        with self._database.write() as connection:
            role = connection.execute(select(accounts.c.role).where(accounts.c.name == name)).scalar()
            if role is None:
                raise NotFound(f"there is no account {name!r}")
            admins = select(func.count()).where(accounts.c.role == Role.ADMIN.name.lower())
            if role == Role.ADMIN.name.lower() and connection.execute(admins).scalar() == 1:
                raise Conflict(f"{name!r} is the last administrator; make another one first")
            connection.execute(delete(sessions).where(sessions.c.account == name))
            connection.execute(delete(accounts).where(accounts.c.name == name))

    def listed(self) -> list[dict[str, Any]]:
        """Return all accounts, without their hashes."""
        query = select(accounts.c.name, accounts.c.role, accounts.c.created_at).order_by(accounts.c.name)
        with self._database.read() as connection:
            return [row._asdict() for row in connection.execute(query)]

    def log_in(self, name: str, password: str, address: str) -> str:
        """Return the token of a new session.

        Raises
        ------
        Unauthenticated
            The name or the password is wrong; which one is not said.
        TooManyTries
            Too many failures of this name, or from this address.
        """
        self._check_tries(name, address)
        with self._database.read() as connection:
            stored = connection.execute(select(accounts.c.password).where(accounts.c.name == name)).scalar()
        if not _matches(password, stored or _NOBODY) or stored is None:
            raise Unauthenticated("the name or the password is wrong")
        token, now = secrets.token_urlsafe(32), self._clock()
        values = {"token_hash": _digest(token), "account": name, "csrf": secrets.token_urlsafe(24)}
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.created_at < now - self._config.session_hours * 3600))
            connection.execute(insert(sessions).values(**values, created_at=now, seen_at=now))
        return token

    def log_out(self, token: str) -> None:
        """End a session."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.token_hash == _digest(token)))

    def by_session(self, token: str) -> Actor:
        """Return who a session belongs to; raises `Unauthenticated`."""
        query = (
            select(sessions, accounts.c.role)
            .join(accounts, accounts.c.name == sessions.c.account)
            .where(sessions.c.token_hash == _digest(token))
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        now = self._clock()
        if row is None or not self._is_fresh(row._asdict(), now):
            raise Unauthenticated("the session has ended; log in again")
        if now - row.seen_at > 30:  # not at every request: it is a durable write
            with self._database.write() as connection:
                seen = update(sessions).where(sessions.c.token_hash == row.token_hash).values(seen_at=now)
                connection.execute(seen)
        return Actor(row.account, Role.named(row.role), row.csrf)

    def add_key(self, name: str, role: Role, days: float | None) -> str:
        """Return a new key for a program; it is shown this once.

        Raises
        ------
        ConfigError
            An impossible name.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no name of a key: letters, digits and . _ @ -, at most 80")
        token, now = KEY_PREFIX + secrets.token_urlsafe(32), self._clock()
        values = {"id": secrets.token_hex(8), "name": name, "role": role.name.lower(), "token_hash": _digest(token)}
        ends = None if days is None else now + days * 86400
        with self._database.write() as connection:
            connection.execute(insert(api_keys).values(**values, created_at=now, expires_at=ends))
        return token

    def remove_key(self, key_id: str) -> None:
        """Withdraw a key; raises `NotFound`."""
        with self._database.write() as connection:
            if not connection.execute(delete(api_keys).where(api_keys.c.id == key_id)).rowcount:
                raise NotFound(f"there is no key {key_id!r}")

    def keys_listed(self) -> list[dict[str, Any]]:
        """Return all keys, without what they are."""
        shown = [api_keys.c[name] for name in ("id", "name", "role", "created_at", "expires_at")]
        with self._database.read() as connection:
            return [row._asdict() for row in connection.execute(select(*shown).order_by(api_keys.c.created_at))]

    def by_key(self, token: str) -> Actor:
        """Return whom a key stands for; raises `Unauthenticated`."""
        with self._database.read() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.token_hash == _digest(token))).first()
        if row is None or (row.expires_at is not None and row.expires_at < self._clock()):
            raise Unauthenticated("the key is unknown or has expired")
        return Actor(f"key:{row.name}", Role.named(row.role))

    def _is_fresh(self, row: Mapping[str, Any], now: float) -> bool:
        idle_s, whole_s = now - float(row["seen_at"]), now - float(row["created_at"])
        return idle_s <= self._config.session_idle_min * 60 and whole_s <= self._config.session_hours * 3600

    def _check_tries(self, name: str, address: str) -> None:
        since = self._clock() - FAILURE_WINDOW_S
        failed = (audit.c.action == LOG_IN) & (audit.c.outcome == "failed") & (audit.c.at > since)
        same = (audit.c.actor == name) | (audit.c.address == address)
        with self._database.read() as connection:
            tries = connection.execute(select(func.count()).where(failed & same)).scalar() or 0
        if tries >= FAILURES_ALLOWED:
            raise TooManyTries(
                f"{tries} failed attempts within {FAILURE_WINDOW_S / 60:g} minutes; at most {FAILURES_ALLOWED} are "
                "allowed, wait and try again"
            )


def open_accounts(config: ServiceConfig) -> Accounts:
    """Open the accounts of a service, running or not.

    Raises
    ------
    ConfigError, StoreError
        As `Database`.
    """
    return Accounts(config, open_database(config), time.time)


def _check_password(name: str, password: str) -> None:
    if len(password) < LEAST_PASSWORD:
        raise ConfigError(f"the password has {len(password)} characters; at least {LEAST_PASSWORD} are needed")
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise ConfigError("the password holds the name, or fewer than 5 different characters; take another one")


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    key = hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT)
    return f"scrypt${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def _matches(password: str, stored: str) -> bool:
    _, salt, key = stored.split("$")
    tried = hashlib.scrypt(password.encode(), salt=base64.b64decode(salt), **_SCRYPT)
    return hmac.compare_digest(tried, base64.b64decode(key))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# Compared with when there is no account of that name: the answer takes as long.
_NOBODY = f"scrypt${base64.b64encode(bytes(16)).decode()}${base64.b64encode(bytes(64)).decode()}"
