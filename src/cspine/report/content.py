"""What a report says, in words, before it has a layout: HTML and PDF print the same `Content`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cspine.dicom.header import LoadedSeries, StudyHeader
from cspine.domain import NEVER_ASSESSED, Analysis, Decision, Findings, Location, VertebraFinding, level_runs
from cspine.report.document import INTENDED_USE, all_flags
from cspine.report.drawing import position_text
from cspine.report.locate import image_name, image_region
from cspine.report.palette import css, level_color
from cspine.report.pictures import Pictures, draw_pictures, is_phantom, numbered_locations
from cspine.report.words import (
    DECISION_SENTENCES,
    FLAG_TITLES,
    date,
    percent,
    person_name,
    seen_percent,
    shown,
)

TITLE = "CT cervical spine: result of cspine"
CLOSING = "Made by software and verified by nobody; the original images decide."
PHANTOM_SENTENCE = "PHANTOM: computed data, not a patient"


@dataclass(frozen=True)
class LevelRow:
    """One line of the table of seven."""

    name: str
    color: str
    seen: str
    decision: str
    probability: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FlagLine:
    """One flag in plain words."""

    title: str
    message: str
    levels: str


@dataclass(frozen=True)
class Content:
    """A report without a layout.

    Attributes
    ----------
    facts
        (label, value) of patient, study and series; ``"not given"`` where the headers are silent.
    decision
        Value of `Decision`, which also names its color.
    headline, details
        What the study says, and which levels say what.
    not_assessed
        What was not assessed in this study.
    identity
        (label, value) of model, software and time.
    """

    title: str
    intended_use: str
    closing: str
    phantom: str | None
    facts: tuple[tuple[str, str], ...]
    decision: str
    headline: str
    details: tuple[str, ...]
    rows: tuple[LevelRow, ...]
    flags: tuple[FlagLine, ...]
    not_assessed: tuple[str, ...]
    never_assessed: tuple[str, ...]
    identity: tuple[tuple[str, str], ...]
    pictures: Pictures

    @property
    def characters(self) -> int:
        """Length of the text that varies; layouts choose their density by it."""
        rows = sum(len(note) + 20 for row in self.rows for note in row.notes)
        flags = sum(len(f.title) + len(f.message) + len(f.levels) + 20 for f in self.flags)
        return rows + flags + sum(len(line) + 20 for line in self.not_assessed) + sum(len(v) for _, v in self.facts)


def compose(analysis: Analysis, source: LoadedSeries, timings_s: Mapping[str, float]) -> Content:
    """Put an analysis into words and pictures."""
    findings = analysis.findings
    return Content(
        title=TITLE,
        intended_use=INTENDED_USE,
        closing=CLOSING,
        phantom=PHANTOM_SENTENCE if is_phantom(findings, source) else None,
        facts=_facts(source),
        decision=findings.decision.value,
        headline=_headline(findings),
        details=tuple(_details(findings)),
        rows=_rows(findings, source),
        flags=tuple(
            FlagLine(FLAG_TITLES[f.code], f.message, level_runs(f.vertebrae)) for f in all_flags(findings, source)
        ),
        not_assessed=tuple(_not_assessed(findings)),
        never_assessed=NEVER_ASSESSED,
        identity=_identity(findings, source, timings_s),
        pictures=draw_pictures(analysis, source),
    )


def _facts(source: LoadedSeries) -> tuple[tuple[str, str], ...]:
    header, grid = source.header, source.volume.grid
    spacing = " × ".join(f"{mm:.2f}".rstrip("0").rstrip(".") for mm in grid.spacing_mm)
    return (
        ("Patient", person_name(header.patient_name)),
        ("Patient ID", shown(header.patient_id)),
        ("Birth date", date(header.birth_date)),
        ("Accession number", shown(header.accession_number)),
        ("Study date", date(header.study_date)),
        ("Study", shown(header.study_description)),
        ("Series", _series(header)),
        ("Images", f"{grid.shape[0]} slices, {spacing} mm"),
    )


def _series(header: StudyHeader) -> str:
    given = [v for v in (header.series_number, header.series_description) if v]
    return shown(" · ".join(given) if given else None)


def _headline(findings: Findings) -> str:
    sentence = DECISION_SENTENCES[findings.decision]
    said = {f.decision for f in findings.vertebrae}
    if findings.decision is Decision.NOT_ASSESSED and said != {Decision.NOT_ASSESSED}:
        sentence = "No statement about the neck as a whole"
    named = [f.vertebra for f in findings.vertebrae if f.decision is findings.decision]
    if findings.decision in (Decision.RULE_IN, Decision.UNCERTAIN) and named:
        sentence = f"{sentence}: {level_runs(named)}"
    return sentence if findings.probability is None else f"{sentence} (any fracture: {percent(findings.probability)})"


def _details(findings: Findings) -> Iterator[str]:
    """Yield what the levels say, the urgent first, and which of them are in the field."""
    for decision in (Decision.RULE_IN, Decision.UNCERTAIN, Decision.NOT_ASSESSED, Decision.RULE_OUT):
        named = level_runs(f.vertebra for f in findings.vertebrae if f.decision is decision)
        if named:
            yield f"{decision.value.capitalize()}: {named}"
    found = level_runs(f.vertebra for f in findings.vertebrae if f.center_lps_mm is not None)
    yield f"Vertebrae found in the scan: {found or 'none'}"


def _rows(findings: Findings, source: LoadedSeries) -> tuple[LevelRow, ...]:
    numbers = iter(numbered_locations(findings))
    return tuple(
        LevelRow(
            name=f.vertebra.name,
            color=css(level_color(f.vertebra)),
            seen=seen_percent(f.visible_fraction),
            decision=f.decision.value,
            probability=percent(f.probability),
            notes=(*(_place(*next(numbers), source) for _ in f.locations), *_remarks(f)),
        )
        for f in findings.vertebrae
    )


def _place(number: int, location: Location, source: LoadedSeries) -> str:
    center = location.box_lps_mm.center_lps_mm
    position = ", ".join(position_text(axis, center[axis]) for axis in range(3))
    text = f"F{number}: {location.type or 'fracture'}, {percent(location.probability)}, at {position}"
    region = image_region(location.box_lps_mm, source)
    if region is None:
        return text
    x, y, width, height = region.pixel_box
    return f"{text}; {image_name(region.image)}, pixels {x}, {y}, {width} × {height}"


def _remarks(finding: VertebraFinding) -> Iterator[str]:
    if finding.reason:
        yield _sentence(finding.reason)
    if finding.mimic:
        yield f"Might instead be: {finding.mimic}"


def _not_assessed(findings: Findings) -> Iterator[str]:
    """Yield what this study leaves open: levels by reason, then the parts of levels outside the field."""
    by_reason: dict[str, list[VertebraFinding]] = {}
    for finding in findings.vertebrae:
        if finding.decision is Decision.NOT_ASSESSED:
            by_reason.setdefault(finding.reason or "no reason given", []).append(finding)
    for reason, found in by_reason.items():
        yield f"{level_runs(f.vertebra for f in found)}: {reason}"
    for finding in findings.vertebrae:
        cut = finding.visible_fraction < 1 and finding.decision in (Decision.UNCERTAIN, Decision.RULE_IN)
        if cut:
            yield f"{finding.vertebra.name}: the part outside the field ({seen_percent(finding.visible_fraction)} seen)"


def _identity(findings: Findings, source: LoadedSeries, timings_s: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    timed = {"Time": f"{sum(timings_s.values()):.1f} s"} if timings_s else {}
    return (
        ("Model", findings.model_name),
        ("Bundle", findings.model_id),
        ("Software", findings.software),
        ("Source", shown(source.name)),
        *timed.items(),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
