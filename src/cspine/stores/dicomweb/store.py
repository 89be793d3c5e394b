"""`DicomWebStore`: an archive that is asked over HTTP."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx2

from cspine.dicom import (
    Level,
    SeriesEntry,
    StudyEntry,
    StudyQuery,
    is_uid,
    json_values,
    series_entry,
    study_entry,
)
from cspine.domain import ConfigError, InputError, Rejected, StoreTimeout, Unreachable
from cspine.stores.access import Access
from cspine.stores.dicomweb.answers import refused_objects
from cspine.stores.dicomweb.multipart import DICOM, PartReader, boundary_of, written
from cspine.stores.inbox import Inbox
from cspine.stores.protocols import Receipt

JSON = "application/dicom+json"
ANSWER_LIMIT_BYTES = 64 * 2**20

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Whatever transfer syntax the archive has: nothing is converted on the way (PS3.18 8.7.3.5.2).
_AS_STORED = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
_DENIED = {
    401: "the store wants other credentials; check the access file",
    403: "the store does not allow that to this user; ask its administrator",
    413: "the store takes no object of that size",
    503: "the store is busy; try again later",
}


class DicomWebStore:
    """An archive behind QIDO-RS, WADO-RS and STOW-RS.

    Parameters
    ----------
    url
        Root of the service, such as ``https://pacs.example/dicom-web``.
    access
        Credentials go over plain HTTP only to this machine.
    timeout_s
        For a connection, and for each silence.

    Raises
    ------
    ConfigError
        No such URL, or credentials that would travel unencrypted.
    """

    def __init__(self, url: str, access: Access | None = None, timeout_s: float = 60.0):
        entry, self._access = access or Access(), access
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ConfigError(f"{url!r} is no root of a DICOMweb service, such as https://pacs.example/dicom-web")
        if entry.has_secret and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigError(f"credentials would travel unencrypted to {parts.hostname}; use https (dicomwebs://…)")
        self.name = url.rstrip("/")
        self._timeout = httpx2.Timeout(timeout_s)
        self._headers = {} if entry.token is None else {"Authorization": f"Bearer {entry.token}"}
        self._auth = None if entry.user is None else httpx2.BasicAuth(entry.user, entry.password or "")
        self._tls = entry.tls

    def echo(self) -> None:
        """See `RemoteStore.echo`."""
        self.find_studies(StudyQuery(), 1)

    def find_studies(self, query: StudyQuery, limit: int) -> list[StudyEntry]:
        """See `RemoteStore.find_studies`."""
        asked = query.matching | {"limit": str(limit)}
        answers = self._ask("/studies", asked, Level.STUDY)[:limit]
        return [study_entry(values) for values in answers if is_uid(values["StudyInstanceUID"].strip("\0 "))]

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        """See `RemoteStore.find_series`."""
        answers = self._ask(f"/studies/{study_uid}/series", {}, Level.SERIES)
        return [series_entry(values) for values in answers if is_uid(values["SeriesInstanceUID"].strip("\0 "))]

    def fetch(self, study_uid: str, series_uid: str, inbox: Inbox) -> None:
        """See `RemoteStore.fetch`."""
        path = f"/studies/{study_uid}/series/{series_uid}"
        with self._answer("GET", path, {"Accept": _AS_STORED}) as answer:
            self._expect(answer, (200,))
            boundary = boundary_of(answer.headers.get("Content-Type", ""))
            if boundary is None:
                raise Rejected(f"{self.name} answered with {answer.headers.get('Content-Type')!r} where images belong")
            for part in PartReader(answer.iter_bytes(), boundary, inbox.limits.object_bytes):
                try:
                    inbox.put(part)
                except InputError as error:
                    raise Rejected(f"{self.name} gave something else than an image: {error}") from error

    def send(self, name: str, content: bytes) -> Receipt:
        """See `RemoteStore.send`."""
        return self.send_all({name: content})[0]

    def send_all(self, documents: Mapping[str, bytes]) -> tuple[Receipt, ...]:
        """See `RemoteStore.send_all`: one request."""
        kind, body = written(documents.values())
        with self._answer("POST", "/studies", {"Accept": JSON, "Content-Type": kind}, body=body) as answer:
            self._expect(answer, (200, 202, 409))
            refused = refused_objects(_limited(answer))
        if refused or answer.status_code == 409:
            raise Rejected(
                f"{self.name} did not store {len(refused) or 'all'} of {len(documents)} objects: "
                f"{'; '.join(refused) or 'it gives no reason'}",
                status=str(answer.status_code),
            )
        return tuple(Receipt(f"{self.name}/{name}", len(content)) for name, content in documents.items())

    def _ask(self, path: str, asked: Mapping[str, str], level: Level) -> list[dict[str, str]]:
        """Return the answers of a query."""
        with self._answer("GET", path, {"Accept": JSON}, asked=asked) as answer:
            if answer.status_code in (204, 404):
                return []
            self._expect(answer, (200,))
            text = _limited(answer)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Rejected(f"{self.name} answered a query without JSON; is it a DICOMweb root?") from error
        if not isinstance(found, list):
            raise Rejected(f"{self.name} answered a query without a list; is it a DICOMweb root?")
        return [json_values(one, level) for one in found]

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        asked: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Iterator[httpx2.Response]:
        """Yield an answer whose body is still to be read; translate what goes wrong on the way."""
        verify: Any = self._tls.client_context() if self.name.startswith("https:") else False
        try:
            with (
                httpx2.Client(auth=self._auth, verify=verify, timeout=self._timeout, trust_env=False) as client,
                client.stream(
                    method, self.name + path, params=asked, headers=self._headers | dict(headers), content=body
                ) as answer,
            ):
                yield answer
        except httpx2.TimeoutException as error:
            raise StoreTimeout(f"{self.name} did not answer within {self._timeout.read:g} s") from error
        except httpx2.ConnectError as error:
            raise Unreachable(f"{self.name} cannot be reached: {error or 'no connection'}") from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise Unreachable(f"the connection to {self.name} broke: {error or type(error).__name__}") from error

    def _expect(self, answer: httpx2.Response, codes: tuple[int, ...]) -> None:
        if answer.status_code not in codes:
            self._refuse(answer)

    def _refuse(self, answer: httpx2.Response) -> NoReturn:
        code = answer.status_code
        reason = _DENIED.get(code) or answer.reason_phrase or "no reason given"
        if answer.is_redirect:
            reason = f"it has moved to {answer.headers.get('Location', 'somewhere')!r}; give that address"
        raise Rejected(f"{self.name} answered {code}: {reason}", status=str(code))


def _limited(answer: httpx2.Response) -> bytes:
    """Return a body that is no longer than an answer can be."""
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            raise Rejected(f"an answer of more than {ANSWER_LIMIT_BYTES} bytes; ask for less")
    return bytes(body)
