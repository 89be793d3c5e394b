"""`DimseStore`: an archive that is asked by C-ECHO, C-FIND, C-GET or C-MOVE, and C-STORE."""

import ipaddress
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynetdicom import _config, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.status import code_to_category

from cspine.dicom import (
    CT_CLASSES,
    NETWORK_SYNTAXES,
    Level,
    SeriesEntry,
    StudyEntry,
    StudyQuery,
    answer_values,
    identify,
    is_uid,
    query_dataset,
    retrieve_dataset,
    series_entry,
    study_entry,
)
from cspine.domain import InputError, Rejected, StoreError, Unreachable
from cspine.stores.dimse.association import DimsePeer, associated, no_answer, settle
from cspine.stores.dimse.receiver import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, Receiver, ReceiverConfig
from cspine.stores.inbox import Inbox
from cspine.stores.protocols import Receipt

VERIFICATION = "1.2.840.10008.1.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{k}" for k in (1, 2, 3))

# PS3.4 B.2.3 and what archives answer besides: the object is there, as it was sent or with a remark.
_STORED = (SUCCESS, 0xB000, 0xB006, 0xB007)
_ALREADY_THERE = 0x0111
_WORDS = {
    0x0122: "it does not take objects of this class",
    0x0124: "it does not allow that to us",
    0xA701: "it cannot count the matches",
    0xA702: "it cannot send the images",
    0xA801: "it does not know where to send images for us; have our AE title and address registered there",
    0xA900: "the data set does not match its class",
}
_FULL = range(0xA700, 0xA800)

# Objects are sent as the bytes that they are, not decoded and written anew.
_config.STORE_SEND_CHUNKED_DATASET = True


@dataclass(frozen=True)
class MoveTo:
    """Where this machine can be reached by an archive that only knows C-MOVE.

    Attributes
    ----------
    host, port
        Address that is listened on while images come; the archive must know it under our AE title.
    """

    host: str
    port: int


class DimseStore:
    """An archive on the DICOM network.

    Parameters
    ----------
    move_to
        Fetch by C-MOVE to this address; without it, by C-GET, which needs no way back.
    """

    def __init__(self, peer: DimsePeer, move_to: MoveTo | None = None):
        self._peer, self._move_to = peer, move_to
        self.name = peer.name

    def echo(self) -> None:
        """See `RemoteStore.echo`."""
        with associated(self._peer, [build_context(VERIFICATION)]) as made:
            self._succeed(made, made.send_c_echo(), "C-ECHO")

    def find_studies(self, query: StudyQuery, limit: int) -> list[StudyEntry]:
        """See `RemoteStore.find_studies`."""
        found = self._find(Level.STUDY, query.matching, limit)
        return [study_entry(values) for values in found if is_uid(values["StudyInstanceUID"].strip("\0 "))]

    def find_series(self, study_uid: str) -> list[SeriesEntry]:
        """See `RemoteStore.find_series`."""
        found = self._find(Level.SERIES, {"StudyInstanceUID": study_uid}, None)
        return [series_entry(values) for values in found if is_uid(values["SeriesInstanceUID"].strip("\0 "))]

    def fetch(self, study_uid: str, series_uid: str, inbox: Inbox) -> None:
        """See `RemoteStore.fetch`."""
        if self._move_to is None:
            self._get(study_uid, series_uid, inbox)
        else:
            self._move(study_uid, series_uid, inbox, self._move_to)

    def send(self, name: str, content: bytes) -> Receipt:
        """See `RemoteStore.send`."""
        return self.send_all({name: content})[0]

    def send_all(self, documents: Mapping[str, bytes]) -> tuple[Receipt, ...]:
        """See `RemoteStore.send_all`: one association."""
        with tempfile.TemporaryDirectory(prefix="cspine-") as folder:
            paths = [Path(folder, f"{k}.dcm") for k in range(len(documents))]
            for path, content in zip(paths, documents.values(), strict=True):
                path.write_bytes(content)
            kinds = dict.fromkeys((i.sop_class_uid, i.transfer_syntax) for i in map(identify, paths))
            contexts = [build_context(sop_class, syntax) for sop_class, syntax in kinds]
            with associated(self._peer, contexts) as made:
                for name, path in zip(documents, paths, strict=True):
                    self._store(made, name, path)
        return tuple(Receipt(f"{self.name}/{name}", len(content)) for name, content in documents.items())

    def _store(self, made: Association, name: str, path: Path) -> None:
        settle(made)
        try:
            answer = made.send_c_store(path)
        except ValueError as error:  # no context for it was accepted
            raise Rejected(
                f"{self.name} does not take {name}, whose SOP class or transfer syntax it refused"
            ) from error
        except RuntimeError as error:
            raise no_answer(self._peer, made, f"C-STORE of {name}") from error
        self._succeed(made, answer, f"C-STORE of {name}", (*_STORED, _ALREADY_THERE))

    def _find(self, level: Level, matching: Mapping[str, str], limit: int | None) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        with associated(self._peer, [build_context(FIND)]) as made:
            for answer, identifier in made.send_c_find(query_dataset(level, matching), FIND):
                if not _pending(answer):
                    self._succeed(made, answer, "C-FIND")
                elif identifier is not None:
                    found.append(answer_values(identifier, level))
                if limit is not None and len(found) >= limit:
                    made.abort()  # the rest is not wanted; C-CANCEL is optional for archives
                    break
        return found

    def _get(self, study_uid: str, series_uid: str, inbox: Inbox) -> None:
        came = _Coming(inbox)
        contexts = [build_context(GET)]
        # One context for each transfer syntax: the archive can send every image as it has it.
        contexts += [build_context(one, syntax) for one in sorted(CT_CLASSES) for syntax in NETWORK_SYNTAXES]
        roles = [build_role(one, scp_role=True) for one in sorted(CT_CLASSES)]
        handlers = [(evt.EVT_C_STORE, came.take)]
        with associated(self._peer, contexts, handlers=handlers, roles=roles) as made:
            if not any(str(one.abstract_syntax) == GET for one in made.accepted_contexts):
                raise Rejected(f"{self.name} knows no C-GET; let it send by C-MOVE: add ?move=HOST:PORT to its address")
            answers = made.send_c_get(retrieve_dataset(study_uid, series_uid), GET)
            self._retrieved(made, answers, "C-GET", came)

    def _move(self, study_uid: str, series_uid: str, inbox: Inbox, place: MoveTo) -> None:
        config = ReceiverConfig(
            self._peer.calling, place.host, place.port, networks=_addresses(self._peer.host), tls=self._peer.tls
        )
        came = _Coming(inbox)
        with Receiver(config, inbox, came.said.append), associated(self._peer, [build_context(MOVE)]) as made:
            asked = retrieve_dataset(study_uid, series_uid)
            self._retrieved(made, made.send_c_move(asked, self._peer.calling, MOVE), "C-MOVE", came)

    def _retrieved(self, made: Association, answers: Iterator[Any], what: str, came: "_Coming") -> None:
        """Follow a retrieval to its end."""
        for answer, _ in answers:
            if came.error is not None:
                made.abort()
                raise came.error
            if _pending(answer):
                continue
            failed = int(getattr(answer, "NumberOfFailedSuboperations", 0) or 0)
            if failed:
                told = f": {came.said[-1]}" if came.said else ""
                raise Rejected(f"{self.name} could not send {failed} images by {what}{told}", status=_hex(answer))
            self._succeed(made, answer, what)

    def _succeed(self, made: Association, answer: Any, what: str, good: Sequence[int] = (SUCCESS,)) -> None:
        """Raise unless the status of an answer is good."""
        status = answer.get("Status")
        if status is None:
            raise no_answer(self._peer, made, what)
        if status in good:
            return
        words = "it has no room" if status in _FULL and status not in _WORDS else _WORDS.get(status)
        comment = str(answer.get("ErrorComment", "") or "")
        reason = "; ".join(part for part in (words, comment) if part) or code_to_category(status)
        raise Rejected(f"{self.name} answered {what} with {_hex(answer)}: {reason}", status=_hex(answer))


class _Coming:
    """Images that an archive sends back over our own association."""

    def __init__(self, inbox: Inbox):
        self._inbox = inbox
        self.error: StoreError | None = None
        self.said: list[str] = []

    def take(self, event: Any) -> int:
        """Keep one image; our own trouble is remembered, so that it is not told as the archive's."""
        try:
            self._inbox.put(event.encoded_dataset(), str(event.request.AffectedSOPInstanceUID))
        except StoreError as error:
            self.error = error
            return OUT_OF_RESOURCES
        except InputError as error:
            self.said.append(str(error))
            return CANNOT_UNDERSTAND
        return SUCCESS


def _pending(answer: Any) -> bool:
    return answer.get("Status") in (0xFF00, 0xFF01)


def _hex(answer: Any) -> str:
    return f"{int(answer.Status):04X}"


def _addresses(host: str) -> tuple[str, ...]:
    """Return the addresses of a host: nobody else may send while its images are awaited."""
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise Unreachable(f"{host} has no address: {error.strerror or error}") from error
    return tuple(sorted(str(ipaddress.ip_network(address)) for address in found))
