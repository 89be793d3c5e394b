"""What a store says about the objects that were sent to it (PS3.18 10.5.3)."""

import json

_FAILED, _INSTANCE, _REASON = "00081198", "00081155", "00081197"
# What is already there was sent before: our UIDs follow from content, so it is the same object.
_ALREADY_THERE = 0x0111
_REASONS = {
    0x0110: "processing failure",
    0x0122: "its SOP class is not supported",
    0x0124: "not authorized",
    0xA700: "out of resources",
    0xA900: "the data set does not match its SOP class",
    0xC000: "it cannot be understood",
    0xC122: "its transfer syntax is not supported",
}


def refused_objects(body: bytes) -> list[str]:
    """Return which objects were not stored and why; an answer without such a list refuses nothing."""
    try:
        answer = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        return []
    failed = _items(answer, _FAILED)
    told = [(_first(item, _INSTANCE), _first(item, _REASON)) for item in failed]
    return [f"{uid}: {_words(reason)}" for uid, reason in told if reason != _ALREADY_THERE]


def _items(answer: object, tag: str) -> list[object]:
    element = answer.get(tag) if isinstance(answer, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _first(item: object, tag: str) -> object:
    values = _items(item, tag)
    return values[0] if values else None


def _words(reason: object) -> str:
    if not isinstance(reason, int):
        return "no reason given"
    return f"{_REASONS.get(reason, 'failure')} ({reason:04X})"
