"""Findings refuse what must never be said."""

import dataclasses

import pytest

from cspine.domain import (
    CERVICAL,
    FINDINGS_SCHEMA,
    NEVER_ASSESSED,
    Decision,
    Findings,
    Flag,
    FlagCode,
    Location,
    Vertebra,
    VertebraFinding,
    WorldBox,
)

BOX = WorldBox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _finding(vertebra: Vertebra, **changes) -> VertebraFinding:
    finding = VertebraFinding(vertebra, probability=0.2, decision=Decision.UNCERTAIN, visible_fraction=1.0)
    return dataclasses.replace(finding, **changes)


def _findings(**changes) -> Findings:
    whole = Findings(
        probability=0.2,
        decision=Decision.UNCERTAIN,
        vertebrae=tuple(_finding(v) for v in CERVICAL),
        flags=(Flag(FlagCode.METAL, "Metal at C3."),),
        model_id="0" * 64,
        model_name="none",
        software="cspine 0",
    )
    return dataclasses.replace(whole, **changes)


def test_findings_list_the_seven_in_order():
    assert [f.vertebra.name for f in _findings().vertebrae] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert _findings().schema_version == FINDINGS_SCHEMA


@pytest.mark.parametrize("vertebra", CERVICAL)
def test_each_vertebra_is_found_by_its_name(vertebra: Vertebra):
    assert _findings().of(vertebra).vertebra is vertebra


@pytest.mark.parametrize("order", [CERVICAL[:6], CERVICAL[::-1], (*CERVICAL, Vertebra.T1)])
def test_any_other_list_of_vertebrae_is_refused_by_name(order: tuple[Vertebra, ...]):
    with pytest.raises(ValueError, match=r"findings list C1 … C7 in order, got \['C"):
        _findings(vertebrae=tuple(_finding(v) for v in order))


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_probability_beyond_its_range_is_refused_with_its_owner(value: float):
    with pytest.raises(ValueError, match=rf"study: probability {value} is not within 0 … 1"):
        _findings(probability=value)
    with pytest.raises(ValueError, match=rf"C4: probability {value} is not within 0 … 1"):
        _finding(Vertebra.C4, probability=value)
    with pytest.raises(ValueError, match=rf"location: probability {value} is not within 0 … 1"):
        Location(value, None, BOX)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_visible_fraction_beyond_its_range_is_refused(value: float):
    with pytest.raises(ValueError, match=rf"C7: visible fraction {value} is not within 0 … 1"):
        _finding(Vertebra.C7, visible_fraction=value)


def test_what_was_not_assessed_has_no_probability():
    with pytest.raises(ValueError, match="C5: not assessed, but has a probability"):
        _finding(Vertebra.C5, decision=Decision.NOT_ASSESSED)
    assert _finding(Vertebra.C5, decision=Decision.NOT_ASSESSED, probability=None).probability is None


def test_the_decisions_are_the_four_words_of_the_public_document():
    assert [str(d) for d in Decision] == ["rule-out", "uncertain", "rule-in", "not assessed"]


def test_flag_codes_are_lower_case_words_joined_by_hyphens():
    assert all(code.value == code.name.lower().replace("_", "-") for code in FlagCode)


def test_what_is_never_assessed_names_the_gaps_that_a_reader_might_assume_covered():
    assert {"ligaments", "alignment and dislocation", "spinal cord", "skull base", "T1 and below", "ribs"} == set(
        NEVER_ASSESSED
    )
