"""What the series says about itself joins what the analysis says about the neck."""

from dataclasses import replace

from cspine.dicom.header import LoadedSeries
from cspine.domain import Analysis, Decision, Findings, Flag, FlagCode, Vertebra, WorldBox


def with_series_flags(analysis: Analysis, loaded: LoadedSeries) -> Analysis:
    """Return the analysis with the flags of its series behind its own, each once.

    Missing slices name the levels that they cross. Of a child nothing is said about fractures: the networks have seen
    adults alone, and growth plates look like breaks.
    """
    crossed = tuple(v for v in _crossed(analysis.findings, loaded.gaps))
    own = [_naming(flag, crossed) for flag in loaded.flags]
    flags = tuple(dict.fromkeys((*analysis.findings.flags, *own)))
    findings = replace(analysis.findings, flags=flags)
    child = next((flag for flag in flags if flag.code is FlagCode.CHILD), None)
    return replace(analysis, findings=findings if child is None else _unjudged(findings, child.message))


def _unjudged(findings: Findings, reason: str) -> Findings:
    """Return findings that name and place the vertebrae, without a word on fractures."""
    vertebrae = tuple(
        f
        if f.decision is Decision.NOT_ASSESSED
        else replace(f, probability=None, decision=Decision.NOT_ASSESSED, reason=reason, locations=(), mimic=None)
        for f in findings.vertebrae
    )
    return replace(findings, probability=None, decision=Decision.NOT_ASSESSED, vertebrae=vertebrae)


def _naming(flag: Flag, crossed: tuple[Vertebra, ...]) -> Flag:
    if flag.code is not FlagCode.MISSING_SLICES or not crossed:
        return flag
    return replace(flag, vertebrae=tuple(sorted({*flag.vertebrae, *crossed})))


def _crossed(findings: Findings, gaps: tuple[WorldBox, ...]) -> list[Vertebra]:
    """Return the vertebrae of which a part lies where slices are missing."""
    seen = [(f.vertebra, f.box_lps_mm) for f in findings.vertebrae if f.box_lps_mm is not None]
    return [vertebra for vertebra, box in seen if any(_overlap(box, gap) for gap in gaps)]


def _overlap(a: WorldBox, b: WorldBox) -> bool:
    return all(
        low_a < high_b and low_b < high_a
        for low_a, high_a, low_b, high_b in zip(a.min_lps_mm, a.max_lps_mm, b.min_lps_mm, b.max_lps_mm, strict=True)
    )
