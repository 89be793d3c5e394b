"""From vertebrae to findings: what is said, and what is not."""

import numpy as np
from scipy import ndimage

from cspine.domain import (
    CERVICAL,
    Box,
    Decision,
    Findings,
    Flag,
    FlagCode,
    LabelMap,
    OutOfScope,
    Vertebra,
    VertebraFinding,
)
from cspine.pipeline.chain import NamedCenter
from cspine.pipeline.places import Places
from cspine.pipeline.refine import RefinedVertebra
from cspine.pipeline.spec import DecodeSpec, RefineSpec
from cspine.pipeline.triage import Judgment, Verdict

NO_MODEL = "no fracture model in this bundle"


def check_scope(places: Places, named: list[NamedCenter], spec: DecodeSpec) -> None:
    """Refuse a volume without a cervical spine.

    Raises
    ------
    OutOfScope
        No cervical vertebra, or none with enough evidence.
    """
    strengths = sorted((n.strength for n in named if n.vertebra in CERVICAL), reverse=True)
    strongest = strengths[0] if strengths else 0.0
    if strongest >= spec.scope_evidence:
        return
    seen = float(places.total.max(initial=0.0))
    raise OutOfScope(
        f"no cervical vertebra found: strongest evidence {strongest:.2f}, limit {spec.scope_evidence:.2f} "
        f"(spine-like places over {len(places) * places.step_mm:.0f} mm, strongest {seen:.2f}); give a CT of the neck"
    )


def findings_of(
    refined: list[RefinedVertebra],
    labels: LabelMap,
    spec: RefineSpec,
    flags: tuple[Flag, ...],
    identity: tuple[str, str, str],
    *,
    judgment: Judgment | None = None,
) -> Findings:
    """Return the findings of a study.

    Parameters
    ----------
    labels
        On the grid of the input volume.
    flags
        Of the naming.
    identity
        Model id, model name, software.
    judgment
        ``None`` without a fracture stage.
    """
    by_name = {r.vertebra: r for r in refined}
    boxes = _boxes(labels)
    verdicts = {} if judgment is None else judgment.verdicts
    vertebrae = tuple(_finding(v, by_name.get(v), boxes.get(v), (labels, spec), verdicts.get(v)) for v in CERVICAL)
    seen = {f.vertebra for f in vertebrae if f.visible_fraction > 0}
    kept = (*_coverage_flags(vertebrae), *(f for f in flags if seen.intersection(f.vertebrae)))
    if judgment is None:
        missing = Flag(FlagCode.NO_FRACTURE_MODEL, "Fractures were not assessed: no fracture model in this bundle.")
        return Findings(None, Decision.NOT_ASSESSED, vertebrae, (*kept, missing), *identity)
    if judgment.coarse is not None:
        message = f"The resolution allows no decision: {judgment.coarse}."
        kept = (*kept, Flag(FlagCode.LOW_RESOLUTION, message))
    kept = (*kept, *judgment.flags)
    return Findings(judgment.probability, judgment.decision, vertebrae, kept, *identity)


def level_flags(refined: list[RefinedVertebra], support: dict[Vertebra, float], spec: DecodeSpec) -> tuple[Flag, ...]:
    """Return the warning that names may be wrong, with the figure, or nothing."""
    cervical = [r for r in refined if r.vertebra.is_cervical]
    vague = {r.vertebra: r.confidence for r in cervical if r.confidence < spec.level_confidence}
    torn = {r.vertebra: support[r.vertebra] for r in cervical if support[r.vertebra] < spec.name_support}
    unsure = tuple(sorted(vague.keys() | torn.keys()))
    if not unsure:
        return ()
    reasons = []
    if vague:
        reasons.append(f"lowest confidence {min(vague.values()):.0%}, limit {spec.level_confidence:.0%}")
    if torn:
        reasons.append(
            f"body and arch are named differently, agreement {min(torn.values()):.0%}, limit {spec.name_support:.0%}"
        )
    message = f"The names of {_names(unsure)} may be wrong by a level ({'; '.join(reasons)}); count them yourself."
    return (Flag(FlagCode.LEVEL_UNCERTAIN, message, unsure),)


def _finding(
    vertebra: Vertebra,
    seen: RefinedVertebra | None,
    box: Box | None,
    where: tuple[LabelMap, RefineSpec],
    verdict: Verdict | None,
) -> VertebraFinding:
    labels, spec = where
    if seen is None or box is None or seen.visible_fraction < spec.reported_fraction:
        return VertebraFinding(vertebra, None, Decision.NOT_ASSESSED, 0.0, reason="not in view")
    fraction = seen_fraction(seen, spec)
    x, y, z = (float(c) for c in seen.center_lps_mm)
    if verdict is None:
        reason = NO_MODEL if fraction >= 1 else f"cut by the edge of the scan, {fraction:.0%} in view; {NO_MODEL}"
        verdict = Verdict(None, Decision.NOT_ASSESSED, reason)
    return VertebraFinding(
        vertebra,
        verdict.probability,
        verdict.decision,
        fraction,
        reason=verdict.reason,
        center_lps_mm=(x, y, z),
        box_lps_mm=labels.grid.box_to_world(box),
        locations=verdict.locations,
        mimic=verdict.mimic,
    )


def seen_fraction(seen: RefinedVertebra, spec: RefineSpec) -> float:
    """Return the visible fraction that is reported: 1 from the share on that counts as whole."""
    return 1.0 if seen.visible_fraction >= spec.whole_fraction else round(seen.visible_fraction, 3)


def _boxes(labels: LabelMap) -> dict[Vertebra, Box]:
    """Return the voxel box of each cervical label."""
    around = _around(labels.labels)
    if around is None:
        return {}
    found = ndimage.find_objects(labels.labels[around.slices], max_label=int(Vertebra.C7))
    boxes = {}
    for vertebra, part in zip(CERVICAL, found, strict=False):
        if part is not None:
            start, stop = [s.start for s in part], [s.stop for s in part]
            inner = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
            boxes[vertebra] = inner.shifted(around.start_zyx)
    return boxes


def _around(labels: np.ndarray) -> Box | None:
    """Return the box of all labels, which are a small part of a scan, without a copy of it."""
    plane = Box.of_mask(labels.max(axis=0)[None] > 0)
    if plane is None:
        return None
    _, rows, columns = plane.slices
    seen = np.flatnonzero(labels[:, rows, columns].max(axis=(1, 2)))
    return Box((int(seen[0]), *plane.start_zyx[1:]), (int(seen[-1]) + 1, *plane.stop_zyx[1:]))


def _coverage_flags(vertebrae: tuple[VertebraFinding, ...]) -> tuple[Flag, ...]:
    missing = tuple(f.vertebra for f in vertebrae if f.visible_fraction == 0)
    cut = tuple(f.vertebra for f in vertebrae if 0 < f.visible_fraction < 1)
    if not missing and not cut:
        return ()
    parts = [f"{_names(missing)} not in view"] * bool(missing) + [f"{_names(cut)} cut by the edge"] * bool(cut)
    message = "The scan covers only part of the neck: " + "; ".join(parts) + "."
    return (Flag(FlagCode.PARTIAL_COVERAGE, message, missing + cut),)


def _names(vertebrae: tuple[Vertebra, ...]) -> str:
    return ", ".join(v.name for v in vertebrae)


def low_contrast(hu: np.ndarray) -> bool:
    """Tell whether a volume has no structure at all: a single value, or only air."""
    sample = hu[:: max(1, hu.shape[0] // 16), ::8, ::8]
    return bool(sample.max() <= -300 or sample.max() == sample.min())
