import pytest

from cspine.domain import Decision, FlagCode
from cspine.report.words import (
    DECISION_SENTENCES,
    FLAG_TITLES,
    LONGEST,
    date,
    percent,
    person_name,
    seen_percent,
    shown,
)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (None, "not given"),
        ("", "not given"),
        ("^^^^", "not given"),
        ("Doe", "Doe"),
        ("Doe^Jane", "Doe, Jane"),
        ("Adams^John Robert Quincy^^Rev.^B.A. M.Div.", "Adams, Rev. John Robert Quincy, B.A. M.Div."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎, やまだ たろう)"),
        ("=洪^吉洞", "洪 吉洞"),
        ("Люкceмбypг", "Люкceмбypг"),
        ("قباني^لنزار", "قباني, لنزار"),
    ],
)
def test_person_names_are_written_as_people_write_them(name: str | None, written: str):
    assert person_name(name) == written


def test_header_values_lose_control_characters_and_endless_tails():
    assert shown("a\x00b\x1b[31m\r\nc") == "a b [31m c"
    assert shown("evil \u202egpj.exe\u2066") == "evil gpj.exe"
    assert shown("\ud800x") == "?x"
    assert shown(" \t ") == "not given"
    assert len(shown("x" * 5000)) == LONGEST


@pytest.mark.parametrize(
    ("value", "written"),
    [("19800229", "1980-02-29"), ("1980.02.29", "1980.02.29"), ("1980", "1980"), (None, "not given")],
)
def test_dates_are_written_with_dashes_or_left_alone(value: str | None, written: str):
    assert date(value) == written


def test_a_probability_never_claims_certainty():
    assert [percent(p) for p in (None, 0.0, 0.004, 0.35, 0.996, 1.0)] == ["—", "<1 %", "<1 %", "35 %", ">99 %", ">99 %"]


def test_only_the_whole_is_seen_to_one_hundred_percent():
    assert [seen_percent(v) for v in (0.0, 0.001, 0.29, 0.9999, 1.0)] == ["0 %", "<1 %", "29 %", "99 %", "100 %"]


def test_every_flag_and_every_decision_has_plain_words():
    assert set(FLAG_TITLES) == set(FlagCode)
    assert set(DECISION_SENTENCES) == set(Decision)
