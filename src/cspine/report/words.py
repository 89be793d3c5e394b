"""How values are put into words in every document: names, dates, shares. Silence is said: "not given"."""

import unicodedata

from cspine.domain import Decision, FlagCode

NOT_GIVEN = "not given"
LONGEST = 160  # characters of a header value; longer ones are cut with an ellipsis
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

FLAG_TITLES: dict[FlagCode, str] = {
    FlagCode.PHANTOM: "Phantom",
    FlagCode.GANTRY_TILT: "Gantry tilt",
    FlagCode.SHEARED: "Sheared volume",
    FlagCode.MISSING_SLICES: "Missing slices",
    FlagCode.UNEVEN_SPACING: "Uneven slice spacing",
    FlagCode.DUPLICATE_SLICES: "Duplicate slices",
    FlagCode.THICK_SLICES: "Thick slices",
    FlagCode.MIXED_SHAPES: "Mixed image sizes",
    FlagCode.MONOCHROME1: "Inverted gray scale",
    FlagCode.LOSSY: "Lossy compression",
    FlagCode.PADDING: "Padded pixels",
    FlagCode.SERIES_NOT_USED: "Series not used",
    FlagCode.OTHER_BODY_PART: "Header names another body part",
    FlagCode.GEOMETRY_ASSUMED: "Geometry assumed",
    FlagCode.PARTIAL_COVERAGE: "Neck not covered",
    FlagCode.LEVEL_UNCERTAIN: "Level uncertain",
    FlagCode.NO_FRACTURE_MODEL: "No fracture model",
    FlagCode.METAL: "Metal",
    FlagCode.LOW_RESOLUTION: "Low resolution",
    FlagCode.NOISE: "Noise",
    FlagCode.HU_SCALE: "CT numbers off",
    FlagCode.CHILD: "Child",
    FlagCode.CONTRAST_MEDIUM: "Contrast medium",
}

DECISION_SENTENCES: dict[Decision, str] = {
    Decision.RULE_IN: "Fracture suspected",
    Decision.UNCERTAIN: "Uncertain whether there is a fracture",
    Decision.RULE_OUT: "No fracture found in C1–C7",
    Decision.NOT_ASSESSED: "No statement about fractures",
}


def shown(value: str | None) -> str:
    """Return a header value fit to print: no control characters, not endless, or "not given"."""
    if value is None:
        return NOT_GIVEN
    printable = "".join(" " if _is_control(c) else c for c in value)
    text = " ".join(printable.encode("utf-8", errors="replace").decode("utf-8").split())
    if not text:
        return NOT_GIVEN
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def person_name(name: str | None) -> str:
    """Return a DICOM person name as people write it: ``"Doe, Jane"``; other scripts follow in brackets.

    The groups are alphabetic, ideographic and phonetic; their parts family, given, middle, prefix, suffix
    (PS3.5 6.2.1.2).
    """
    if name is None:
        return NOT_GIVEN
    groups = [group.split("^") for group in name.split("=")]
    written = [_western(groups[0])] + [" ".join(part for part in group if part.strip()) for group in groups[1:]]
    first, *rest = [text for text in written if text.strip()] or [""]
    return shown(f"{first} ({', '.join(rest)})" if rest else first)


def date(value: str | None) -> str:
    """Return a DICOM date as ``YYYY-MM-DD``; anything else as it is."""
    text = shown(value)
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isascii() and text.isdigit() else text


def percent(share: float | None) -> str:
    """Return a probability in whole percent; neither 0 nor 100 is ever claimed."""
    if share is None:
        return "—"
    if share < 0.005:
        return "<1 %"
    return ">99 %" if share > 0.995 else f"{share * 100:.0f} %"


def seen_percent(visible_fraction: float) -> str:
    """Return how much of a vertebra is in the field; rounded down, so that 100 % is the whole."""
    if 0 < visible_fraction < 0.01:
        return "<1 %"
    return f"{int(visible_fraction * 100 + 1e-9)} %"


def _is_control(character: str) -> bool:
    return character in BIDI_CONTROLS or unicodedata.category(character) == "Cc"


def _western(parts: list[str]) -> str:
    family, given, middle, prefix, suffix = ([p.strip() for p in parts] + [""] * 5)[:5]
    called = " ".join(part for part in (prefix, given, middle) if part)
    return ", ".join(part for part in (family, called, suffix) if part)
