"""The public document `findings.json`: findings joined with the source series, and read back exactly.

The schema is `findings.schema.json` beside this file. What is not known is ``null``; nothing is invented. The document
names no patient: only UIDs point to the study.
"""

import json
from collections.abc import Mapping
from typing import Any

from cspine.dicom.header import LoadedSeries
from cspine.domain import (
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
from cspine.report.locate import image_region

INTENDED_USE = "Research use only. Not a medical device."


def all_flags(findings: Findings, source: LoadedSeries) -> tuple[Flag, ...]:
    """Return the flags of findings and series, each once; a series that says "phantom" is always flagged as one."""
    flags = list(dict.fromkeys((*findings.flags, *source.flags)))
    if source.header.is_phantom and all(f.code is not FlagCode.PHANTOM for f in flags):
        flags.insert(0, Flag(FlagCode.PHANTOM, "This is a computed phantom, not a patient."))
    return tuple(flags)


def findings_document(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> dict[str, Any]:
    """Return `findings.json` as plain values.

    Parameters
    ----------
    timings_s
        Seconds per stage, as the workflow measured them.
    """
    findings = analysis.findings
    return {
        "schema_version": findings.schema_version,
        "study": _study(source),
        "probability": _number(findings.probability),
        "decision": findings.decision.value,
        "vertebrae": [_vertebra(f, source) for f in findings.vertebrae],
        "flags": [_flag(f) for f in all_flags(findings, source)],
        "never_assessed": list(NEVER_ASSESSED),
        "model": {"id": findings.model_id, "name": findings.model_name},
        "software": findings.software,
        "intended_use": INTENDED_USE,
        "timings_s": {name: float(seconds) for name, seconds in timings_s.items()},
    }


def findings_json(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> bytes:
    """Return `findings.json` as UTF-8."""
    document = findings_document(analysis, source, timings_s)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", errors="backslashreplace")  # a lone surrogate becomes its JSON escape


def parse_findings(document: str | bytes) -> Findings:
    """Read `findings.json` back; every number returns bit for bit.

    The flags are those of the document: of the findings and of the series.

    Raises
    ------
    InputError
        The text is no JSON, of another schema version, or not as the schema says.
    """
    try:
        values = json.loads(document)
    except ValueError as error:
        raise InputError(f"findings.json is not JSON: {error}") from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != FINDINGS_SCHEMA:
        raise InputError(
            f"findings.json has schema version {version!r}, this version of cspine reads {FINDINGS_SCHEMA!r}"
        )
    try:
        return _findings(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"findings.json is not as its schema says: {type(error).__name__}: {error}") from error


def findings_probabilities(document: str | bytes) -> tuple[str | None, list[float | None]]:
    """Return the study's UID and the probabilities of study, C1 … C7 from `findings.json`; ``None`` where not assessed.

    Raises
    ------
    InputError
        As in `parse_findings`.
    """
    findings = parse_findings(document)
    uid = json.loads(document)["study"]["study_instance_uid"]
    return uid, [findings.probability, *(vertebra.probability for vertebra in findings.vertebrae)]


def _study(source: LoadedSeries) -> dict[str, Any]:
    return {
        "study_instance_uid": source.header.study_instance_uid,
        "series_instance_uid": source.header.series_instance_uid,
        "slices": source.volume.grid.shape[0],
        "spacing_mm": list(source.volume.grid.spacing_mm),
    }


def _vertebra(finding: VertebraFinding, source: LoadedSeries) -> dict[str, Any]:
    return {
        "vertebra": finding.vertebra.name,
        "probability": _number(finding.probability),
        "decision": finding.decision.value,
        "visible_fraction": float(finding.visible_fraction),
        "reason": finding.reason,
        "center_lps_mm": None if finding.center_lps_mm is None else [float(v) for v in finding.center_lps_mm],
        "box_lps_mm": None if finding.box_lps_mm is None else _box(finding.box_lps_mm),
        "locations": [_location(place, source) for place in finding.locations],
        "mimic": finding.mimic,
    }


def _location(place: Location, source: LoadedSeries) -> dict[str, Any]:
    region = image_region(place.box_lps_mm, source)
    return {
        "probability": float(place.probability),
        "type": place.type,
        "box_lps_mm": _box(place.box_lps_mm),
        "sop_instance_uid": None if region is None else region.image.sop_instance_uid,
        "frame_number": None if region is None else region.image.frame_number,
        "pixel_box": None if region is None else list(region.pixel_box),
    }


def _flag(flag: Flag) -> dict[str, Any]:
    return {"code": flag.code.value, "message": flag.message, "vertebrae": [v.name for v in flag.vertebrae]}


def _box(box: WorldBox) -> list[list[float]]:
    return [[float(v) for v in box.min_lps_mm], [float(v) for v in box.max_lps_mm]]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _findings(values: dict[str, Any]) -> Findings:
    return Findings(
        probability=values["probability"],
        decision=Decision(values["decision"]),
        vertebrae=tuple(_read_vertebra(v) for v in values["vertebrae"]),
        flags=tuple(_read_flag(v) for v in values["flags"]),
        model_id=values["model"]["id"],
        model_name=values["model"]["name"],
        software=values["software"],
        schema_version=values["schema_version"],
    )


def _read_vertebra(values: dict[str, Any]) -> VertebraFinding:
    center, box = values["center_lps_mm"], values["box_lps_mm"]
    return VertebraFinding(
        vertebra=Vertebra[values["vertebra"]],
        probability=values["probability"],
        decision=Decision(values["decision"]),
        visible_fraction=values["visible_fraction"],
        reason=values["reason"],
        center_lps_mm=None if center is None else _triple(center),
        box_lps_mm=None if box is None else _read_box(box),
        locations=tuple(Location(v["probability"], v["type"], _read_box(v["box_lps_mm"])) for v in values["locations"]),
        mimic=values["mimic"],
    )


def _read_flag(values: dict[str, Any]) -> Flag:
    return Flag(FlagCode(values["code"]), values["message"], tuple(Vertebra[name] for name in values["vertebrae"]))


def _read_box(values: list[list[float]]) -> WorldBox:
    low, high = values
    return WorldBox(_triple(low), _triple(high))


def _triple(values: list[float]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z
