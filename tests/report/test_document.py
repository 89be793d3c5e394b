import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cspine.domain import (
    CERVICAL,
    FINDINGS_SCHEMA,
    NEVER_ASSESSED,
    Analysis,
    Decision,
    Findings,
    Flag,
    FlagCode,
    InputError,
    Location,
    Vertebra,
    VertebraFinding,
    WorldBox,
)
from cspine.report import all_flags, findings_document, findings_json, parse_findings
from tests.report import builders

CASES = ["ruled_out", "ruled_in", "partial_neck", "nothing_found", "everything_flagged"]
TIMINGS = {"read": 0.31, "segment": 1.25}


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads(files("cspine.report").joinpath("findings.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES)
def test_every_document_obeys_the_schema(case: str, schema: dict):
    document = json.loads(findings_json(*getattr(builders, case)(), TIMINGS))
    assert list(Draft202012Validator(schema).iter_errors(document)) == []


@pytest.mark.parametrize("case", CASES)
def test_findings_come_back_bit_for_bit(case: str):
    analysis, source = getattr(builders, case)()
    text = findings_json(analysis, source, TIMINGS)
    read = parse_findings(text)
    assert read == replace(analysis.findings, flags=all_flags(analysis.findings, source))
    assert findings_json(Analysis(read, analysis.labels), source, TIMINGS) == text


share = st.floats(0, 1)
words = st.none() | st.text(st.characters(), max_size=20)
coordinate = st.floats(-1e4, 1e4)
point = st.tuples(coordinate, coordinate, coordinate)
box = st.builds(
    lambda a, b: WorldBox(tuple(map(min, a, b)), tuple(map(max, a, b))),
    point,
    point,
)


@st.composite
def any_findings(draw: st.DrawFn) -> Findings:
    levels = []
    for vertebra in CERVICAL:
        probability = draw(st.none() | share)
        spoken = [d for d in Decision if probability is None or d is not Decision.NOT_ASSESSED]
        locations = tuple(draw(st.lists(st.builds(Location, share, words, box), max_size=2)))
        levels.append(
            VertebraFinding(
                vertebra,
                probability,
                draw(st.sampled_from(spoken)),
                draw(share),
                draw(words),
                draw(st.none() | point),
                draw(st.none() | box),
                locations,
                draw(words),
            )
        )
    flag = st.builds(
        Flag, st.sampled_from(FlagCode), st.text(max_size=30), st.lists(st.sampled_from(Vertebra)).map(tuple)
    )
    flags = draw(st.lists(flag, max_size=3, unique=True))
    decision = draw(st.sampled_from(Decision))
    return Findings(
        draw(st.none() | share), decision, tuple(levels), tuple(flags), draw(st.text()), draw(st.text()), "s"
    )


@pytest.mark.slow
@settings(max_examples=30)
@given(any_findings())
def test_any_findings_obey_the_schema_and_come_back(findings: Findings):
    schema = json.loads(files("cspine.report").joinpath("findings.schema.json").read_text(encoding="utf-8"))
    analysis, source = builders.nothing_found()
    text = findings_json(Analysis(findings, analysis.labels), source, {})
    assert list(Draft202012Validator(schema).iter_errors(json.loads(text))) == []
    assert parse_findings(text) == findings


def test_the_schema_in_the_documentation_is_the_one_in_the_package(repository: Path):
    shipped = files("cspine.report").joinpath("findings.schema.json").read_bytes()
    assert (repository / "docs/reference/findings.schema.json").read_bytes() == shipped


def test_the_schema_knows_exactly_the_words_of_the_domain(schema: dict):
    Draft202012Validator.check_schema(schema)
    named = schema["$defs"]
    assert named["decision"]["enum"] == [d.value for d in Decision]
    assert named["flag"]["properties"]["code"]["enum"] == [c.value for c in FlagCode]
    assert named["level"]["enum"] == [v.name for v in Vertebra]
    assert schema["properties"]["schema_version"]["const"] == FINDINGS_SCHEMA
    assert schema["$id"].endswith(f":{FINDINGS_SCHEMA}")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("probability",), 1.2),
        (("decision",), "cleared"),
        (("vertebrae", 0, "vertebra"), "C2"),
        (("vertebrae", 0, "decision"), "not assessed"),
        (("vertebrae", 1, "locations", 0, "pixel_box"), [1, 2, 0, 4]),
        (("vertebrae", 1, "locations", 0, "extra"), 1),
        (("flags",), None),
    ],
)
def test_the_schema_refuses_what_no_document_may_say(schema: dict, path: tuple, value: object):
    document = json.loads(findings_json(*builders.ruled_in(), TIMINGS))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert list(Draft202012Validator(schema).iter_errors(document)) != []


def test_a_location_points_to_the_original_image_and_its_pixels():
    analysis, source = builders.ruled_in()
    document = findings_document(analysis, source, TIMINGS)
    place = document["vertebrae"][4]["locations"][0]
    center = np.array(analysis.findings.of(Vertebra.C5).locations[0].box_lps_mm.center_lps_mm)
    k, row, column = source.volume.grid.to_index(center)
    assert place["sop_instance_uid"] == source.slices[round(k)].sop_instance_uid
    x, y, width, height = place["pixel_box"]
    assert x <= column <= x + width
    assert y <= row <= y + height
    assert place["frame_number"] is None


def test_what_a_nifti_does_not_say_is_null():
    document = findings_document(*builders.nothing_found(), {})
    assert document["study"] == {
        "study_instance_uid": None,
        "series_instance_uid": None,
        "slices": 96,
        "spacing_mm": pytest.approx([1.6, 1.2, 1.2]),
    }
    assert document["probability"] is None
    assert {v["center_lps_mm"] for v in document["vertebrae"]} == {None}
    assert document["never_assessed"] == list(NEVER_ASSESSED)
    assert document["timings_s"] == {}


def test_the_document_names_no_patient():
    text = findings_json(*builders.ruled_out(), TIMINGS).decode()
    assert not any(word in text for word in ("Doe", "MRN-0042", "19800229", "A123"))


def test_flags_of_series_and_findings_are_joined_and_said_once():
    analysis, source = builders.partial_neck()
    tilt = Flag(FlagCode.GANTRY_TILT, "The gantry was tilted by 3.0°.")
    joined = all_flags(analysis.findings, replace(source, flags=(tilt, analysis.findings.flags[0])))
    assert joined == (*analysis.findings.flags, tilt)


def test_a_phantom_is_flagged_when_only_the_header_says_so():
    analysis, source = builders.ruled_out()
    marked = replace(source, header=replace(source.header, is_phantom=True))
    assert [f.code for f in all_flags(analysis.findings, marked)] == [FlagCode.PHANTOM]


def test_numpy_numbers_become_plain_ones():
    analysis, source = builders.ruled_out()
    findings = replace(analysis.findings, probability=np.float32(0.1))
    document = findings_document(Analysis(findings, analysis.labels), source, {"read": np.float64(0.5)})
    assert type(document["probability"]) is float
    assert type(document["timings_s"]["read"]) is float


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.update(schema_version="9.1"), "schema version '9.1', this version of cspine reads '1.0'"),
        (lambda d: d.pop("software"), "KeyError: 'software'"),
        (lambda d: d["vertebrae"].pop(), "C1 … C7 in order"),
        (lambda d: d["vertebrae"][0].update(decision="perhaps"), "'perhaps' is not a valid Decision"),
        (lambda d: d["vertebrae"][0].update(probability=float("nan")), "not within 0 … 1"),
        (lambda d: d["vertebrae"][0].update(center_lps_mm=[1, 2]), "not enough values"),
        (lambda d: d.update(model=None), "TypeError"),
    ],
)
def test_a_document_that_is_not_as_the_schema_says_is_refused(spoil, message: str):
    document = findings_document(*builders.ruled_in(), TIMINGS)
    spoil(document)
    with pytest.raises(InputError, match=message):
        parse_findings(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe\x00"])
def test_what_is_no_findings_document_is_refused(text: str | bytes):
    with pytest.raises(InputError, match=r"findings\.json"):
        parse_findings(text)


def test_the_page_about_the_document_names_every_field_and_its_example_is_valid(repository: Path, schema: dict):
    page = (repository / "docs/reference/findings.md").read_text(encoding="utf-8")
    named = schema["$defs"]
    study = [f"study.{name}" for name in schema["properties"]["study"]["properties"]]
    model = [f"model.{name}" for name in schema["properties"]["model"]["properties"]]
    top = [name for name in schema["properties"] if name not in ("study", "model")]
    parts = [name for part in ("vertebra", "location", "flag") for name in named[part]["properties"]]
    assert [name for name in (*study, *model, *top, *parts) if f"`{name}`" not in page] == []
    example = json.loads(page.split("```json\n")[1].split("```")[0])
    document = findings_document(*builders.ruled_in(), TIMINGS)
    document["vertebrae"][4] = example
    assert list(Draft202012Validator(schema).iter_errors(document)) == []
    assert parse_findings(json.dumps(document)).of(Vertebra.C5).locations[0].type == "burst"
